package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"boxoffice/eventstore"
)

const (
	crashWriters = 4
	ackedBefore  = 40 // appends before the crash
	ackedAfter   = 80 // at least, in all
)

// testCrash stops Postgres at once under appends and starts it again.
func testCrash(t *testing.T, b Backend) {
	server := b.Server(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	var unsettled, acks atomic.Int64
	log := slog.New(&counter{records: &unsettled})
	var (
		writers sync.WaitGroup
		mu      sync.Mutex
		acked   = map[string]bool{}
		stop    = make(chan struct{})
	)
	end := sync.OnceFunc(func() {
		close(stop)
		writers.Wait()
	})
	defer end()
	for i := range crashWriters {
		s := openWith(t, server.URL, eventstore.Config{Log: log})
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("order-%d-%d", i, n)
				if err := appendThroughCrash(ctx, s, i%2 == 0, event(id, 1)); err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				mu.Lock()
				acked[id] = true
				mu.Unlock()
				acks.Add(1)
			}
		})
	}
	eventually(t, "appends before the crash", func() bool { return acks.Load() >= ackedBefore || t.Failed() })
	wantNone(t, server.Crash())
	eventually(t, "an append whose outcome is open", func() bool { return unsettled.Load() > 0 || t.Failed() })
	wantNone(t, server.Restart())
	eventually(t, "appends after the crash", func() bool { return acks.Load() >= ackedAfter || t.Failed() })
	end()

	for _, e := range wantWhole(t, open(t, server.URL)) {
		if !acked[e.Stream] {
			t.Errorf("%s is in the log and was never answered", e.Stream)
		}
		delete(acked, e.Stream)
	}
	for id := range acked {
		t.Errorf("%s was answered and is not in the log", id)
	}
}

// appendThroughCrash appends e. Faults before anything was sent are tried again; an append's outcome is
// always known in the end.
func appendThroughCrash(ctx context.Context, s *eventstore.Store, turn bool, e eventstore.Event) error {
	for {
		known, err := s.Head(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			continue
		}
		if turn {
			_, err = s.Turn(ctx, known, writes(s, e))
		} else {
			_, err = s.Append(ctx, batch(s, known, e))
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, eventstore.ErrFenced):
		case isLogError(err) || !turn || ctx.Err() != nil:
			return err
		}
	}
}

// counter is a log that counts.
type counter struct{ records *atomic.Int64 }

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }

func (c *counter) Handle(context.Context, slog.Record) error {
	c.records.Add(1)
	return nil
}

func (c *counter) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *counter) WithGroup(string) slog.Handler      { return c }
