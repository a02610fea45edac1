package serve

import (
	"encoding/json"
	"testing"
	"time"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

func TestANotificationNamesTheMessageThatCausedIt(t *testing.T) {
	t.Parallel()
	sender := commands.Reference{Source: `https://shop.example/"box"?a=1&b`, ID: `an "id" <ü> with \ spaces`}
	for _, c := range []struct {
		name      string
		event     domain.Event
		causation string
		want      commands.Reference
	}{
		{"a placement by Kafka", domain.OrderPlaced{}, sender.String(), sender},
		{"a cancellation by Kafka", domain.OrderCanceled{}, sender.String(), sender},
		{"a placement by HTTP", domain.OrderPlaced{}, "", commands.Reference{}},
		{"what another event caused", domain.OrderCanceled{}, "payment-PAY-20250205-338aa78d-1:1", commands.Reference{}},
		{"what came later", domain.OrderCompleted{}, sender.String(), commands.Reference{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			metadata, err := json.Marshal(eventstore.Metadata{Batch: "b-1", CommandID: "c-1", Causation: c.causation, Trace: "t"})
			if err != nil {
				t.Fatal(err)
			}
			routed, err := Route(eventstore.Recorded{
				Event: eventstore.Event{
					Stream: "order-ORDER-20250205-338aa78d", Version: 1, Type: c.event.EventType(), SchemaVersion: 1, Metadata: metadata,
					Data: json.RawMessage(`{"orderId":"ORDER-20250205-338aa78d","showId":1,"previous":"","status":"PENDING"}`),
				},
				Position: 1, RecordedAt: time.Unix(1, 0),
			})
			if err != nil || len(routed) != 2 {
				t.Fatalf("routed %+v, %v", routed, err)
			}
			var got Notification
			if err := json.Unmarshal(routed[1].Message.Payload, &got); err != nil {
				t.Fatalf("%s: %v", routed[1].Message.Payload, err)
			}
			if got.Source != c.want.Source || got.CommandID != c.want.ID || got.Status != "PENDING" {
				t.Errorf("notification %s", routed[1].Message.Payload)
			}
		})
	}
}

func TestARefusalHasTheSameIDEachTime(t *testing.T) {
	t.Parallel()
	r := commands.Refusal{
		Reference: commands.Reference{Source: "/shop", ID: "1"}, OrderID: "ORDER-20250205-338aa78d",
		Code: domain.NotCancelable, At: time.Unix(1, 0),
	}
	first, err := refusalMessage(r)
	if err != nil {
		t.Fatal(err)
	}
	id := first.Metadata[eventstore.HeaderID]
	if id != first.UUID {
		t.Errorf("ids %s and %s", id, first.UUID)
	}
	for name, c := range map[string]struct {
		change func(*commands.Refusal)
		same   bool
	}{
		"a repeat":                        {func(r *commands.Refusal) { r.At = time.Unix(2, 0) }, true},
		"another answer":                  {func(r *commands.Refusal) { r.Code = domain.NotFound }, false},
		"another message under its id":    {func(r *commands.Refusal) { r.Asked[0]++ }, false},
		"another id":                      {func(r *commands.Refusal) { r.Reference.ID = "2" }, false},
		"another source":                  {func(r *commands.Refusal) { r.Reference.Source = "/shops" }, false},
		"the same letters, cut elsewhere": {func(r *commands.Refusal) { r.Reference = commands.Reference{Source: "/sho", ID: "p1"} }, false},
	} {
		other := r
		c.change(&other)
		msg, err := refusalMessage(other)
		if err != nil {
			t.Fatal(err)
		}
		if got := msg.Metadata[eventstore.HeaderID]; (got == id) != c.same {
			t.Errorf("%s has the id %s, the first %s", name, got, id)
		}
	}
	const want = `{"orderId":"ORDER-20250205-338aa78d","status":"REJECTED","code":"not_cancelable","at":"1970-01-01T00:00:01Z","source":"/shop","commandId":"1"}`
	if string(first.Payload) != want || first.Metadata[messaging.KeyMetadata] != r.OrderID {
		t.Errorf("key %s: %s", first.Metadata[messaging.KeyMetadata], first.Payload)
	}
	if _, err := eventstore.FromMessage(first); err == nil {
		t.Error("it passes for an event of the log")
	}
}
