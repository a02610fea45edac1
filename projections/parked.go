package projections

import (
	"context"
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

// ParkedStreams lists what is parked, oldest first, at most limit.
func ParkedStreams(ctx context.Context, db sqlx.QueryerContext, limit int) ([]Parked, error) {
	var all []Parked
	err := sqlx.SelectContext(ctx, db, &all, `SELECT projection, stream, version, position, type, reason, parked_at
		FROM parked ORDER BY position, projection LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked streams: %w", err)
	}
	return all, nil
}

// parkedAmong tells which of these streams are parked for a projection.
func parkedAmong(ctx context.Context, db sqlx.QueryerContext, projection string, streams []string) (map[string]bool, error) {
	var found []string
	err := sqlx.SelectContext(ctx, db, &found, `SELECT stream FROM parked WHERE projection = $1 AND stream = ANY($2::text[])`,
		projection, eventstore.TextArray(streams))
	if err != nil {
		return nil, fmt.Errorf("look for parked streams of %s: %w", projection, err)
	}
	parked := make(map[string]bool, len(found))
	for _, stream := range found {
		parked[stream] = true
	}
	return parked, nil
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
