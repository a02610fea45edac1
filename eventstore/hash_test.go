package eventstore_test

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"boxoffice/eventstore"
)

func chained() []eventstore.Event {
	return []eventstore.Event{
		{Stream: "order-1", Version: 1, Type: "OrderPlaced", SchemaVersion: 1, Data: []byte(`{"a":1}`), Metadata: []byte(`{"batch":"b"}`)},
		{Stream: "show-1", Version: 7, Type: "TicketsHeld", SchemaVersion: 2, Data: []byte(`{}`), Metadata: []byte(`{}`)},
	}
}

var chainedAt = time.Date(2026, 11, 22, 10, 0, 0, 123_456_000, time.UTC)

// The log is never rewritten, so its hash never changes. If this fails, every log ever written would be
// called tampered with.
func TestChainIsWhatItAlwaysWas(t *testing.T) {
	first := eventstore.Chain(nil, chained(), chainedAt, 1)
	second := eventstore.Chain(first, chained()[:1], chainedAt, 3)
	for i, c := range []struct {
		got  []byte
		want string
	}{
		{first, "951f9bd6f7b5e8de8167846c48dd5f1ebe1bf911a88a3a324c350ae38b182629"},
		{second, "3b3d8c22be3ff0d8572e9d9d8fcf8b53705cdec0825646fd7cc0c124f5750e8a"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("hash %d is %s, want %s", i+1, got, c.want)
		}
	}
}

func TestChainCoversEverything(t *testing.T) {
	was := eventstore.Chain(nil, chained(), chainedAt, 1)
	change := func(what string, prev []byte, at time.Time, first int64, edit func(events []eventstore.Event) []eventstore.Event) {
		t.Run("another hash with another "+what, func(t *testing.T) {
			if slices.Equal(was, eventstore.Chain(prev, edit(chained()), at, first)) {
				t.Error("it is the same")
			}
		})
	}
	same := func(events []eventstore.Event) []eventstore.Event { return events }
	first := func(edit func(e *eventstore.Event)) func(events []eventstore.Event) []eventstore.Event {
		return func(events []eventstore.Event) []eventstore.Event {
			edit(&events[0])
			return events
		}
	}
	change("hash before", was, chainedAt, 1, same)
	change("time", nil, chainedAt.Add(time.Microsecond), 1, same)
	change("position", nil, chainedAt, 2, same)
	change("number of events", nil, chainedAt, 1, func(events []eventstore.Event) []eventstore.Event { return events[:1] })
	change("order", nil, chainedAt, 1, func(events []eventstore.Event) []eventstore.Event {
		slices.Reverse(events)
		return events
	})
	change("stream", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.Stream = "order-2" }))
	change("version", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.Version++ }))
	change("type", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.Type = "OrderPlacer" }))
	change("schema version", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.SchemaVersion++ }))
	change("byte in the data", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.Data = []byte(`{"a":2}`) }))
	change("byte in the metadata", nil, chainedAt, 1, first(func(e *eventstore.Event) { e.Metadata = []byte(`{"batch":"c"}`) }))
	change("border between data and metadata", nil, chainedAt, 1, first(func(e *eventstore.Event) {
		e.Data, e.Metadata = []byte(`{"a":1}{`), []byte(`"batch":"b"}`)
	}))
}
