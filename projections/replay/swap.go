package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"boxoffice/eventstore"
	"boxoffice/projections"
)

// Readers wait behind a lock that is waited for, so a swap waits shortly, lets everybody go on, and tries again.
// That is also much less than after what a deadlock is looked for.
const (
	lockWait    = 200 * time.Millisecond
	lockPause   = 300 * time.Millisecond
	lockWithin  = time.Minute // with a holder that stays, the replay is given up
	vacuumYield = 1500 * time.Millisecond
)

// ErrLocked says that somebody kept a table in use locked for so long that the new one could not take its place.
var ErrLocked = errors.New("the tables in use are locked by somebody else")

// attempt is how an attempt to swap ended.
type attempt int

const (
	finished attempt = iota
	behind           // too much was appended before it had its locks
	locked           // somebody reads the tables in use in a transaction that goes on
)

// finish brings the tables of a read model to the head under the lock of its checkpoints, judges what was not
// judged yet, and swaps them unless that is not wanted. Errors: ErrLocked, ErrChanged.
func (r *rebuild) finish(ctx context.Context, m *model) error {
	for end := time.Now().Add(lockWithin); ; {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		done, err := r.tryFinish(ctx, m)
		if done == finished || err != nil {
			return err
		}
		if time.Now().After(end) {
			if done == locked {
				return fmt.Errorf("%w: %s", ErrLocked, r.holders(ctx, m))
			}
			return fmt.Errorf("more is appended than can be caught up with: always more than %d events behind", tailEvents)
		}
		if done == behind {
			continue
		}
		r.progress(Progress{Phase: Swapping, Unit: unitReadModels, Total: int64(len(r.models)), Note: m.Name + " waits for " + r.holders(ctx, m)}, true)
		if err := rest(ctx, lockPause); err != nil {
			return err
		}
	}
}

func (r *rebuild) tryFinish(ctx context.Context, m *model) (_ attempt, err error) {
	tx, err := r.session.BeginTxx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, r.searchShadow()); err != nil {
		return 0, err
	}
	if err := projections.LockCheckpoints(ctx, tx, m.Name); err != nil {
		if unavailable(err) {
			return locked, nil
		}
		return 0, err
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return 0, err
	}
	if head.Position-r.at > tailEvents {
		return behind, nil
	}
	before := r.at
	if before < head.Position {
		err = r.read(ctx, r.at, head.Position, func(ctx context.Context, page []eventstore.Recorded, at int64) error {
			r.at = at
			return r.upsert(ctx, tx, m, page)
		})
		if err != nil {
			return 0, err
		}
	}
	if err := r.recheck(ctx, tx, m, true); err != nil {
		return 0, err
	}
	if r.cfg.DryRun {
		r.at = before // as the others are
		return finished, nil
	}
	done, err := r.swap(ctx, tx, m)
	if err != nil {
		return 0, err
	}
	m.found.Swapped = done == finished
	return done, r.others(ctx, m, before)
}

// swap puts the new tables into the place of the old ones, or, if those are locked, stores what was folded.
func (r *rebuild) swap(ctx context.Context, tx *sqlx.Tx, m *model) (attempt, error) {
	free, err := r.lockTables(ctx, tx, m)
	if err != nil {
		return 0, err
	}
	if !free {
		return locked, tx.Commit()
	}
	discarded, err := projections.DiscardedIn(ctx, r.db)
	if err != nil {
		return 0, err
	}
	if !maps.Equal(discarded[m.Name], m.out) {
		return 0, ErrChanged
	}
	if err := projections.Rebuilt(ctx, tx, m.Definition, r.at, m.build.Parked()); err != nil {
		return 0, err
	}
	var statements []string
	for _, t := range m.tables {
		statements = append(statements, "DROP TABLE "+r.qualified(r.live, t.name),
			"ALTER TABLE "+r.qualified(r.shadow, t.name)+" SET SCHEMA "+quoted(r.live))
	}
	if err := execAll(ctx, tx, statements); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, r.outcome(ctx, m, err)
	}
	return finished, nil
}

// outcomeWithin is how long the outcome of a commit is asked for.
const outcomeWithin = 15 * time.Second

// outcome learns whether a swap was committed whose answer got lost. The new tables stand in one schema or the other,
// and can't be read before the transaction has ended, however long the server is at it.
func (r *rebuild) outcome(ctx context.Context, m *model, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeWithin)
	defer cancel()
	for {
		_, err := r.db.ExecContext(ctx, "SELECT FROM "+r.qualified(r.shadow, m.tables[0].name)+" LIMIT 0")
		gone, answered := errors.AsType[*pq.Error](err)
		switch {
		case err == nil:
			return fmt.Errorf("commit: %w", cause)
		case answered && gone.Code == pqerror.UndefinedTable:
			return nil
		}
		if rest(ctx, time.Second) != nil {
			return fmt.Errorf("it is not known whether it was committed; boxoffice verify tells: %w", cause)
		}
	}
}
