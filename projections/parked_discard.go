package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// discardPage is how many events that discard something are read at once.
const discardPage = 500

// Discarded is a stream that a projection leaves out, from a version on.
type Discarded struct {
	Projection  string    `db:"projection"`
	Stream      string    `db:"stream"`
	Version     int64     `db:"version"` // the first that is left out
	Reason      string    `db:"reason"`
	Position    int64     `db:"position"` // of the event that says so
	DiscardedAt time.Time `db:"discarded_at"`
}

// DiscardedAfter lists discarded streams after one that was discarded at a time, oldest first, at most limit.
func DiscardedAfter(ctx context.Context, db sqlx.QueryerContext, at time.Time, projection, stream string, limit int) ([]Discarded, error) {
	var all []Discarded
	err := sqlx.SelectContext(ctx, db, &all, `SELECT projection, stream, version, reason, position, discarded_at FROM discarded
		WHERE (discarded_at, projection, stream) > ($1, $2, $3) ORDER BY discarded_at, projection, stream LIMIT $4`, at, projection, stream, limit)
	if err != nil {
		return nil, fmt.Errorf("list discarded streams: %w", err)
	}
	return all, nil
}

// IndexDiscarded brings the index of what was discarded up to the log and takes the marks of those streams and
// dead letters away. The log alone decides: whatever becomes of the index, this fills it again. A stream stays
// out from the version that was discarded first.
func IndexDiscarded(ctx context.Context, db *sqlx.DB) error {
	err := eachDiscard(ctx, db, func(e eventstore.Recorded, d domain.StreamDiscarded) error {
		if err := indexDiscard(ctx, db, e, d); err != nil {
			return fmt.Errorf("by %s: %w", e.ID(), err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index what was discarded: %w", err)
	}
	return nil
}

// DiscardedIn reads from the log which streams each projection leaves out, and from which version on.
func DiscardedIn(ctx context.Context, db *sqlx.DB) (map[string]map[string]int64, error) {
	out := map[string]map[string]int64{}
	err := eachDiscard(ctx, db, func(_ eventstore.Recorded, d domain.StreamDiscarded) error {
		if d.Letter != nil {
			return nil
		}
		if out[d.Projection] == nil {
			out[d.Projection] = map[string]int64{}
		}
		if _, before := out[d.Projection][d.Stream]; !before {
			out[d.Projection][d.Stream] = d.Version
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was discarded: %w", err)
	}
	return out, nil
}

// eachDiscard goes over the events that discard something, in their order. One that can't be read is passed over:
// whatever a newer program meant by it, this one can't do it.
func eachDiscard(ctx context.Context, db *sqlx.DB, each func(eventstore.Recorded, domain.StreamDiscarded) error) error {
	for stream, version := "", int64(0); ; {
		page, err := discards(ctx, db, stream, version)
		if err != nil {
			return err
		}
		for _, e := range page {
			stream, version = e.Stream, e.Version
			ev, err := decode(e)
			d, ok := ev.(domain.StreamDiscarded)
			if err != nil || !ok {
				continue
			}
			if err := each(e, d); err != nil {
				return err
			}
		}
		if len(page) < discardPage {
			return nil
		}
	}
}

// discards reads events that discard something, after one of them. The streams' names begin with inbox- and are
// in the order of their months, so that is the order of positions, too.
func discards(ctx context.Context, db *sqlx.DB, stream string, version int64) (page []eventstore.Recorded, err error) {
	rows, err := db.QueryContext(ctx, `SELECT position, stream, version, schema_version, data, recorded_at FROM events
		WHERE stream >= 'inbox-' AND stream < 'inbox.' AND (stream, version) > ($1, $2) AND type = 'StreamDiscarded'
		ORDER BY stream, version LIMIT $3`, stream, version, discardPage)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e := eventstore.Recorded{Event: eventstore.Event{Type: domain.StreamDiscarded{}.EventType()}}
		var data []byte
		if err := rows.Scan(&e.Position, &e.Stream, &e.Version, &e.SchemaVersion, &data, &e.RecordedAt); err != nil {
			return nil, err
		}
		e.Data = data
		page = append(page, e)
	}
	return page, rows.Err()
}

func indexDiscard(ctx context.Context, db *sqlx.DB, e eventstore.Recorded, d domain.StreamDiscarded) (err error) {
	if d.Letter != nil {
		return LetterDone(ctx, db, Letter{d.Letter.Partition, d.Letter.Offset, d.Letter.Digest}, "discarded", d.Reason)
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says why
		}
	}()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, swapLock); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO discarded (projection, stream, version, reason, position, discarded_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (projection, stream) DO NOTHING`,
		d.Projection, d.Stream, d.Version, d.Reason, e.Position, e.RecordedAt); err != nil {
		return err
	}
	// Always, because a consumer that did not know of it yet may have parked the stream once more.
	if _, err := tx.ExecContext(ctx, `DELETE FROM parked WHERE projection = $1 AND stream = $2 AND version >= $3`,
		d.Projection, d.Stream, d.Version); err != nil {
		return err
	}
	return tx.Commit()
}

// Letter is the place of a dead letter in dead-letter-topic, and its digest.
type Letter struct {
	Partition int32
	Offset    int64
	Digest    string
}

// LetterDone notes what became of a dead letter: retried, or discarded with a reason. The first outcome stays.
func LetterDone(ctx context.Context, db sqlx.ExtContext, l Letter, outcome, reason string) error {
	_, err := db.ExecContext(ctx, `INSERT INTO dead_letters_done (letter_partition, letter_offset, digest, outcome, reason)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, int64(l.Partition), l.Offset, l.Digest, outcome, reason)
	if err != nil {
		return fmt.Errorf("note what became of dead letter %d/%d: %w", l.Partition, l.Offset, err)
	}
	return nil
}

// LettersDone tells which of these letters were sent again or discarded.
func LettersDone(ctx context.Context, db sqlx.QueryerContext, letters []Letter) (map[Letter]bool, error) {
	partitions, offsets := make([]int64, len(letters)), make([]int64, len(letters))
	for i, l := range letters {
		partitions[i], offsets[i] = int64(l.Partition), l.Offset
	}
	var rows []struct {
		Partition int32  `db:"letter_partition"`
		Offset    int64  `db:"letter_offset"`
		Digest    string `db:"digest"`
	}
	err := sqlx.SelectContext(ctx, db, &rows, `SELECT d.letter_partition, d.letter_offset, d.digest FROM dead_letters_done d
		JOIN unnest($1::bigint[], $2::bigint[]) AS u (p, o) ON d.letter_partition = u.p AND d.letter_offset = u.o`,
		eventstore.Int8Array(partitions), eventstore.Int8Array(offsets))
	if err != nil {
		return nil, fmt.Errorf("look for dead letters that are done: %w", err)
	}
	done := make(map[Letter]bool, len(rows))
	for _, r := range rows {
		done[Letter{r.Partition, r.Offset, r.Digest}] = true
	}
	return done, nil
}
