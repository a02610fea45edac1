package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// checkpoint is how far a projection has read a partition, as its holder knows it.
type checkpoint struct {
	place
	next       int64 // the Kafka offset that is read next
	position   int64 // the last position of the log that was applied
	epoch      int64 // of the holder; a newer holder has a higher one
	generation int64 // of the projection's tables; a replay that swaps them raises it
	number     int   // of the definition that made the tables' rows
}

// swapLock is the advisory lock of a swap ("boxoswap"). Who takes a checkpoint shares it, so that a swap finds
// every checkpoint that there is.
const swapLock = int64(0x626f786f73776170)

// take makes the caller the holder of a partition's checkpoint; whoever held it before can't move it any more.
func take(ctx context.Context, db *sqlx.DB, d Definition, p place) (c checkpoint, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take checkpoint of %s at %s/%d: %w", d.Name, p.topic, p.partition, err)
		}
	}()
	c = checkpoint{place: p}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return checkpoint{}, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, swapLock); err != nil {
		return checkpoint{}, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO read_models AS t (projection, number) VALUES ($1, $2)
		ON CONFLICT (projection) DO UPDATE SET number = t.number RETURNING number`, d.Name, int64(d.Number)).Scan(&c.number)
	if err == nil && c.number > d.Number {
		err = errNewer
	}
	if err != nil {
		return checkpoint{}, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO checkpoints AS t (name, topic, partition, epoch) VALUES ($1, $2, $3, 1)
		ON CONFLICT (name, topic, partition) DO UPDATE SET epoch = t.epoch + 1, updated_at = now()
		RETURNING next_offset, position, epoch, generation`, d.Name, p.topic, p.partition).Scan(&c.next, &c.position, &c.epoch, &c.generation)
	if err != nil {
		return checkpoint{}, err
	}
	return c, tx.Commit()
}

// swappedError says that a replay has swapped the tables since rows were read from them.
type swappedError struct{ generation int64 }

func (e *swappedError) Error() string {
	return fmt.Sprintf("the tables were swapped by a replay and are of generation %d now", e.generation)
}

// move is the compare-and-set of a checkpoint from c to next, inside the transaction of the rows.
// Errors: ErrClaimLost, *swappedError.
func (c checkpoint) move(ctx context.Context, tx *sqlx.Tx, name string, next checkpoint) error {
	var generation int64
	err := tx.QueryRowContext(ctx, `UPDATE checkpoints SET next_offset = $5, position = $6, updated_at = now()
		WHERE name = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $7 RETURNING generation`,
		name, c.topic, c.partition, c.epoch, next.next, next.position, c.next).Scan(&generation)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("checkpoint of %s at %s/%d is not at %d: %w", name, c.topic, c.partition, c.next, ErrClaimLost)
	case err != nil:
		return fmt.Errorf("move checkpoint of %s at %s/%d: %w", name, c.topic, c.partition, err)
	case generation != c.generation:
		return &swappedError{generation}
	}
	return nil
}

// errNewer says that a replay by a newer program has made the tables: this one may not write to them.
var errNewer = fmt.Errorf("the read model was made by a newer definition than this program has: %w", ErrClaimLost)

// checkNumber is errNewer if the tables are of a newer definition.
func checkNumber(ctx context.Context, db sqlx.QueryerContext, d Definition) error {
	var number int
	err := sqlx.GetContext(ctx, db, &number, `SELECT coalesce(max(number), 0) FROM read_models WHERE projection = $1`, d.Name)
	if err != nil {
		return fmt.Errorf("number of %s: %w", d.Name, err)
	}
	if number > d.Number {
		return fmt.Errorf("%s: %w", d.Name, errNewer)
	}
	return nil
}

// generationOf is the generation of a projection's tables, over all its checkpoints. Inside a transaction of rows
// it locks them, so that no swap comes in between.
func generationOf(ctx context.Context, db sqlx.QueryerContext, name, lock string) (sum int64, err error) {
	err = sqlx.GetContext(ctx, db, &sum, `SELECT coalesce(sum(generation), 0)::bigint FROM
		(SELECT generation FROM checkpoints WHERE name = $1 ORDER BY topic, partition `+lock+`) AS c`, name)
	if err != nil {
		return 0, fmt.Errorf("generation of %s: %w", name, err)
	}
	return sum, nil
}
