package storetest

import (
	"errors"
	"testing"

	"boxoffice/eventstore"
)

type decide = func(head eventstore.Head, tail []eventstore.Recorded) (*eventstore.Batch, error)

// writes decides on events whatever the tail.
func writes(s *eventstore.Store, events ...eventstore.Event) decide {
	return func(head eventstore.Head, _ []eventstore.Recorded) (*eventstore.Batch, error) {
		in := batch(s, head, events...)
		return &in, nil
	}
}

func testTurns(t *testing.T, b Backend) {
	t.Run("a turn sees everything after what was known, and appends to it", func(t *testing.T) {
		url := b.Database(t)
		mine, other := open(t, url), open(t, url)
		known := appendTo(t, mine, event("show-1", 1))
		appendTo(t, other, event("show-1", 2), event("show-1", 3))
		at := appendTo(t, other, event("show-1", 4))
		head, err := mine.Turn(t.Context(), known, func(head eventstore.Head, tail []eventstore.Recorded) (*eventstore.Batch, error) {
			if head.Position != at.Position || len(tail) != 3 || tail[0].Position != 2 || tail[2].Version != 4 {
				t.Errorf("head %+v, tail %+v", head, tail)
			}
			in := batch(mine, head, event("show-1", 5))
			return &in, nil
		})
		wantNone(t, err)
		if head.Position != 5 {
			t.Fatalf("head is %+v", head)
		}
		wantWhole(t, mine)
	})
	t.Run("a turn on an empty log needs no knowledge", func(t *testing.T) {
		s := open(t, b.Database(t))
		_, err := s.Turn(t.Context(), eventstore.Head{}, writes(s, event("show-1", 1)))
		wantNone(t, err)
		wantWhole(t, s)
	})
}

func testTurnEnds(t *testing.T, b Backend) {
	t.Run("a turn may write nothing", func(t *testing.T) {
		s := open(t, b.Database(t))
		at := appendTo(t, s, event("show-1", 1))
		head, err := s.Turn(t.Context(), eventstore.Head{}, func(eventstore.Head, []eventstore.Recorded) (*eventstore.Batch, error) { return nil, nil })
		wantNone(t, err)
		if head.Position != at.Position {
			t.Fatalf("head is %+v", head)
		}
		appendTo(t, s, event("show-1", 2))
	})
	t.Run("an error of the decision ends the turn and comes back", func(t *testing.T) {
		s := open(t, b.Database(t))
		mine := errors.New("no")
		_, err := s.Turn(t.Context(), eventstore.Head{}, func(eventstore.Head, []eventstore.Recorded) (*eventstore.Batch, error) { return nil, mine })
		wantError(t, err, mine)
		appendTo(t, s, event("show-1", 1))
	})
	t.Run("a panic of the decision frees the head", func(t *testing.T) {
		s := open(t, b.Database(t))
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Turn(t.Context(), eventstore.Head{}, func(eventstore.Head, []eventstore.Recorded) (*eventstore.Batch, error) { panic("no") })
		}()
		appendTo(t, s, event("show-1", 1))
	})
	t.Run("a batch on another head than the turn's is a programming error", func(t *testing.T) {
		s := open(t, b.Database(t))
		at := appendTo(t, s, event("show-1", 1))
		_, err := s.Turn(t.Context(), at, func(eventstore.Head, []eventstore.Recorded) (*eventstore.Batch, error) {
			in := batch(s, eventstore.Head{}, event("show-1", 2))
			return &in, nil
		})
		if err == nil || isLogError(err) {
			t.Fatalf("error is %v", err)
		}
		wantSame(t, s, at)
	})
	t.Run("a pool of one connection is enough", func(t *testing.T) {
		db, err := eventstore.OpenDB(b.Database(t), 1)
		wantNone(t, err)
		t.Cleanup(func() { _ = db.Close() })
		s := eventstore.New(db, eventstore.Config{})
		head, err := s.Turn(t.Context(), eventstore.Head{}, writes(s, event("show-1", 1)))
		wantNone(t, err)
		_, err = s.Append(t.Context(), batch(s, head, event("show-1", 2)))
		wantNone(t, err)
	})
}

func testTail(t *testing.T, b Backend) {
	t.Run("a tail beyond the limit is left to be read before the turn", func(t *testing.T) {
		url := b.Database(t)
		s := openWith(t, url, eventstore.Config{TurnTail: 2})
		known := headOf(t, s)
		for v := range int64(3) {
			appendTo(t, s, event("show-1", v+1))
		}
		head, err := s.Turn(t.Context(), known, writes(s, event("show-1", 4)))
		wantError(t, err, eventstore.ErrTailTooLong)
		if head.Position != 3 {
			t.Fatalf("head is %+v", head)
		}
		_, err = s.Turn(t.Context(), head, writes(s, event("show-1", 4)))
		wantNone(t, err)
	})
	t.Run("the tail is read in whole appends", func(t *testing.T) {
		s := open(t, b.Database(t))
		var heads []eventstore.Head
		for n := range int64(3) {
			heads = append(heads, appendTo(t, s, event("show-1", 2*n+1), event("show-1", 2*n+2)))
		}
		known := eventstore.Head{}
		for _, c := range []struct {
			limit int
			want  string
			head  eventstore.Head
		}{
			{3, "[1 2]", heads[0]},
			{1, "[3 4 5 6]", heads[2]}, // too little for one append, so it reads on
			{9, "[]", heads[2]},
		} {
			head, tail, err := s.Tail(t.Context(), known, c.limit)
			wantNone(t, err)
			if positions(tail) != c.want || head.Position != c.head.Position || string(head.Hash) != string(c.head.Hash) || !head.Time.Equal(c.head.Time) {
				t.Errorf("after %d: %s and %+v, want %s and %+v", known.Position, positions(tail), head, c.want, c.head)
			}
			known = head
		}
	})
}

func testReplaced(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	first := appendTo(t, s, event("show-1", 1))
	head := appendTo(t, s, event("show-1", 2), event("show-1", 3))
	inside := head // a position where no append ended
	inside.Position--
	elsewhere := open(t, b.Database(t))
	other := appendTo(t, elsewhere, event("show-1", 1))
	otherHead := appendTo(t, elsewhere, event("show-1", 2), event("show-1", 3))
	ahead := head
	ahead.Position++
	for _, c := range []struct {
		name  string
		known eventstore.Head
	}{
		{"a head that is lower than what was known", ahead},
		{"another hash at the head", otherHead},
		{"another hash before the head", other},
		{"no append that ended at what was known", inside},
	} {
		t.Run("a log with "+c.name+" was replaced", func(t *testing.T) {
			_, err := s.Turn(t.Context(), c.known, writes(s, event("show-1", 4)))
			wantError(t, err, eventstore.ErrReplaced)
			_, _, err = s.Tail(t.Context(), c.known, 10)
			wantError(t, err, eventstore.ErrReplaced)
			wantSame(t, s, head)
		})
	}
	t.Run("the log's own past was not replaced", func(t *testing.T) {
		_, err := s.Turn(t.Context(), first, writes(s, event("show-1", 4)))
		wantNone(t, err)
		wantWhole(t, s)
	})
}
