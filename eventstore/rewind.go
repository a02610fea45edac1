package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// ErrNotRelayed: the relay has not come as far as it should go back to. Setting it forward would pass events over.
var ErrNotRelayed = errors.New("log: the relay has not come so far")

// Rewound says what Rewind has set back.
type Rewound struct {
	Relayed  int64 // the relay had published all up to here
	Restarts int   // partitions that projections read from their beginnings again
}

// Rewind lets the active relay, whichever it is, publish the log again from a position on, 1 ≤ from ≤ its position
// + 1. The new epoch takes the lead from it, because it goes by its memory and not by the row; it takes the lead
// again, or another one does, and begins there.
//
// From 1 on it is for topics that may have been made anew. An offset of the old ones may lie within the new ones, and
// what stands before it would never be read, so projections read their partitions from the beginning and pass over
// what their rows show. In the new epoch a running consumer loses its claim to the first message that comes, and
// takes it anew. From a later position on nothing comes to some partitions, so there they stay where they are.
// Errors: ErrNotRelayed, and then nothing was changed.
func (s *Store) Rewind(ctx context.Context, from int64) (r Rewound, err error) {
	if from < 1 {
		return r, fmt.Errorf("set the relay back to position %d: positions begin with 1", from)
	}
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return r, fmt.Errorf("set the relay back: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says why
		}
	}()
	if r, err = rewind(ctx, tx, from); err != nil {
		return Rewound{}, fmt.Errorf("set the relay back to position %d: %w", from, err)
	}
	return r, tx.Commit()
}

func rewind(ctx context.Context, tx *sqlx.Tx, from int64) (Rewound, error) {
	// All rows in one order, so that two who lock several never wait for each other.
	var rows []struct {
		Topic    string `db:"topic"`
		Position int64  `db:"position"`
	}
	if err := tx.SelectContext(ctx, &rows, `SELECT topic, position FROM checkpoints
		ORDER BY name, topic, partition FOR UPDATE`); err != nil {
		return Rewound{}, err
	}
	var r Rewound
	for _, row := range rows {
		if row.Topic == "" {
			r.Relayed = row.Position
			continue
		}
		if from == 1 {
			r.Restarts++
		}
	}
	if from > r.Relayed+1 {
		return Rewound{}, fmt.Errorf("%w: it has published up to position %d", ErrNotRelayed, r.Relayed)
	}
	// updated_at is the active relay's sign of life, by which others know that it hangs.
	if _, err := tx.ExecContext(ctx, `INSERT INTO checkpoints AS c (name, topic, partition, position, epoch) VALUES ('relay', '', 0, $1, 1)
		ON CONFLICT (name, topic, partition) DO UPDATE SET position = $1, epoch = c.epoch + 1`, from-1); err != nil {
		return Rewound{}, err
	}
	if r.Restarts == 0 {
		return r, nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE checkpoints SET next_offset = 0, epoch = epoch + 1, updated_at = clock_timestamp()
		WHERE topic <> ''`)
	return r, err
}
