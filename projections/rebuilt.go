package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// LockCheckpoints locks all checkpoints of a projection, and keeps others from being made, until the transaction
// ends: nothing is applied meanwhile.
func LockCheckpoints(ctx context.Context, tx *sqlx.Tx, projection string) error {
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, swapLock); err != nil {
		return fmt.Errorf("lock checkpoints of %s: %w", projection, err)
	}
	if _, err := tx.ExecContext(ctx, `SELECT FROM checkpoints WHERE name = $1 ORDER BY topic, partition FOR UPDATE`, projection); err != nil {
		return fmt.Errorf("lock checkpoints of %s: %w", projection, err)
	}
	return nil
}

// Rebuilt notes, in the transaction of a swap, that a read model was built anew up to a position, and which
// streams could not be gone on with. Whoever has folded from the old tables will fold again.
func Rebuilt(ctx context.Context, tx *sqlx.Tx, d Definition, position int64, parked []Parked) error {
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`UPDATE checkpoints SET generation = generation + 1 WHERE name = $1`, []any{d.Name}},
		{`DELETE FROM parked WHERE projection = $1`, []any{d.Name}},
		{
			`INSERT INTO read_models (projection, number, built_at, position) VALUES ($1, $2, now(), $3)
			ON CONFLICT (projection) DO UPDATE SET number = excluded.number, built_at = excluded.built_at, position = excluded.position`,
			[]any{d.Name, int64(d.Number), position},
		},
	} {
		if _, err := tx.ExecContext(ctx, step.query, step.args...); err != nil {
			return fmt.Errorf("note that %s was rebuilt: %w", d.Name, err)
		}
	}
	return park(ctx, tx, parked)
}

// Made says of which definition a read model's rows are.
type Made struct {
	Projection string     `db:"projection"`
	Number     int        `db:"number"`
	BuiltAt    *time.Time `db:"built_at"` // by a replay; nil: never
	Position   *int64     `db:"position"` // up to which it was built
	Wanted     int        `db:"-"`        // the number of this program's definition
}

// ReadModels tells of which definitions the read models are that anything was applied to. Where Number is below
// Wanted, a replay is needed.
func ReadModels(ctx context.Context, db sqlx.QueryerContext) ([]Made, error) {
	var all []Made
	if err := sqlx.SelectContext(ctx, db, &all, `SELECT projection, number, built_at, position FROM read_models ORDER BY projection`); err != nil {
		return nil, fmt.Errorf("read of which definitions the read models are: %w", err)
	}
	for i := range all {
		for _, p := range All() {
			if d := p.Definition(); d.Name == all[i].Projection {
				all[i].Wanted = d.Number
			}
		}
	}
	return all, nil
}
