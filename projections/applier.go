package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// ErrClaimLost says that another consumer has taken a partition over: its claim must be dropped.
var ErrClaimLost = errors.New("projections: the partition has another consumer")

// Applier keeps a projection's read model up to date with batches of messages. It is safe for concurrent
// use by several partitions; one partition's batches come one after another.
type Applier struct {
	projection Projection
	db         *sqlx.DB
	store      *eventstore.Store
	log        *slog.Logger

	mu     sync.Mutex
	claims map[place]checkpoint // stored, as far as this process knows
	head   int64                // the highest position that the log is known to have
	tally  Tally
	own    ownRound // of trying parked streams again
}

// Tally counts what an Applier has done since it was made.
type Tally struct {
	Folded    int64 // events that changed a row
	Repeats   int64 // events that a row showed already
	Gaps      int64 // times that events were missing and read from the log
	Parked    int64 // streams that could not be gone on with
	Unparked  int64 // streams that were parked and went on when this consumer tried them again
	Waiting   int64 // events that wait behind a parked one
	Discarded int64 // events that are left out because an operator discarded their streams
	Foreign   int64 // messages that are no events of the log
	Restarts  int64 // times that a checkpoint was beyond its partition's end, and all was read again
	Lost      int64 // times that messages after a checkpoint were gone: the read model needs a replay
}

// NewApplier makes an Applier that writes to db and heals from store.
func NewApplier(p Projection, db *sqlx.DB, store *eventstore.Store, log *slog.Logger) *Applier {
	return &Applier{projection: p, db: db, store: store, log: log, claims: map[place]checkpoint{}}
}

// Tally returns the counts so far.
func (a *Applier) Tally() Tally {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tally
}

// Start takes a partition and tells the offset to read first. Oldest is the partition's first offset, newest
// the one that the next message will get. A checkpoint beyond newest means that the topic was made anew: all
// of it is read, and what the rows show already is skipped. Messages that are gone between the checkpoint
// and oldest are told as an error in the log and in Tally.Lost; rows heal where their streams go on. What is
// parked is tried once more.
func (a *Applier) Start(ctx context.Context, topic string, partition int32, oldest, newest int64) (int64, error) {
	name := a.projection.Definition().Name
	c, err := take(ctx, a.db, a.projection.Definition(), place{topic, partition})
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	a.claims[c.place] = c
	a.mu.Unlock()
	a.retryParked(ctx, true)
	log := a.log.With("projection", name, "topic", topic, "partition", partition, "checkpoint", c.next)
	if number := a.projection.Definition().Number; c.number < number {
		log.ErrorContext(ctx, "the read model was made by an older definition: run boxoffice replay", "number", c.number, "wanted", number)
	}
	switch {
	case c.next > newest:
		log.WarnContext(ctx, "checkpoint is beyond the partition's end, all of it is read again", "end", newest)
		a.count(Tally{Restarts: 1})
		return oldest, nil
	case c.next < oldest:
		log.ErrorContext(ctx, "messages after the checkpoint are gone, the read model needs a replay", "oldest", oldest)
		a.count(Tally{Lost: 1})
		return oldest, nil
	default:
		return c.next, nil
	}
}

// Apply folds a batch of a partition into the read model. Rows, parked streams and the checkpoint are written
// in one transaction, the checkpoint first. Errors: ErrClaimLost, and then the partition must be dropped;
// with any other the same batch may be applied again. What Start had no time to try once more is tried after it.
//
// Rows are read before the transaction: a row at a version is the same whoever folded it, and is written
// only over a lower version, so nothing but the checkpoint has to be locked, no gap is healed while a
// transaction is open, and a holder that was overtaken fails at the checkpoint.
func (a *Applier) Apply(ctx context.Context, topic string, partition int32, batch []Message) error {
	at := place{topic, partition}
	a.mu.Lock()
	stored, ok := a.claims[at]
	a.mu.Unlock()
	if !ok {
		return fmt.Errorf("apply to %s at %s/%d: %w", a.projection.Definition().Name, topic, partition, ErrClaimLost)
	}
	if len(batch) == 0 {
		return nil
	}
	events, foreign, err := a.eventsOf(ctx, at, batch)
	if err != nil {
		return fmt.Errorf("apply to %s: %w", a.projection.Definition().Name, err)
	}
	next := stored
	next.next = batch[len(batch)-1].Offset + 1
	for _, e := range events {
		next.position = max(next.position, e.Position)
	}
	f, err := a.foldAndWrite(ctx, stored, next, events)
	for swapped := (*swappedError)(nil); errors.As(err, &swapped); {
		if err = checkNumber(ctx, a.db, a.projection.Definition()); err != nil {
			break
		}
		stored.generation, next.generation = swapped.generation, swapped.generation
		f, err = a.foldAndWrite(ctx, stored, next, events)
	}
	if err != nil {
		return fmt.Errorf("apply to %s: %w", a.projection.Definition().Name, err)
	}
	a.mu.Lock()
	a.claims[at] = next
	a.mu.Unlock()
	f.tally.Foreign = foreign
	a.count(f.tally)
	for _, p := range f.parked {
		a.log.ErrorContext(ctx, "stream is parked", "projection", p.Projection, "stream", p.Stream, "version", p.Version, "reason", p.Reason)
	}
	a.retryParked(ctx, false)
	return nil
}

// foldAndWrite folds a batch and stores what it makes. Events after which a row can't be stored park their streams.
func (a *Applier) foldAndWrite(ctx context.Context, stored, next checkpoint, events []eventstore.Recorded) (*folding, error) {
	f, err := a.tryToWrite(ctx, stored, next, events, nil)
	if !Refused(err) {
		return f, err
	}
	poison, err := a.unsavable(ctx, events)
	if err != nil {
		return nil, err
	}
	return a.tryToWrite(ctx, stored, next, events, poison)
}

func (a *Applier) tryToWrite(ctx context.Context, stored, next checkpoint, events []eventstore.Recorded, poison map[string]error) (*folding, error) {
	f, err := foldBatch(ctx, a.projection, a.db, a.store.ReadStream, events, poison)
	if err != nil {
		return nil, err
	}
	return f, a.write(ctx, stored, next, f)
}

func (a *Applier) write(ctx context.Context, stored, next checkpoint, f *folding) (err error) {
	tx, err := a.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says why
		}
	}()
	// What a crash takes is taken with its checkpoint and comes again from Kafka, so nobody waits for the disk here.
	if _, err := tx.ExecContext(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := stored.move(ctx, tx, a.projection.Definition().Name, next); err != nil {
		return err
	}
	if err := park(ctx, tx, f.parked); err != nil {
		return err
	}
	if err := f.rows.Save(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (a *Applier) count(more Tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tally.Folded += more.Folded
	a.tally.Repeats += more.Repeats
	a.tally.Gaps += more.Gaps
	a.tally.Parked += more.Parked
	a.tally.Unparked += more.Unparked
	a.tally.Waiting += more.Waiting
	a.tally.Discarded += more.Discarded
	a.tally.Foreign += more.Foreign
	a.tally.Restarts += more.Restarts
	a.tally.Lost += more.Lost
}
