package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"boxoffice/eventstore"
)

const (
	stores          = 4
	writersPerStore = 4
	batchesOfWriter = 15
	sharedStream    = "show-1"
)

// testOrder lets 16 writers of four stores append to streams of their own and to one they share, half of
// them optimistically and half in turns, while a reader follows the log.
func testOrder(t *testing.T, b Backend) {
	url := b.Database(t)
	var logs []*eventstore.Store
	for range stores {
		logs = append(logs, open(t, url))
	}
	done := make(chan struct{})
	read := make(chan []eventstore.Recorded, 1)
	go func() { read <- follow(t, open(t, url), done) }()

	var (
		writers sync.WaitGroup
		mu      sync.Mutex
		acked   = map[string]int64{} // event id → position
	)
	for i := range stores * writersPerStore {
		writers.Go(func() {
			s := logs[i%stores]
			for n := range batchesOfWriter {
				ids, head, err := writeOrder(t.Context(), s, i%2 == 0, fmt.Sprintf("order-%d-%d", i, n))
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				mu.Lock()
				for j, id := range ids {
					acked[id] = head.Position - int64(len(ids)-1-j)
				}
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	close(done)
	seen := <-read
	log := wantWhole(t, logs[0])

	t.Run("what was acknowledged is in the log, once and at its position", func(t *testing.T) {
		if len(log) != len(acked) || len(log) != 3*stores*writersPerStore*batchesOfWriter {
			t.Errorf("%d events in the log, %d acknowledged", len(log), len(acked))
		}
		for _, e := range log {
			if acked[e.ID()] != e.Position {
				t.Errorf("%s is at %d, acknowledged at %d", e.ID(), e.Position, acked[e.ID()])
			}
		}
	})
	t.Run("a reader that runs all the while misses nothing", func(t *testing.T) {
		if len(seen) != len(log) {
			t.Fatalf("it read %d of %d events", len(seen), len(log))
		}
		for i := range log {
			if seen[i].ID() != log[i].ID() {
				t.Fatalf("it read %s at %d, the log has %s", seen[i].ID(), i+1, log[i].ID())
			}
		}
	})
}

// writeOrder appends three events: one of the shared stream between two of the order's own.
func writeOrder(ctx context.Context, s *eventstore.Store, turn bool, order string) ([]string, eventstore.Head, error) {
	decide := func(version int64) []eventstore.Event {
		return []eventstore.Event{event(order, 1), event(sharedStream, version+1), event(order, 2)}
	}
	for {
		known, err := s.Head(ctx)
		if err != nil {
			return nil, known, err
		}
		version, err := s.VersionAt(ctx, sharedStream, known.Position)
		if err != nil {
			return nil, known, err
		}
		var events []eventstore.Event
		var head eventstore.Head
		if turn {
			head, err = s.Turn(ctx, known, func(head eventstore.Head, tail []eventstore.Recorded) (*eventstore.Batch, error) {
				for _, e := range tail {
					if e.Stream == sharedStream {
						version = e.Version
					}
				}
				events = decide(version)
				in := batch(s, head, events...)
				return &in, nil
			})
		} else {
			events = decide(version)
			head, err = s.Append(ctx, batch(s, known, events...))
		}
		if errors.Is(err, eventstore.ErrFenced) {
			continue
		}
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID())
		}
		return ids, head, err
	}
}

// follow reads the log until done and then to its end. ReadAll proves density at every page.
func follow(t *testing.T, s *eventstore.Store, done <-chan struct{}) []eventstore.Recorded {
	var log []eventstore.Recorded
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		page, err := s.ReadAll(t.Context(), int64(len(log)), 7)
		if err != nil {
			t.Errorf("after %d: %v", len(log), err)
			return log
		}
		log = append(log, page...)
		if last && len(page) == 0 {
			return log
		}
	}
}
