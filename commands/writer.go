package commands

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// Writer decides commands in batches: everything that queued up while the last append ran is the
// next batch. One goroutine owns all states, so deciding needs no locks; the fence of log_head keeps
// several writers from deciding on states that are out of date.
type Writer struct {
	store *eventstore.Store
	log   *slog.Logger
	watch Observer

	in      chan *request // from people and gateways
	own     chan *request // from the service itself
	closed  atomic.Bool
	stopped chan struct{}
	name    string // makes command and batch ids of this process unique
	serial  atomic.Uint64

	// Below: owned by the goroutine of Run.
	head   eventstore.Head
	cache  cache
	keys   keys
	ids    orderIDs
	carry  []*request // must wait for the next batch
	turns  bool       // somebody else writes too: take turns
	calm   int        // turns in a row in which nobody else wrote
	dirty  chan<- int64
	tended time.Time // when the index of requests was brought up to date last

	indexing   atomic.Bool  // an update of the index runs
	indexed    atomic.Int64 // the index covers the log up to here
	background sync.WaitGroup
}

// Observer is told what the writer does, for metrics. Its functions may be nil.
type Observer struct {
	Decided  func(command string, err error)                // every command, with its refusal or fault
	Appended func(commands, events int, took time.Duration) // every append
	Turn     func()                                         // every turn taken because of another writer
	Replaced func()                                         // the log was found to be another one: caches dropped
}

// request is a command on its way through the writer.
type request struct {
	id      string
	command domain.Command
	origin  Origin
	done    chan struct{}

	// Filled by the writer before done is closed.
	answer   Answer
	replayOf int64 // position of the first event of the request that was answered before
	err      error

	first int // index in the batch of its first event, -1 for none
	last  int // index in the batch of its last event on its order or show
	twin  *request
}

// NewWriter makes a writer on a log; Run does the work. Snapshots of shows that grew are asked for on dirty, which may be nil.
func NewWriter(store *eventstore.Store, log *slog.Logger, watch Observer, dirty chan<- int64) *Writer {
	return &Writer{
		store: store, log: log, watch: watch, dirty: dirty,
		in: make(chan *request, maxQueue), own: make(chan *request, maxQueue), stopped: make(chan struct{}), name: strings.ToLower(rand.Text()[:nameLength]),
		cache: newCache(), keys: newKeys(), ids: orderIDs{store: store},
	}
}

// Do gives a command to the writer and waits for what becomes of it. A refusal is a *domain.Rejection.
// When ctx ends first the command may still be decided: the same request again gets the true answer.
func (w *Writer) Do(ctx context.Context, c domain.Command, o Origin) (Answer, error) {
	r := &request{id: w.newID("c"), command: c, origin: o, done: make(chan struct{})}
	if w.closed.Load() {
		return Answer{}, fmt.Errorf("writer has stopped: %w", ErrUnavailable)
	}
	queue := w.in
	if o.Actor == ActorSystem {
		queue = w.own
	}
	o.turn.wait(ctx)
	select {
	case queue <- r:
		o.turn.pass()
	default:
		return Answer{}, ErrOverloaded
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait for the writer: %w: %w", ErrUnavailable, ctx.Err())
	case <-w.stopped:
		select {
		case <-r.done:
		default:
			return Answer{}, fmt.Errorf("writer has stopped: %w", ErrUnavailable)
		}
	}
	if r.replayOf > 0 {
		r.answer, r.err = w.firstAnswer(ctx, r)
	}
	if w.watch.Decided != nil {
		w.watch.Decided(commandName(c), r.err)
	}
	return r.answer, r.err
}

// nameLength is how many random characters of five bits tell the ids of this process from those of others.
const nameLength = 12

func (w *Writer) newID(kind string) string {
	return kind + "-" + w.name + "-" + strconv.FormatUint(w.serial.Add(1), 36)
}

// Run works until ctx ends and what was taken is answered, at most drainLimit longer.
func (w *Writer) Run(ctx context.Context) error {
	defer close(w.stopped)
	defer w.background.Wait()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		w.closed.Store(true)
		limit := time.AfterFunc(drainLimit, cancel)
		context.AfterFunc(work, func() { limit.Stop() })
	})
	defer stop()
	if !w.start(ctx) {
		return nil
	}
	for {
		batch := w.collect(ctx)
		if len(batch) == 0 {
			return nil
		}
		w.settle(work, batch)
		w.tend(work)
	}
}

// start reads the head, with patience while the log can't be reached. It reports false when ctx ended before.
func (w *Writer) start(ctx context.Context) bool {
	for pause := faultPause; ; pause = min(2*pause, faultCeiling) {
		err := w.restart(ctx)
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		w.log.WarnContext(ctx, "writer waits for the log", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// restart forgets all states and begins at the head of the log, behind which all request keys are in the index.
func (w *Writer) restart(ctx context.Context) error {
	w.background.Wait() // what it learns of the index belongs to the log that was
	w.indexed.Store(0)
	head, err := w.store.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	for indexed := int64(-1); indexed < head.Position; {
		if indexed, err = w.store.IndexRequests(ctx, head.Position, indexPage); err != nil {
			return fmt.Errorf("index requests: %w", err)
		}
	}
	w.head, w.cache, w.keys, w.ids = head, newCache(), newKeys(), orderIDs{store: w.store}
	return nil
}

// collect waits for a command and takes what else is queued, without a timer. Somebody waits for an answer to
// what people sent, so most of a batch is theirs; the service's own commands have a share of every batch, and
// all of it when nobody else wants anything. Nothing is left when collect returns none.
func (w *Writer) collect(ctx context.Context) []*request {
	batch := w.carry
	w.carry = nil
	if len(batch) == 0 && len(w.in) == 0 && len(w.own) == 0 {
		select {
		case r := <-w.in:
			batch = append(batch, r)
		case r := <-w.own:
			batch = append(batch, r)
		case <-ctx.Done():
		}
	}
	batch = drain(batch, w.in, maxBatch-min(len(w.own), maxBatch/ownShare))
	if len(batch) == 0 {
		return drain(batch, w.own, maxBatch)
	}
	return drain(batch, w.own, len(batch)+max(len(batch)/ownShare, ownLeast))
}

// drain fills a batch up to a size from what is queued now.
func drain(batch []*request, queue <-chan *request, size int) []*request {
	for len(batch) < size {
		select {
		case r := <-queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// finish answers a request.
func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

func finishAll(requests []*request, err error) {
	for _, r := range requests {
		r.finish(err)
	}
}
