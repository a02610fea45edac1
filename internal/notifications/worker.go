package notifications

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	roundSize  = 128             // notifications that are claimed at a time
	atOnce     = 8               // that are sent at a time: mail servers don't like more connections of one client
	lease      = 3 * time.Minute // what was claimed and not settled is claimed again after this
	idle       = time.Second     // the longest pause before due ones are looked for again
	markLimit  = 2 * time.Second // for one try to write results
	markPause  = 200 * time.Millisecond
	firstProbe = time.Second // pauses while a sender can't send anything
	lastProbe  = 5 * time.Second
)

// worker sends what waits for one sender.
type worker struct {
	sender  Sender
	table   table
	now     func() time.Time
	observe func(Result)
	retry   Retry
	log     *slog.Logger
	wake    chan struct{} // something new may be due
	waiting *atomic.Int64
}

// nudge lets the worker look now.
func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run works in rounds: it claims, sends and settles. While the sender can't send anything it tries a single one
// now and then, so that nothing else counts tries and pauses meanwhile.
func (w *worker) run(ctx context.Context) {
	probes := Retry{First: firstProbe, Most: lastProbe}
	for down := 0; ctx.Err() == nil; {
		limit := roundSize
		if down > 0 {
			limit = 1
		}
		due, err := w.table.claim(ctx, w.sender.Name(), limit, lease)
		if err != nil {
			if ctx.Err() == nil {
				w.log.WarnContext(ctx, "notifications can't be read", "error", err)
			}
			w.rest(ctx, idle, nil)
			continue
		}
		available := w.round(ctx, due)
		switch {
		case !available:
			down++
			w.rest(ctx, probes.pause(down), nil)
		case len(due) == 0:
			w.rest(ctx, idle, w.wake)
		default:
			down = 0
		}
	}
}

// rest waits, or until it is woken.
func (w *worker) rest(ctx context.Context, pause time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// round sends what was claimed and reports whether the sender can send. Results are written while others are
// still being sent: what is sent and not written is what a crash repeats.
func (w *worker) round(ctx context.Context, due []claimed) (available bool) {
	if len(due) == 0 {
		return true
	}
	began := time.Now()
	living, end := outlive(ctx, drain+markLimit)
	defer end()
	var unavailable atomic.Bool
	todo, settled := make(chan claimed, len(due)), make(chan settlement, len(due))
	for _, c := range due {
		todo <- c
	}
	close(todo)
	var senders sync.WaitGroup
	for range min(atOnce, len(due)) {
		senders.Go(func() {
			for c := range todo {
				if unavailable.Load() || ctx.Err() != nil || time.Since(began) > lease-2*sendLimit {
					settled <- settlement{id: c.ID, tries: c.Tries, counted: c.Tries - 1} // at once, as if it had not been claimed
					continue
				}
				s, err := w.deliver(ctx, c)
				if errors.Is(err, ErrUnavailable) {
					unavailable.Store(true)
				}
				settled <- s
			}
		})
	}
	go func() {
		senders.Wait()
		close(settled)
	}()
	for first := range settled {
		batch := []settlement{first}
		for more := true; more; {
			select {
			case s, open := <-settled:
				if more = open; open {
					batch = append(batch, s)
				}
			default:
				more = false
			}
		}
		w.mark(ctx, living, began, batch)
	}
	return !unavailable.Load()
}

// mark writes results, and tries again for as long as the lease lasts: what is not written is sent again.
// living is what it has for that after ctx has ended.
func (w *worker) mark(ctx, living context.Context, began time.Time, batch []settlement) {
	for {
		writing, cancel := context.WithTimeout(living, markLimit)
		err := w.table.settle(writing, w.sender.Name(), batch)
		cancel()
		if err == nil {
			return
		}
		w.log.WarnContext(ctx, "results of notifications not written", "error", err)
		if ctx.Err() != nil || time.Since(began) > lease {
			return
		}
		w.rest(ctx, markPause, nil)
	}
}
