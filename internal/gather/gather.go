// Package gather runs one function for many concurrent callers, so that what they ask for becomes
// one query instead of many.
package gather

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrBroken is returned where the gathered function panicked or answered another number of callers than it was given.
var ErrBroken = errors.New("gathered call broke")

// Runner gathers concurrent calls. While one run is under way, callers queue up and are the next run
// together; a caller that finds nothing under way runs at once. So it adds no delay, and the busier
// the callers are, the larger the runs become. Nothing runs in the background: each run is done by
// the first of its own callers.
type Runner[In, Out any] struct {
	run     func(context.Context, []In) ([]Out, error)
	most    int           // callers of one run
	timeout time.Duration // of one run

	mu      sync.Mutex
	busy    bool
	waiting []*call[In, Out]
}

type call[In, Out any] struct {
	in      In
	out     Out
	err     error
	leading bool      // it was told to lead the next run
	wake    chan bool // true: lead a run; false: answered
}

// New makes a Runner. run answers its inputs in their order, or fails for all of them; it gets at
// most that many inputs, and its context ends after timeout but not with any one caller's.
func New[In, Out any](most int, timeout time.Duration, run func(context.Context, []In) ([]Out, error)) *Runner[In, Out] {
	return &Runner[In, Out]{run: run, most: most, timeout: timeout}
}

// Do gives in to a run and returns its answer. A caller whose context ends leaves, and its answer is
// lost; what run did for it stays done. Errors: those of run, the context's, ErrBroken.
func (r *Runner[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	c := &call[In, Out]{in: in, wake: make(chan bool, 1)}
	r.mu.Lock()
	lead := !r.busy
	r.busy, c.leading = true, lead
	r.waiting = append(r.waiting, c)
	r.mu.Unlock()

	if !lead {
		select {
		case lead = <-c.wake:
		case <-ctx.Done():
			if r.leave(c) {
				return *new(Out), ctx.Err()
			}
			lead = <-c.wake // it was chosen to lead, and others wait for that
		}
	}
	if lead {
		r.lead(ctx)
	}
	return c.out, c.err
}

// leave takes a caller out of the queue, unless it has to lead the next run.
func (r *Runner[In, Out]) leave(c *call[In, Out]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.leading {
		return false
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(o *call[In, Out]) bool { return o == c })
	return true
}

// lead does one run for those at the head of the queue, the leader first among them, and names the next leader.
func (r *Runner[In, Out]) lead(ctx context.Context) {
	r.mu.Lock()
	n := min(len(r.waiting), r.most)
	batch := slices.Clone(r.waiting[:n])
	r.waiting = slices.Delete(r.waiting, 0, n)
	r.mu.Unlock()

	ins := make([]In, n)
	for i, c := range batch {
		ins[i] = c.in
	}
	var outs []Out
	err := ErrBroken
	// Deferred, so that a panic in run reaches its caller without leaving the others waiting for ever.
	defer func() {
		for i, c := range batch {
			if c.err = err; err == nil {
				c.out = outs[i]
			}
			c.wake <- false // buffered; the leader's own is never read
		}
		r.next()
	}()
	runCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	if outs, err = r.run(runCtx, ins); err == nil && len(outs) != n {
		err = ErrBroken
	}
}

func (r *Runner[In, Out]) next() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.busy = false
		return
	}
	r.waiting[0].leading = true
	r.waiting[0].wake <- true
}
