package projections

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Limits of the retries that a consumer makes by itself.
const (
	ownRetries = 200              // streams that are looked up at once
	ownTime    = 2 * time.Second  // of a round; the partition waits meanwhile
	ownPause   = 10 * time.Second // between two rounds; a rebalance hands partitions over one by one
)

// swapTries is how often a retry begins in all while replays swap its tables.
const swapTries = 4

// lastLook is how long a retry may take to make good what was passed over while it ran.
const lastLook = 3 * time.Second

// Retry goes on with a parked stream from the log: it folds what stopped it and all that came after, writes the
// row and takes the mark away. If that fails again, still says where and why; the mark tells the same and the
// stream waits on. It may run beside the consumer. Errors: ErrNotParked.
func Retry(ctx context.Context, p Projection, db *sqlx.DB, store *eventstore.Store, stream string) (still *Parked, err error) {
	was, err := FindParked(ctx, db, p.Definition().Name, stream)
	if err != nil {
		return nil, err
	}
	r := retrial{projection: p, db: db, store: store, stream: stream}
	from, err := r.start(ctx, was)
	if err != nil {
		return nil, fmt.Errorf("retry %s for %s: %w", stream, was.Projection, err)
	}
	next, still, err := r.goOnAnew(ctx, from, r.unpark)
	if Refused(err) {
		was.Reason = fmt.Sprintf("its row can't be stored: %v", err)
		return &was, nil
	}
	if err == nil && still == nil {
		// A consumer that saw the mark until just now has passed over what was appended since the log was read. Nobody
		// knows of that any more, so it is made good even if the caller has lost its partitions meanwhile.
		lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
		_, still, err = r.goOnAnew(lasting, next, park)
	}
	if err != nil {
		return nil, fmt.Errorf("retry %s for %s: %w", stream, was.Projection, err)
	}
	return still, nil
}

// retrial is one retry of a stream.
type retrial struct {
	projection Projection
	db         *sqlx.DB
	store      *eventstore.Store
	stream     string
}

// start is the version after which the log has to be read. An event that the log does not have (a forged message)
// says nothing about what was passed over since.
func (r retrial) start(ctx context.Context, was Parked) (int64, error) {
	last, found, err := r.store.LastAt(ctx, r.stream, math.MaxInt64)
	if err != nil || !found || last.Version < was.Version {
		return 0, err
	}
	return was.Version - 1, nil
}

// goOnAnew is goOn, again with the rows of the new tables where a replay has swapped them meanwhile.
func (r retrial) goOnAnew(ctx context.Context, after int64, mark func(context.Context, *sqlx.Tx, []Parked) error) (next int64, still *Parked, err error) {
	for range swapTries {
		next, still, err = r.goOn(ctx, after, mark)
		if swapped := (*swappedError)(nil); !errors.As(err, &swapped) {
			break
		}
	}
	return next, still, err
}

// goOn folds the stream after a version, to its end or to what can't be folded, and writes the rows together with
// what mark does about the parked stream. It returns the version up to which it has read.
func (r retrial) goOn(ctx context.Context, after int64, mark func(context.Context, *sqlx.Tx, []Parked) error) (_ int64, _ *Parked, err error) {
	f := &folding{projection: r.projection, read: r.store.ReadStream, rows: r.projection.Rows(), loaded: map[string]bool{}}
	stopped, err := stoppedAmong(ctx, r.db, r.projection.Definition().Name, []string{r.stream})
	if err != nil {
		return 0, nil, err
	}
	f.out = stopped.discarded
	generation, err := generationOf(ctx, r.db, r.projection.Definition().Name, "")
	if err != nil {
		return 0, nil, err
	}
	for {
		page, err := r.store.ReadStream(ctx, r.stream, after, healPage)
		if err != nil {
			return 0, nil, err
		}
		feeding, err := f.feeding(ctx, page)
		if err == nil {
			err = f.add(ctx, r.db, feeding)
		}
		if err != nil {
			return 0, nil, err
		}
		if len(page) > 0 {
			after = page[len(page)-1].Version
		}
		if len(page) < healPage || len(f.parked) > 0 {
			break
		}
	}
	tx, err := r.db.BeginTxx(ctx, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says why
		}
	}()
	switch now, err := generationOf(ctx, tx, r.projection.Definition().Name, "FOR KEY SHARE"); {
	case err != nil:
		return 0, nil, err
	case now != generation:
		return 0, nil, &swappedError{now} // the rows were read before a replay swapped the tables
	}
	if err := mark(ctx, tx, f.parked); err != nil {
		return 0, nil, err
	}
	if err := f.rows.Save(ctx, tx); err != nil {
		return 0, nil, err
	}
	if err := tx.Commit(); err != nil {
		return 0, nil, fmt.Errorf("commit: %w", err)
	}
	if len(f.parked) > 0 {
		return after, &f.parked[0], nil
	}
	return after, nil, nil
}

// unpark takes the mark away or, where the stream can't be gone on with again, moves it. Errors: ErrNotParked.
func (r retrial) unpark(ctx context.Context, tx *sqlx.Tx, again []Parked) error {
	name := r.projection.Definition().Name
	query, args := `DELETE FROM parked WHERE projection = $1 AND stream = $2`, []any{name, r.stream}
	if len(again) > 0 {
		query = `UPDATE parked SET version = $3, position = $4, type = $5, reason = $6 WHERE projection = $1 AND stream = $2`
		args = append(args, again[0].Version, again[0].Position, again[0].Type, again[0].Reason)
	}
	done, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("unpark: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return ErrNotParked // somebody else was quicker
	}
	return nil
}

// ownRound is how far a consumer has come with what is parked.
type ownRound struct {
	at    time.Time // of the newest round
	after Parked    // the last one that was tried
	more  bool      // there were more after it
	anew  bool      // the next round begins with the oldest
}

// retryParked tries what is parked once more, because whoever takes partitions over may be a newer program than the
// one that parked it, perhaps thousands of streams during a rollout: anew from the oldest, and then round by round
// until all were tried once. What fails stays parked; after a fault the next round goes on behind it.
func (a *Applier) retryParked(ctx context.Context, anew bool) {
	a.mu.Lock()
	a.own.anew = a.own.anew || anew
	round := a.own
	begins := (round.anew || round.more) && time.Since(round.at) >= ownPause
	if begins {
		a.own.at, a.own.anew = time.Now(), false // the other partitions leave it to this one
	}
	a.mu.Unlock()
	if !begins {
		return
	}
	var err error
	if round.anew {
		round.after, round.more = Parked{}, true
		err = IndexDiscarded(ctx, a.db)
	}
	if err == nil {
		round.after, round.more, err = a.retryAfter(ctx, round.after)
	}
	a.mu.Lock()
	a.own.after, a.own.more = round.after, round.more
	a.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "parked streams were not tried again", "projection", a.projection.Definition().Name, "error", err)
	}
}

// retryAfter tries what was parked after a stream, and tells the last that it has tried and whether there are more.
func (a *Applier) retryAfter(ctx context.Context, after Parked) (last Parked, more bool, err error) {
	name := a.projection.Definition().Name
	for begun := time.Now(); ; {
		var page []Parked
		if err := a.db.SelectContext(ctx, &page, selectParked+`WHERE projection = $1 AND (parked_at, stream) > ($2, $3)
			ORDER BY parked_at, stream LIMIT $4`, name, after.ParkedAt, after.Stream, ownRetries); err != nil {
			return after, true, err
		}
		for _, p := range page {
			if time.Since(begun) > ownTime {
				return after, true, nil
			}
			after = p // whatever becomes of it, it must not hold up the others
			still, err := Retry(ctx, a.projection, a.db, a.store, p.Stream)
			switch {
			case errors.Is(err, ErrNotParked): // somebody else was quicker
			case err != nil:
				return after, true, err
			case still == nil:
				a.count(Tally{Unparked: 1})
				a.log.InfoContext(ctx, "a parked stream goes on", "projection", name, "stream", p.Stream)
			}
		}
		if len(page) < ownRetries {
			return after, false, nil
		}
	}
}
