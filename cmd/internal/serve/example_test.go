package serve_test

import (
	"fmt"
	"time"

	"boxoffice/cmd/internal/serve"
	"boxoffice/eventstore"
)

// What a stored event becomes on its way to Kafka: itself, and a notification where a status has changed.
func Example() {
	routed, err := serve.Route(eventstore.Recorded{
		Event: eventstore.Event{
			Stream: "order-ORDER-20261122-00000001", Version: 2, Type: "OrderConfirmed", SchemaVersion: 1,
			Data: []byte(`{"orderId":"ORDER-20261122-00000001","showId":1,"previous":"PENDING","status":"CONFIRMED"}`),
		},
		Position: 5, RecordedAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
	})
	for _, r := range routed {
		fmt.Println(r.Topic, string(r.Message.Payload))
	}
	fmt.Println(err)
	// Output:
	// orders-topic {"orderId":"ORDER-20261122-00000001","showId":1,"previous":"PENDING","status":"CONFIRMED"}
	// notification-topic {"orderId":"ORDER-20261122-00000001","status":"CONFIRMED","previous":"PENDING","showId":1,"at":"2026-11-22T10:00:00Z"}
	// <nil>
}
