package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// stopWithin is how long the parts may take to end: HTTP has 5 s and the writer behind it 3 s more. A process
// has to be gone 10 s after it was told to end.
const stopWithin = 9 * time.Second

// ErrAbandoned is in the tree of Run's error when parts had not ended in time. They still run, and only the
// end of the process ends them: a database that is stopped but whose host lives on answers neither a query
// nor its cancellation. Nothing that was answered is lost with them.
var ErrAbandoned = errors.New("some parts did not end and are abandoned")

// Run runs the roles until ctx ends or a part fails, and then at most Options.StopWithin longer. Errors: what a
// part failed with; ErrAbandoned, after which the process must end.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := &parts{running: map[string]int{}}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, cancel, o, parts) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if o.StopWithin <= 0 {
		o.StopWithin = stopWithin
	}
	limit := time.NewTimer(o.StopWithin)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-limit.C:
	}
	err := fmt.Errorf("%w after %s: %s", ErrAbandoned, o.StopWithin, strings.Join(parts.names(), ", "))
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// start adds a part to the running service.
type start func(name string, run func(context.Context) error)

// run is Run without a limit to its end. cancel ends ctx with the fault of a part.
func run(ctx context.Context, cancel context.CancelCauseFunc, o Options, running *parts) error {
	defer running.began("connections to Postgres")()
	s := &service{Options: o, metrics: newMetrics(), topics: make(chan struct{})}
	if err := s.open(); err != nil {
		return err
	}
	defer func() { _ = errors.Join(s.db.Close(), s.reads.Close()) }()
	// Whoever takes orders stops first; what serves them goes on until they have ended.
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	front, back := &errgroup.Group{}, &errgroup.Group{}
	in := func(g *errgroup.Group, on context.Context, name string, run func(context.Context) error) {
		ended := running.began(name)
		g.Go(func() error {
			defer ended()
			err := run(on)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				cancel(err)
			}
			return err
		})
	}
	in(front, ctx, "metrics", s.serveMetrics) // alive, though not ready, also while Postgres is away
	if err := s.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return front.Wait() // told to end, or the metrics can't be served
		}
		cancel(err)
		return errors.Join(err, front.Wait())
	}
	s.prepared.Store(true)
	if err := s.wire(
		func(name string, run func(context.Context) error) { in(front, ctx, name, run) },
		func(name string, run func(context.Context) error) { in(back, behind, name, run) },
	); err != nil {
		cancel(err)
		stop()
		return errors.Join(err, front.Wait(), back.Wait())
	}
	failed := front.Wait()
	stop()
	return errors.Join(failed, back.Wait())
}

// parts are the names of what runs.
type parts struct {
	mu      sync.Mutex
	running map[string]int
}

// began notes a part; the returned function notes its end.
func (p *parts) began(name string) (ended func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[name]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.running[name]--; p.running[name] == 0 {
			delete(p.running, name)
		}
	}
}

// names are the parts that have not ended, in order.
func (p *parts) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.running))
}
