package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Parked is a stream that a projection can't go on with, and the event that stopped it.
type Parked struct {
	Projection string    `db:"projection"`
	Stream     string    `db:"stream"`
	Version    int64     `db:"version"`
	Position   int64     `db:"position"`
	Type       string    `db:"type"`
	Reason     string    `db:"reason"`
	ParkedAt   time.Time `db:"parked_at"`
}

// ErrNotParked: a stream is not parked for a projection, or not any more.
var ErrNotParked = errors.New("not parked")

const selectParked = `SELECT projection, stream, version, position, type, reason, parked_at FROM parked `

// ParkedStreams lists what is parked, oldest first, at most limit.
func ParkedStreams(ctx context.Context, db sqlx.QueryerContext, limit int) ([]Parked, error) {
	return ParkedAfter(ctx, db, Parked{}, limit)
}

// ParkedAfter lists what was parked after another one, oldest first, at most limit. Of the other one, time,
// projection and stream count; the zero value is before all.
func ParkedAfter(ctx context.Context, db sqlx.QueryerContext, after Parked, limit int) ([]Parked, error) {
	var all []Parked
	err := sqlx.SelectContext(ctx, db, &all, selectParked+`WHERE (parked_at, projection, stream) > ($1, $2, $3)
		ORDER BY parked_at, projection, stream LIMIT $4`, after.ParkedAt, after.Projection, after.Stream, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked streams: %w", err)
	}
	return all, nil
}

// FindParked tells what parked a stream. Errors: ErrNotParked.
func FindParked(ctx context.Context, db sqlx.QueryerContext, projection, stream string) (Parked, error) {
	var p Parked
	err := sqlx.GetContext(ctx, db, &p, selectParked+`WHERE projection = $1 AND stream = $2`, projection, stream)
	if errors.Is(err, sql.ErrNoRows) {
		return Parked{}, fmt.Errorf("%s for %s: %w", stream, projection, ErrNotParked)
	}
	if err != nil {
		return Parked{}, fmt.Errorf("look for %s parked for %s: %w", stream, projection, err)
	}
	return p, nil
}

// CountParked counts the parked streams of each projection that has any.
func CountParked(ctx context.Context, db sqlx.QueryerContext) (map[string]int64, error) {
	var rows []struct {
		Projection string `db:"projection"`
		Streams    int64  `db:"streams"`
	}
	if err := sqlx.SelectContext(ctx, db, &rows, `SELECT projection, count(*) AS streams FROM parked GROUP BY projection`); err != nil {
		return nil, fmt.Errorf("count parked streams: %w", err)
	}
	counts := make(map[string]int64, len(rows))
	for _, r := range rows {
		counts[r.Projection] = r.Streams
	}
	return counts, nil
}

// stopped are the streams of a batch that a projection does not go on with.
type stopped struct {
	parked    map[string]bool
	discarded map[string]int64 // the first version that is left out
}

// stoppedAmong tells which of these streams are parked or discarded for a projection.
func stoppedAmong(ctx context.Context, db sqlx.QueryerContext, projection string, streams []string) (stopped, error) {
	var found []struct {
		Stream string `db:"stream"`
		Out    int64  `db:"out"` // 0: parked
	}
	err := sqlx.SelectContext(ctx, db, &found, `SELECT stream, 0::bigint AS out FROM parked WHERE projection = $1 AND stream = ANY($2::text[])
		UNION ALL SELECT stream, version FROM discarded WHERE projection = $1 AND stream = ANY($2::text[])`,
		projection, eventstore.TextArray(streams))
	if err != nil {
		return stopped{}, fmt.Errorf("look for parked streams of %s: %w", projection, err)
	}
	s := stopped{map[string]bool{}, map[string]int64{}}
	for _, f := range found {
		if f.Out == 0 {
			s.parked[f.Stream] = true
		} else {
			s.discarded[f.Stream] = f.Out
		}
	}
	return s, nil
}

// park keeps the streams that can't be gone on with, in the transaction of the rows.
func park(ctx context.Context, tx *sqlx.Tx, all []Parked) error {
	for _, p := range all {
		if _, err := tx.ExecContext(ctx, `INSERT INTO parked (projection, stream, version, position, type, reason)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (projection, stream) DO NOTHING`,
			p.Projection, p.Stream, p.Version, p.Position, p.Type, p.Reason); err != nil {
			return fmt.Errorf("park %s for %s: %w", p.Stream, p.Projection, err)
		}
	}
	return nil
}
