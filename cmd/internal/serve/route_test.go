package serve

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// streamOf is a stream of the kind that an event type belongs to.
func streamOf(eventType string) (stream, topic string) {
	switch {
	case strings.HasPrefix(eventType, "Order"):
		return "order-ORDER-20250205-338aa78d", messaging.OrdersTopic
	case eventType == "PaymentUnmatched" || eventType == "OpenItemResolved":
		return "inbox-202502", messaging.PaymentsTopic
	case strings.HasPrefix(eventType, "Payment"), strings.HasPrefix(eventType, "Refund"):
		return "payment-PAY-20250205-338aa78d-1", messaging.PaymentsTopic
	default:
		return "show-42", messaging.OrdersTopic
	}
}

// TestEveryEventHasItsTopic routes the golden form of every event and decodes the notification with the
// standard library: what was picked and written by hand must be what is there.
func TestEveryEventHasItsTopic(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../domain/testdata/events/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d goldens: %v", len(files), err)
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".") // TYPE.json, or TYPE.WHAT.json of a newer form
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			event, err := domain.Decode(name, 1, golden)
			if err != nil {
				t.Fatal(err)
			}
			data, err := domain.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			stream, topic := streamOf(name)
			e := eventstore.Recorded{
				Event:    eventstore.Event{Stream: stream, Version: 3, Type: name, SchemaVersion: 1, Data: data},
				Position: 9, RecordedAt: time.Date(2025, 2, 5, 1, 2, 3, 4000, time.UTC),
			}
			routed, err := Route(e)
			if err != nil || len(routed) == 0 || routed[0].Topic != topic {
				t.Fatalf("routed %+v, %v", routed, err)
			}
			checkNotification(t, e, routed[1:])
		})
	}
}

func checkNotification(t *testing.T, e eventstore.Recorded, routed []eventstore.Routed) {
	t.Helper()
	var want struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		ShowID    int64  `json:"showId"`
		Previous  string `json:"previous"`
		Status    string `json:"status"`
		Reason    string `json:"reason"`
	}
	if err := json.Unmarshal(e.Data, &want); err != nil {
		t.Fatal(err)
	}
	kind, _ := domain.ParseStream(e.Stream)
	moved := want.Status != want.Previous || e.Type == "RefundCompleted"
	if (kind != domain.StreamOrder && kind != domain.StreamPayment) || !moved {
		if len(routed) != 0 {
			t.Fatalf("a notification where nothing changed: %s", routed[0].Message.Payload)
		}
		return
	}
	if len(routed) != 1 || routed[0].Topic != messaging.NotificationTopic {
		t.Fatalf("routed %+v", routed)
	}
	msg := routed[0].Message
	var got Notification
	if err := json.Unmarshal(msg.Payload, &got); err != nil {
		t.Fatalf("%s: %v", msg.Payload, err)
	}
	if kind == domain.StreamPayment {
		want.Status, want.Previous, want.Reason = orderWord(want.Status), orderWord(want.Previous), ""
		if e.Type == "RefundCompleted" {
			want.Status, want.Reason = "CANCELED", "REFUNDED"
		}
	} else {
		want.PaymentID = ""
	}
	if e.Type != "OrderCanceled" && kind == domain.StreamOrder {
		want.Reason = ""
	}
	if got.OrderID != want.OrderID || got.PaymentID != want.PaymentID || got.ShowID != want.ShowID ||
		got.Status != want.Status || got.Previous != want.Previous || got.Reason != want.Reason || !got.At.Equal(e.RecordedAt) {
		t.Fatalf("notification %+v, event %+v", got, want)
	}
	if msg.Metadata["ce_id"] != "notification:"+e.ID() || msg.Metadata[messaging.KeyMetadata] != want.OrderID {
		t.Fatalf("headers %v", msg.Metadata)
	}
}
