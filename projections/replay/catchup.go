package replay

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/projections"
)

// tailEvents is how many events are folded under the locks of a swap at most.
const tailEvents = 5_000

// catchUp folds what was appended meanwhile into the new tables, until that is little.
func (r *rebuild) catchUp(ctx context.Context) error {
	for {
		head, err := r.log.Head(ctx)
		if err != nil {
			return err
		}
		if head.Position-r.at <= tailEvents/2 {
			return nil
		}
		if err := r.catchUpTo(ctx, head.Position); err != nil {
			return err
		}
	}
}

func (r *rebuild) catchUpTo(ctx context.Context, head int64) error {
	return r.read(ctx, r.at, head, func(ctx context.Context, page []eventstore.Recorded, at int64) error {
		err := r.inShadow(ctx, func(tx *sqlx.Tx) error {
			for _, m := range r.models {
				if err := r.upsert(ctx, tx, m, page); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("catch up to %d: %w", at, err)
		}
		r.at = at
		if !r.stored && r.rows() > r.cfg.MaxRows {
			r.store()
		}
		r.progress(Progress{Phase: Catching, Done: at, Total: head, Unit: unitEvents}, at == head)
		return nil
	})
}

// upsert folds events into the new tables of a read model that have their keys.
func (r *rebuild) upsert(ctx context.Context, tx *sqlx.Tx, m *model, page []eventstore.Recorded) error {
	if m.found.Swapped || m.ahead > 0 {
		return nil
	}
	var db sqlx.QueryerContext
	if r.stored {
		db = tx
	}
	if err := m.build.Add(ctx, db, page); err != nil {
		return err
	}
	refused, err := attempted(ctx, tx, func() error { return m.build.Rows().Save(ctx, tx) })
	if refused != nil {
		err = r.upsertEach(ctx, tx, m, page)
	}
	if err != nil {
		return err
	}
	m.build.Rows().Keep(nil)
	if r.stored {
		m.build.Rows().Keep(func(string) bool { return false })
	}
	return nil
}

// upsertEach stores the rows that a page has changed one by one, because one of them can't be stored.
func (r *rebuild) upsertEach(ctx context.Context, tx *sqlx.Tx, m *model, page []eventstore.Recorded) error {
	rows := m.build.Rows()
	for _, row := range rows.Keys() {
		if row.Position < page[0].Position {
			continue
		}
		store := func(filled []projections.Filled, trial bool) (refused, err error) {
			refused, err = attempted(ctx, tx, func() error {
				for _, f := range filled {
					if err := f.Upsert(ctx, tx); err != nil {
						return err
					}
				}
				return nil
			})
			if trial && refused == nil && err == nil {
				_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT step")
			}
			return refused, err
		}
		refused, err := store(rows.Filled([]projections.RowKey{row}), false)
		if refused != nil {
			err = r.salvage(ctx, m, row, refused, store)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attempted runs a step of a transaction; where Postgres refuses to store what it stores, and would again, the step is
// undone and the transaction goes on.
func attempted(ctx context.Context, tx *sqlx.Tx, step func() error) (refused, err error) {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT step"); err != nil {
		return nil, err
	}
	err = step()
	if !projections.Refused(err) {
		return nil, err
	}
	_, undone := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT step")
	return err, undone
}

// others brings the read models but one from a position to where that one is.
func (r *rebuild) others(ctx context.Context, but *model, from int64) error {
	to := r.at
	r.at = from
	if from == to {
		return nil
	}
	but.ahead = to
	defer func() { but.ahead = 0 }()
	return r.catchUpTo(ctx, to)
}
