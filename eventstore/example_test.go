package eventstore_test

import (
	"fmt"
	"time"

	"boxoffice/eventstore"
)

// What the relay does with an event and what a consumer makes of it.
func Example() {
	event := eventstore.Recorded{
		Event: eventstore.Event{
			Stream: "order-ORDER-20261122-00000001", Version: 1, Type: "OrderPlaced", SchemaVersion: 1,
			Data: []byte(`{"showId":1}`), Metadata: []byte(`{"batch":"b"}`),
		},
		Position:   1,
		RecordedAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
	}
	m := eventstore.ToMessage(event)
	fmt.Println(m.UUID, m.Metadata[eventstore.HeaderType])

	read, err := eventstore.FromMessage(m)
	fmt.Println(read.Stream, read.Version, read.Position, string(read.Data), err)
	// Output:
	// order-ORDER-20261122-00000001:1 boxoffice.OrderPlaced.v1
	// order-ORDER-20261122-00000001 1 1 {"showId":1} <nil>
}
