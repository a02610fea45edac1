package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/eventstore"
)

// cutCase is one way to lose a connection.
type cutCase struct {
	at    moment
	reset bool
}

func (c cutCase) String() string {
	return fmt.Sprintf("%s the server executed, by %s", [...]string{"before", "after"}[c.at], map[bool]string{false: "FIN", true: "RST"}[c.reset])
}

var cutCases = []cutCase{{before, false}, {before, true}, {after, false}, {after, true}}

// order has a name that nothing else on the wire has.
const order = "order-marked"

func testCuts(t *testing.T, b Backend) {
	for _, c := range cutCases {
		t.Run("an append is settled when its connection is cut "+c.String(), func(t *testing.T) {
			p := newProxy(t, b.Database(t))
			var unsettled atomic.Int64
			s := openWith(t, p.url, eventstore.Config{Log: slog.New(&counter{records: &unsettled})})
			head := appendTo(t, s, event("show-1", 1))
			done := p.arm(&cut{marker: []byte(order), at: c.at, reset: c.reset})
			in := batch(s, head, event(order, 1), event("order-2", 1))
			in.Contacts = []eventstore.Contact{{Index: 0, CustomerRef: "r", CustomerID: "c"}}
			next, err := s.Append(t.Context(), in)
			wantNone(t, err)
			wantFired(t, done)
			if n := p.sightings(); n != 2 {
				t.Errorf("the batch was sent %d times, want 2", n)
			}
			// After a FIN the driver repeats the statement and says nothing; after a RST the store does.
			if silent := unsettled.Load() == 0; silent == c.reset {
				t.Errorf("the store saw %d attempts fail", unsettled.Load())
			}
			wantOnce(t, s, next, 3)
		})
	}
	t.Run("a copy that arrives late writes nothing", func(t *testing.T) {
		p := newProxy(t, b.Database(t))
		s := open(t, p.url)
		head := appendTo(t, s, event("show-1", 1))
		done := p.arm(&cut{marker: []byte(order), at: late, reset: true})
		next, err := s.Append(t.Context(), batch(s, head, event(order, 1)))
		wantNone(t, err)
		wantFired(t, done)
		close(done.hold)
		wantClosed(t, done.sent, "the server's answer to the late copy")
		wantOnce(t, s, next, 2)
	})
}

func testCutRaces(t *testing.T, b Backend) {
	t.Run("a lost append is fenced if somebody else was first", func(t *testing.T) {
		url := b.Database(t)
		p := newProxy(t, url)
		s, other := open(t, p.url), open(t, url)
		head := appendTo(t, s, event("show-1", 1))
		var theirs eventstore.Head
		var failed error
		done := p.arm(&cut{marker: []byte(order), at: before, hook: func() { theirs, failed = tryAppend(t.Context(), other, event("show-1", 2)) }})
		_, err := s.Append(t.Context(), batch(s, head, event(order, 1)))
		wantError(t, err, eventstore.ErrFenced)
		wantFired(t, done)
		wantNone(t, failed)
		wantSame(t, s, theirs)
	})
	t.Run("an executed append is ours even if somebody else was next", func(t *testing.T) {
		url := b.Database(t)
		p := newProxy(t, url)
		s, other := open(t, p.url), open(t, url)
		head := appendTo(t, s, event("show-1", 1))
		var failed error
		done := p.arm(&cut{marker: []byte(order), at: after, hook: func() { _, failed = tryAppend(t.Context(), other, event("show-1", 2)) }})
		next, err := s.Append(t.Context(), batch(s, head, event(order, 1)))
		wantNone(t, err)
		wantFired(t, done)
		wantNone(t, failed)
		if next.Position != 2 {
			t.Errorf("head is %+v", next)
		}
		if log := wantWhole(t, s); len(log) != 3 {
			t.Errorf("%d events, want 3", len(log))
		}
	})
}

func testUnknown(t *testing.T, b Backend) {
	t.Run("the outcome is unknown if the server stays away, and the same batch again tells it", func(t *testing.T) {
		for _, at := range []moment{before, after} {
			p := newProxy(t, b.Database(t))
			s := open(t, p.url)
			head := appendTo(t, s, event("show-1", 1))
			in := batch(s, head, event(order, 1))
			done := p.arm(&cut{marker: []byte(order), at: at, reset: true, hook: func() {
				p.mu.Lock()
				p.down = true
				p.mu.Unlock()
			}})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := s.Append(ctx, in)
			cancel()
			wantError(t, err, eventstore.ErrUnknown)
			wantFired(t, done)
			p.setDown(false)
			next, err := s.Append(t.Context(), in)
			wantNone(t, err)
			wantOnce(t, s, next, 2)
		}
	})
}

func testTurnCuts(t *testing.T, b Backend) {
	for _, what := range []struct{ name, marker string }{{"append", order}, {"commit", "COMMIT\x00"}} {
		for _, c := range cutCases {
			t.Run("a turn is settled when its connection is cut at its "+what.name+", "+c.String(), func(t *testing.T) {
				p := newProxy(t, b.Database(t))
				s := open(t, p.url)
				known := appendTo(t, s, event("show-1", 1))
				decided := 0
				done := p.arm(&cut{marker: []byte(what.marker), at: c.at, reset: c.reset})
				next, err := s.Turn(t.Context(), known, func(head eventstore.Head, _ []eventstore.Recorded) (*eventstore.Batch, error) {
					decided++
					in := batch(s, head, event(order, 1))
					return &in, nil
				})
				wantNone(t, err)
				wantFired(t, done)
				if decided != 1 {
					t.Errorf("decided %d times", decided)
				}
				wantOnce(t, s, next, 2)
			})
		}
	}
	t.Run("a turn cut before its decision has written nothing", func(t *testing.T) {
		p := newProxy(t, b.Database(t))
		s := open(t, p.url)
		known := appendTo(t, s, event("show-1", 1))
		done := p.arm(&cut{marker: []byte("FOR UPDATE"), at: after, reset: true})
		_, err := s.Turn(t.Context(), known, writes(s, event(order, 1)))
		if err == nil || errors.Is(err, eventstore.ErrUnknown) {
			t.Fatalf("error is %v", err)
		}
		wantFired(t, done)
		wantSame(t, s, known)
		_, err = s.Turn(t.Context(), known, writes(s, event(order, 1)))
		wantNone(t, err)
	})
}

// wantFired checks that the case under test has happened at all.
func wantFired(t *testing.T, c *cut) {
	t.Helper()
	wantClosed(t, c.fired, "the cut of the connection")
}

func wantClosed(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("not in %s: %s", patience, what)
	}
}

// wantOnce checks that the log ends at next, is whole and has as many events as were appended.
func wantOnce(t *testing.T, s *eventstore.Store, next eventstore.Head, events int) {
	t.Helper()
	if now := headOf(t, s); now.Position != next.Position || string(now.Hash) != string(next.Hash) {
		t.Errorf("the head is %d, answered was %d", now.Position, next.Position)
	}
	if log := wantWhole(t, s); len(log) != events {
		t.Errorf("%d events, want %d", len(log), events)
	}
}
