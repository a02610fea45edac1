package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"boxoffice/eventstore"
)

func testAppend(t *testing.T, b Backend) {
	t.Run("a batch over several streams is written as one, and byte for byte", func(t *testing.T) {
		s := open(t, b.Database(t))
		in := batch(s, headOf(t, s), event("show-1", 1), event("order-1", 1), event("show-1", 2), event("payment-1", 1))
		head, err := s.Append(t.Context(), in)
		wantNone(t, err)
		if head.Position != 4 || !head.Time.Equal(in.Time) || len(head.Hash) != 32 {
			t.Fatalf("head is %+v", head)
		}
		if now := headOf(t, s); now.Position != head.Position || string(now.Hash) != string(head.Hash) || !now.Time.Equal(head.Time) {
			t.Fatalf("Append answered %+v, the head is %+v", head, now)
		}
		for i, e := range wantWhole(t, s) {
			want := in.Events[i]
			if e.Stream != want.Stream || e.Version != want.Version || e.Type != want.Type || e.SchemaVersion != want.SchemaVersion ||
				string(e.Data) != string(want.Data) || string(e.Metadata) != string(want.Metadata) || !e.RecordedAt.Equal(in.Time) {
				t.Errorf("event %d is %+v, want %+v", i, e, want)
			}
			if last := i == len(in.Events)-1; last != (e.Hash != nil) {
				t.Errorf("event %d has hash %x", i, e.Hash)
			}
		}
	})
	t.Run("an empty log may be known as the zero head", func(t *testing.T) {
		s := open(t, b.Database(t))
		head, err := s.Append(t.Context(), batch(s, eventstore.Head{}, event("show-1", 1)))
		wantNone(t, err)
		if head.Position != 1 {
			t.Fatalf("head is %+v", head)
		}
	})
	t.Run("appends follow each other on the heads they return", func(t *testing.T) {
		s := open(t, b.Database(t))
		head := headOf(t, s)
		for v := range int64(20) {
			var err error
			head, err = s.Append(t.Context(), batch(s, head, event("show-1", v+1), event("show-2", v+1)))
			wantNone(t, err)
		}
		wantWhole(t, s)
	})
	t.Run("nothing is sent with a dead context", func(t *testing.T) {
		s := open(t, b.Database(t))
		in := batch(s, headOf(t, s), event("show-1", 1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Append(ctx, in)
		wantError(t, err, context.Canceled)
		wantError(t, noError(s.Append(t.Context(), in)), nil)
	})
}

// noError drops the head of an answer.
func noError(_ eventstore.Head, err error) error { return err }

// spoiled is a batch of two events with something wrong about it.
type spoiled struct {
	name  string
	spoil func(in *eventstore.Batch)
}

// refused is what Postgres can't store, or would be too much.
func refused() []spoiled {
	return []spoiled{
		{"a version that exists", func(in *eventstore.Batch) { in.Events[1] = event("show-1", 1) }},
		{"a version twice in the batch", func(in *eventstore.Batch) { in.Events[1] = in.Events[0] }},
		{"version 0", func(in *eventstore.Batch) { in.Events[1].Version = 0 }},
		{"a zero byte in a stream", func(in *eventstore.Batch) { in.Events[1].Stream = "order-\x00" }},
		{"a zero byte in a contact", func(in *eventstore.Batch) { in.Contacts = []eventstore.Contact{{Name: "\x00"}} }},
		{"text that is not UTF-8", func(in *eventstore.Batch) { in.Events[1].Stream = "order-\xff" }},
		{"data that is not JSON", func(in *eventstore.Batch) { in.Events[1].Data = []byte(`{"a":`) }},
		{"no data", func(in *eventstore.Batch) { in.Events[1].Data = nil }},
		{"no metadata", func(in *eventstore.Batch) { in.Events[1].Metadata = nil }},
		{"two contacts of one event", func(in *eventstore.Batch) { in.Contacts = make([]eventstore.Contact, 2) }},
		{"more events than fit", func(in *eventstore.Batch) { in.Events = make([]eventstore.Event, eventstore.MaxBatchEvents+1) }},
		{"more bytes than fit", func(in *eventstore.Batch) {
			in.Events[1].Data = []byte(`"` + strings.Repeat("a", eventstore.MaxBatchBytes) + `"`)
		}},
	}
}

// wrong is what no caller may ask for.
func wrong() []spoiled {
	return []spoiled{
		{"no events", func(in *eventstore.Batch) { in.Events = nil }},
		{"a time before the head's", func(in *eventstore.Batch) { in.Time = in.Head.Time.Add(-time.Microsecond) }},
		{"a contact of no event", func(in *eventstore.Batch) { in.Contacts = []eventstore.Contact{{Index: 2}} }},
		{"a delivery of no event", func(in *eventstore.Batch) { in.Deliveries = []eventstore.Delivery{{Index: -1}} }},
		{"a show due twice", func(in *eventstore.Batch) { in.Due = make([]eventstore.Due, 2) }},
		{"a head without hash", func(in *eventstore.Batch) { in.Head.Hash = nil }},
	}
}

func testRefusals(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	head := appendTo(t, s, event("show-1", 1))
	good := func() eventstore.Batch { return batch(s, head, event("order-1", 1), event("order-2", 1)) }
	for _, c := range refused() {
		t.Run("refused, and nothing of the batch is there: "+c.name, func(t *testing.T) {
			in := good()
			c.spoil(&in)
			_, err := s.Append(t.Context(), in)
			wantError(t, err, eventstore.ErrRefused)
			wantSame(t, s, head)
		})
		t.Run("refused in a turn as well: "+c.name, func(t *testing.T) {
			_, err := s.Turn(t.Context(), head, func(eventstore.Head, []eventstore.Recorded) (*eventstore.Batch, error) {
				in := good()
				c.spoil(&in)
				return &in, nil
			})
			wantError(t, err, eventstore.ErrRefused)
			wantSame(t, s, head)
		})
	}
	for _, c := range wrong() {
		t.Run("a programming error, and none of the log's: "+c.name, func(t *testing.T) {
			in := good()
			c.spoil(&in)
			_, err := s.Append(t.Context(), in)
			if err == nil || isLogError(err) {
				t.Fatalf("error is %v", err)
			}
			wantSame(t, s, head)
		})
	}
	wantError(t, noError(s.Append(t.Context(), good())), nil)
	wantWhole(t, s)
}
