package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"boxoffice/eventstore"
)

// keyed is a first event that answers a request.
func keyed(stream string, key eventstore.RequestKey) eventstore.Event {
	e := event(stream, 1)
	e.Metadata = fmt.Appendf(nil, `{"batch":"b","key":%q,"body":"x"}`, key)
	return e
}

func testRequests(t *testing.T, b Backend) {
	key := eventstore.NewRequestKey("POST /orders", "u1", "k1")
	t.Run("of two writers with the same key one writes, and the other sees it", func(t *testing.T) { testSameKey(t, b, key) })
	t.Run("the index follows the log, and knows how far", func(t *testing.T) {
		s := open(t, b.Database(t))
		head := appendTo(t, s, event("show-1", 1), keyed("order-1", key), event("order-1", 2))
		wantFound(t, s, key, 0)
		wantIndexed(t, s, 1, 10, 1)
		wantFound(t, s, key, 0)
		wantIndexed(t, s, head.Position, 1, 2)
		wantFound(t, s, key, 2)
		wantIndexed(t, s, head.Position, 10, 3)
		wantIndexed(t, s, head.Position, 10, 3)
		to, err := s.IndexedTo(t.Context())
		wantNone(t, err)
		if to != 3 {
			t.Errorf("indexed to %d", to)
		}
	})
	t.Run("several processes index without harm", func(t *testing.T) {
		url := b.Database(t)
		var events []eventstore.Event
		for n := range 200 {
			events = append(events, keyed(fmt.Sprintf("order-%d", n), eventstore.NewRequestKey("r", "c", fmt.Sprint(n))))
		}
		head := appendTo(t, open(t, url), events...)
		var indexing sync.WaitGroup
		for range 4 {
			s := open(t, url)
			indexing.Go(func() {
				for to := int64(0); to < head.Position; {
					var err error
					if to, err = s.IndexRequests(t.Context(), head.Position, 7); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		indexing.Wait()
		for n := range 200 {
			wantFound(t, open1(t, url), eventstore.NewRequestKey("r", "c", fmt.Sprint(n)), int64(n+1))
		}
	})
	t.Run("a key is found for at least 30 days and not for ever", func(t *testing.T) { testGenerations(t, b) })
}

// open1 is open with nothing to listen to; the pool closes with the test.
func open1(t *testing.T, url string) *eventstore.Store {
	t.Helper()
	return openWith(t, url, eventstore.Config{})
}

func wantFound(t *testing.T, s *eventstore.Store, key eventstore.RequestKey, position int64) {
	t.Helper()
	found, err := s.LookupRequests(t.Context(), []eventstore.RequestKey{key, eventstore.NewRequestKey("", "", "unknown")})
	wantNone(t, err)
	if found[key] != position || len(found) > 1 {
		t.Errorf("found %v, want %s at %d", found, key, position)
	}
}

func wantIndexed(t *testing.T, s *eventstore.Store, upTo int64, limit int, want int64) {
	t.Helper()
	to, err := s.IndexRequests(t.Context(), upTo, limit)
	wantNone(t, err)
	if to != want {
		t.Errorf("indexed to %d, want %d", to, want)
	}
}

// testSameKey: both look the key up, both decide on the same head, the fence lets one pass; the other
// finds the key in the tail of its turn.
func testSameKey(t *testing.T, b Backend, key eventstore.RequestKey) {
	url := b.Database(t)
	mine, other := open(t, url), open(t, url)
	head := headOf(t, mine)
	for _, s := range []*eventstore.Store{mine, other} {
		wantFound(t, s, key, 0)
	}
	_, err := other.Append(t.Context(), batch(other, head, keyed("order-1", key)))
	wantNone(t, err)
	_, err = mine.Append(t.Context(), batch(mine, head, keyed("order-2", key)))
	wantError(t, err, eventstore.ErrFenced)
	_, err = mine.Turn(t.Context(), head, func(head eventstore.Head, tail []eventstore.Recorded) (*eventstore.Batch, error) {
		for _, e := range tail {
			if known, ok := eventstore.KeyOf(e.Metadata); ok && known == key {
				return nil, nil
			}
		}
		in := batch(mine, head, keyed("order-2", key))
		return &in, nil
	})
	wantNone(t, err)
	if log := wantWhole(t, mine); len(log) != 1 || log[0].Stream != "order-1" {
		t.Errorf("the log is %v", log)
	}
}

func testGenerations(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	const day = 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	head := headOf(t, s)
	var keys []eventstore.RequestKey
	var times []time.Time
	for n := range 24 { // every five days, for four months
		key := eventstore.NewRequestKey("r", "c", fmt.Sprint(n))
		at := start.Add(time.Duration(n) * 5 * day)
		var err error
		head, err = s.Append(t.Context(), eventstore.Batch{Head: head, Time: at, Events: []eventstore.Event{keyed(fmt.Sprintf("order-%d", n), key)}})
		wantNone(t, err)
		keys, times = append(keys, key), append(times, at)
		for to := int64(0); to < head.Position; {
			to, err = s.IndexRequests(t.Context(), head.Position, 100)
			wantNone(t, err)
		}
		found, err := s.LookupRequests(t.Context(), keys)
		wantNone(t, err)
		for i, key := range keys {
			switch age := at.Sub(times[i]); {
			case age <= 30*day && found[key] != int64(i+1):
				t.Errorf("a key of %s ago is not found", age)
			case age > 60*day && found[key] != 0:
				t.Errorf("a key of %s ago is found", age)
			}
		}
	}
	_, err := s.Append(t.Context(), eventstore.Batch{Head: head, Time: start.AddDate(2, 0, 0), Events: []eventstore.Event{event("show-1", 1)}})
	wantNone(t, err)
	wantIndexed(t, s, head.Position+1, 100, head.Position+1)
	found, err := s.LookupRequests(t.Context(), keys)
	wantNone(t, err)
	if len(found) != 0 {
		t.Errorf("%d keys are found after two years", len(found))
	}
}
