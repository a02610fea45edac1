package storetest

import (
	"errors"
	"testing"

	"boxoffice/eventstore"
)

func isLogError(err error) bool {
	for _, known := range []error{eventstore.ErrFenced, eventstore.ErrRefused, eventstore.ErrUnknown, eventstore.ErrGap, eventstore.ErrReplaced} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// wantSame checks that the log still ends at head and its side tables hold nothing beyond.
func wantSame(t *testing.T, s *eventstore.Store, head eventstore.Head) {
	t.Helper()
	if now := headOf(t, s); now.Position != head.Position || string(now.Hash) != string(head.Hash) {
		t.Fatalf("the head is %d, want %d", now.Position, head.Position)
	}
	if log := readAll(t, s, 0); int64(len(log)) != head.Position {
		t.Fatalf("%d events, want %d", len(log), head.Position)
	}
	contacts, err := s.Contacts(t.Context(), []int64{head.Position + 1, head.Position + 2})
	wantNone(t, err)
	if len(contacts) > 0 {
		t.Fatalf("contacts without events: %v", contacts)
	}
}

func testFence(t *testing.T, b Backend) {
	t.Run("a batch decided on what is no longer the head is fenced", func(t *testing.T) {
		url := b.Database(t)
		mine, other := open(t, url), open(t, url)
		stale := headOf(t, mine)
		head := appendTo(t, other, event("show-1", 1))
		_, err := mine.Append(t.Context(), batch(mine, stale, event("order-1", 1)))
		wantError(t, err, eventstore.ErrFenced)
		wantSame(t, mine, head)
	})
	t.Run("also if it would end where the head is now", func(t *testing.T) {
		url := b.Database(t)
		mine, other := open(t, url), open(t, url)
		stale := headOf(t, mine)
		head := appendTo(t, other, event("show-1", 1), event("show-1", 2))
		_, err := mine.Append(t.Context(), batch(mine, stale, event("order-1", 1), event("order-2", 1)))
		wantError(t, err, eventstore.ErrFenced)
		wantSame(t, mine, head)
	})
	t.Run("a batch decided on a head that is ahead is fenced", func(t *testing.T) {
		s := open(t, b.Database(t))
		head := appendTo(t, s, event("show-1", 1))
		ahead := head
		ahead.Position += 5
		_, err := s.Append(t.Context(), batch(s, ahead, event("order-1", 1)))
		wantError(t, err, eventstore.ErrFenced)
		wantSame(t, s, head)
	})
	t.Run("a batch decided on another log's head is fenced", func(t *testing.T) {
		s, elsewhere := open(t, b.Database(t)), open(t, b.Database(t))
		head := appendTo(t, s, event("show-1", 1))
		foreign := appendTo(t, elsewhere, event("show-2", 1))
		in := batch(s, foreign, event("order-1", 1))
		_, err := s.Append(t.Context(), in)
		wantError(t, err, eventstore.ErrFenced)
		wantSame(t, s, head)
	})
}

func testAgain(t *testing.T, b Backend) {
	t.Run("the same batch again is the same append", func(t *testing.T) {
		url := b.Database(t)
		s, other := open(t, url), open(t, url)
		in := batch(s, headOf(t, s), event("order-1", 1), event("order-2", 1))
		in.Contacts = []eventstore.Contact{{Index: 0, CustomerRef: "r"}}
		first, err := s.Append(t.Context(), in)
		wantNone(t, err)
		appendTo(t, other, event("show-1", 1))
		again, err := other.Append(t.Context(), in)
		wantNone(t, err)
		if again.Position != first.Position || string(again.Hash) != string(first.Hash) {
			t.Fatalf("again is %+v, first was %+v", again, first)
		}
		if log := wantWhole(t, s); len(log) != 3 {
			t.Fatalf("%d events, want 3", len(log))
		}
	})
	t.Run("of two writers that decide on one head, one is fenced", func(t *testing.T) {
		url := b.Database(t)
		mine, other := open(t, url), open(t, url)
		head := headOf(t, mine)
		errs := make(chan error, 2)
		for i, s := range []*eventstore.Store{mine, other} {
			go func() {
				_, err := s.Append(t.Context(), batch(s, head, event([]string{"order-1", "order-2"}[i], 1)))
				errs <- err
			}()
		}
		err := errors.Join(<-errs, <-errs)
		wantError(t, err, eventstore.ErrFenced)
		if log := wantWhole(t, mine); len(log) != 1 {
			t.Fatalf("%d events, want 1", len(log))
		}
	})
}
