package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"boxoffice/eventstore"
)

func positions(events []eventstore.Recorded) string {
	var at []int64
	for _, e := range events {
		at = append(at, e.Position)
	}
	return fmt.Sprint(at)
}

func testReads(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	appendTo(t, s, event("show-1", 1), event("order-1", 1), event("show-1", 2))
	appendTo(t, s, event("order-2", 1), event("show-1", 3))
	ctx := t.Context()
	want := func(t *testing.T, events []eventstore.Recorded, err error, at string) {
		t.Helper()
		wantNone(t, err)
		if positions(events) != at {
			t.Errorf("positions %s, want %s", positions(events), at)
		}
	}
	t.Run("the log is read in pages", func(t *testing.T) {
		events, err := s.ReadAll(ctx, 0, 2)
		want(t, events, err, "[1 2]")
		events, err = s.ReadAll(ctx, 2, 9)
		want(t, events, err, "[3 4 5]")
		events, err = s.ReadAll(ctx, 5, 9)
		want(t, events, err, "[]")
	})
	t.Run("a stream is read from a version on", func(t *testing.T) {
		events, err := s.ReadStream(ctx, "show-1", 0, 2)
		want(t, events, err, "[1 3]")
		events, err = s.ReadStream(ctx, "show-1", 2, 2)
		want(t, events, err, "[5]")
		events, err = s.ReadStream(ctx, "show-2", 0, 2)
		want(t, events, err, "[]")
	})
	t.Run("several streams are read at once, also named twice", func(t *testing.T) {
		found, err := s.ReadStreams(ctx, []string{"order-2", "show-1", "order-2", "order-9"})
		want(t, found["order-2"], err, "[4]")
		want(t, found["show-1"], err, "[1 3 5]")
		if len(found) != 2 {
			t.Errorf("found %v", found)
		}
	})
	t.Run("events are read by position", func(t *testing.T) {
		e, err := s.EventAt(ctx, 3)
		want(t, []eventstore.Recorded{e}, err, "[3]")
		if e.Hash == nil || e.ID() != "show-1:2" {
			t.Errorf("read %+v", e)
		}
		_, err = s.EventAt(ctx, 6)
		wantError(t, err, sql.ErrNoRows)
		found, err := s.EventsAt(ctx, []int64{5, 1, 1, 77})
		wantNone(t, err)
		if len(found) != 2 || found[5].Version != 3 || found[1].Version != 1 {
			t.Errorf("found %v", found)
		}
	})
}

func testLimits(t *testing.T, b Backend) {
	s, ctx := open(t, b.Database(t)), t.Context()
	t.Run("nothing asked for is nothing found", func(t *testing.T) {
		streams, err1 := s.ReadStreams(ctx, nil)
		events, err2 := s.EventsAt(ctx, nil)
		contacts, err3 := s.Contacts(ctx, nil)
		due, err4 := s.LoadDue(ctx, nil)
		requests, err5 := s.LookupRequests(ctx, nil)
		wantNone(t, errors.Join(err1, err2, err3, err4, err5))
		if len(streams)+len(events)+len(contacts)+len(due)+len(requests) != 0 {
			t.Error("something was found")
		}
	})
	t.Run("every page has a limit", func(t *testing.T) {
		for _, limit := range []int{-1, 0, eventstore.MaxPage + 1} {
			_, err1 := s.ReadAll(ctx, 0, limit)
			_, err2 := s.ReadStream(ctx, "show-1", 0, limit)
			_, err3 := s.DueShows(ctx, time.Now(), limit)
			_, err4 := s.IndexRequests(ctx, 1, limit)
			for _, err := range []error{err1, err2, err3, err4} {
				wantError(t, err, eventstore.ErrPage)
			}
		}
	})
}

// testAsOf compares the searches with a walk over the log.
func testAsOf(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	start := s.Now().Add(time.Second)
	head := headOf(t, s)
	versions := map[string]int64{}
	for n := range 40 {
		stream := fmt.Sprintf("show-%d", n%7%3)
		versions[stream]++
		in := eventstore.Batch{Head: head, Time: start.Add(time.Duration(n/2) * time.Second), Events: []eventstore.Event{event(stream, versions[stream])}}
		var err error
		head, err = s.Append(t.Context(), in)
		wantNone(t, err)
	}
	log := wantWhole(t, s)
	t.Run("a stream's version at any position", func(t *testing.T) {
		for stream := range map[string]int64{"show-0": 0, "show-1": 0, "show-2": 0, "show-3": 0} {
			for at := int64(0); at <= head.Position+1; at++ {
				var want int64
				for _, e := range log[:min(at, head.Position)] {
					if e.Stream == stream {
						want = e.Version
					}
				}
				got, err := s.VersionAt(t.Context(), stream, at)
				wantNone(t, err)
				if got != want {
					t.Errorf("version of %s at %d is %d, want %d", stream, at, got, want)
				}
			}
		}
	})
	t.Run("a stream's last event at a position", func(t *testing.T) {
		e, ok, err := s.LastAt(t.Context(), log[5].Stream, 6)
		wantNone(t, err)
		if !ok || e.Position != 6 {
			t.Errorf("last event is %+v", e)
		}
		if _, ok, err := s.LastAt(t.Context(), log[5].Stream, 0); ok || err != nil {
			t.Errorf("there is one at position 0, or %v", err)
		}
	})
	t.Run("the position at any time", func(t *testing.T) { testPositionAt(t, s, log) })
	t.Run("an empty log has none", func(t *testing.T) {
		empty := open(t, b.Database(t))
		position, err := empty.PositionAt(t.Context(), start)
		wantNone(t, err)
		version, err := empty.VersionAt(t.Context(), "show-1", 5)
		wantNone(t, err)
		if position != 0 || version != 0 {
			t.Errorf("position %d, version %d", position, version)
		}
	})
}

func testPositionAt(t *testing.T, s *eventstore.Store, log []eventstore.Recorded) {
	for step := range 50 {
		at := log[0].RecordedAt.Add(time.Duration(step-5) * 500 * time.Millisecond)
		var want int64
		for _, e := range log {
			if !e.RecordedAt.After(at) {
				want = e.Position
			}
		}
		got, err := s.PositionAt(t.Context(), at)
		wantNone(t, err)
		if got != want {
			t.Errorf("position at %s is %d, want %d", at, got, want)
		}
	}
}

func testClock(t *testing.T, b Backend) {
	url := b.Database(t)
	s, db := open(t, url), query(t, url)
	t.Run("the store's time is the database's, in whole microseconds of UTC", func(t *testing.T) {
		wantNone(t, s.SyncClock(t.Context()))
		var first, last time.Time
		wantNone(t, db.QueryRowContext(t.Context(), `SELECT clock_timestamp()`).Scan(&first))
		now := s.Now()
		wantNone(t, db.QueryRowContext(t.Context(), `SELECT clock_timestamp()`).Scan(&last))
		const tolerance = 50 * time.Millisecond // half a round trip on a busy machine
		if now.Before(first.Add(-tolerance)) || now.After(last.Add(tolerance)) {
			t.Errorf("%s is not between %s and %s", now, first, last)
		}
		if now.Location() != time.UTC || now.Nanosecond()%1000 != 0 {
			t.Errorf("%s is not in whole microseconds of UTC", now)
		}
	})
	t.Run("it never runs backwards while it is learned", func(t *testing.T) {
		var readers sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			readers.Go(func() {
				for last := s.Now(); ; {
					now := s.Now()
					if now.Before(last) {
						t.Errorf("%s after %s", now, last)
						return
					}
					last = now
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		for v := range int64(10) {
			appendTo(t, s, event("show-1", v+1))
			wantNone(t, s.SyncClock(t.Context()))
		}
		close(stop)
		readers.Wait()
		wantWhole(t, s)
	})
}

func testWakes(t *testing.T, b Backend) {
	url := b.Database(t)
	mine, other := open(t, url), open(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, s := range []*eventstore.Store{mine, other} {
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	defer running.Wait()
	defer cancel()
	near, stopNear := mine.Appended()
	defer stopNear()
	far, stopFar := other.Appended()

	t.Run("an append wakes its own process at once", func(t *testing.T) {
		appendTo(t, mine, event("show-1", 1))
		select {
		case <-near:
		default:
			t.Error("no wake")
		}
	})
	t.Run("and, while Run runs, the others", func(t *testing.T) {
		var version int64 = 1
		eventually(t, "a wake from the other process", func() bool { // the listener may still be connecting
			version++
			appendTo(t, mine, event("show-1", version))
			select {
			case <-far:
				return true
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
	})
	t.Run("many appends leave one wake, and a stopped channel none", func(t *testing.T) {
		stopFar()
		select { // what was there
		case <-far:
		default:
		}
		head := headOf(t, other)
		for n := range int64(5) {
			appendTo(t, other, event("show-2", n+1))
		}
		if now := headOf(t, other); now.Position != head.Position+5 {
			t.Errorf("head is %d", now.Position)
		}
		if len(far) != 0 {
			t.Error("a stopped channel was woken")
		}
	})
}

func testMigrate(t *testing.T, b Backend) {
	url := b.Database(t)
	t.Run("processes that start together take turns", func(t *testing.T) {
		var starting sync.WaitGroup
		for range 4 {
			db, err := eventstore.OpenDB(url, 1)
			wantNone(t, err)
			t.Cleanup(func() { _ = db.Close() })
			starting.Go(func() {
				if err := eventstore.Migrate(t.Context(), db, b.Schema); err != nil {
					t.Error(err)
				}
			})
		}
		starting.Wait()
	})
	t.Run("the schema is applied again while a turn is under way", func(t *testing.T) {
		s := open(t, url)
		db, err := eventstore.OpenDB(url, 1)
		wantNone(t, err)
		t.Cleanup(func() { _ = db.Close() })
		_, err = s.Turn(t.Context(), headOf(t, s), func(head eventstore.Head, _ []eventstore.Recorded) (*eventstore.Batch, error) {
			if err := eventstore.Migrate(t.Context(), db, b.Schema); err != nil {
				return nil, err
			}
			in := batch(s, head, event("show-1", 1))
			return &in, nil
		})
		wantNone(t, err)
	})
}
