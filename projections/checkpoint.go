package projections

import (
	"context"
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
	next     int64 // the Kafka offset that is read next
	position int64 // the last position of the log that was applied
	epoch    int64 // of the holder; a newer holder has a higher one
}

// take makes the caller the holder of a partition's checkpoint; whoever held it before can't move it any more.
func take(ctx context.Context, db *sqlx.DB, name string, p place) (checkpoint, error) {
	c := checkpoint{place: p}
	err := db.QueryRowContext(ctx, `INSERT INTO checkpoints AS t (name, topic, partition, epoch) VALUES ($1, $2, $3, 1)
		ON CONFLICT (name, topic, partition) DO UPDATE SET epoch = t.epoch + 1, updated_at = now()
		RETURNING next_offset, position, epoch`, name, p.topic, p.partition).Scan(&c.next, &c.position, &c.epoch)
	if err != nil {
		return checkpoint{}, fmt.Errorf("take checkpoint of %s at %s/%d: %w", name, p.topic, p.partition, err)
	}
	return c, nil
}

// move is the compare-and-set of a checkpoint from c to next, inside the transaction of the rows.
// Errors: ErrClaimLost.
func (c checkpoint) move(ctx context.Context, tx *sqlx.Tx, name string, next checkpoint) error {
	done, err := tx.ExecContext(ctx, `UPDATE checkpoints SET next_offset = $5, position = $6, updated_at = now()
		WHERE name = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $7`,
		name, c.topic, c.partition, c.epoch, next.next, next.position, c.next)
	if err != nil {
		return fmt.Errorf("move checkpoint of %s at %s/%d: %w", name, c.topic, c.partition, err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("checkpoint of %s at %s/%d is not at %d: %w", name, c.topic, c.partition, c.next, ErrClaimLost)
	}
	return nil
}
