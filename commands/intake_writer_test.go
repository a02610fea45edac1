package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestTheSameMessageIsOneOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(7, 10))
	var last Answer
	d := newDesk(t, func(ctx context.Context, c domain.Command, from Origin) (a Answer, err error) {
		last, err = w.Do(ctx, c, from)
		return last, err
	})
	handle := func(msg *message.Message, counted string) {
		t.Helper()
		if err := d.Handle(msg); err != nil {
			t.Fatal(err)
		}
		if got := d.counted[len(d.counted)-1]; got != counted {
			t.Fatalf("counted %q, want %q", got, counted)
		}
	}
	refusals := func(n int, code domain.Code) {
		t.Helper()
		if len(d.refusals) != n || d.refusals[n-1].Code != code {
			t.Fatalf("announced %+v", d.refusals)
		}
	}
	handle(commandMessage(t, "PlaceOrder", "1", nativeBody), "PlaceOrder accepted")
	orderID := last.Result.OrderID
	handle(commandMessage(t, "PlaceOrder", "1", nativeBody), "PlaceOrder repeated")
	if last.Result.OrderID != orderID {
		t.Fatalf("orders %s and %s", orderID, last.Result.OrderID)
	}
	handle(commandMessage(t, "PlaceOrder", "1", nativeBody, "ce_source", "/other"), "PlaceOrder accepted")
	handle(commandMessage(t, "PlaceOrder", "1", linesBody), "PlaceOrder idempotency_mismatch")
	refusals(1, domain.IdempotencyMismatch)
	handle(commandMessage(t, "PlaceOrder", "2", ownerBody), "PlaceOrder accepted")
	handle(commandMessage(t, "PlaceOrder", "3", fmt.Sprintf(`{"showId":7,"ticketTypeId":1,"quantity":%d,"customer":{"id":"u"}}`, 5)), "PlaceOrder sold_out")
	refusals(2, domain.SoldOut)
	handle(commandMessage(t, "PlaceOrder", "3", `{"showId":7,"ticketTypeId":1,"quantity":4,"customer":{"id":"u"}}`), "PlaceOrder accepted")

	cancel := fmt.Sprintf(`{"orderId":%q,"token":%q}`, orderID, d.secrets.OrderToken(orderID))
	handle(commandMessage(t, "CancelOrder", "1", cancel), "CancelOrder idempotency_mismatch")
	refusals(3, domain.IdempotencyMismatch)
	handle(commandMessage(t, "CancelOrder", "4", cancel), "CancelOrder accepted")
	handle(commandMessage(t, "CancelOrder", "4", cancel), "CancelOrder repeated")
	handle(commandMessage(t, "CancelOrder", "5", cancel), "CancelOrder accepted") // canceled already: nothing to do
	if n, canceled := o.count("OrderPlaced"), o.count("OrderCanceled"); n != 4 || canceled != 1 {
		t.Errorf("%d orders, %d canceled", n, canceled)
	}
	o.caused(t, "OrderPlaced", "/shop 1", "/other 1", "/shop 2", "/shop 3")
	o.caused(t, "OrderCanceled", "/shop 4")
	checkDense(t, o)
}

// caused compares what caused the events of a type, in their order.
func (o *office) caused(t *testing.T, eventType string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range o.events() {
		if e.Type != eventType {
			continue
		}
		var m eventstore.Metadata
		if err := json.Unmarshal(e.Metadata, &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Causation)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s were caused by %q, want %q", eventType, got, want)
	}
}

func TestMessagesAreDecidedInTheOrderOfTheTopic(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(7, 100))
	var mu sync.Mutex
	d := newDesk(t, accepting)
	d.Door.Send = w.Do
	d.Count = func(string, string) {}
	d.Announce = func(_ context.Context, r Refusal) error {
		mu.Lock()
		defer mu.Unlock()
		d.refusals = append(d.refusals, r)
		return nil
	}
	messages := make([]*message.Message, 400)
	for n := range messages {
		body := fmt.Sprintf(`{"showId":7,"ticketTypeId":1,"quantity":1,"customer":{"id":"u%d"}}`, n)
		if n%10 == 9 {
			body = "garbage" // what is not sent lets the others in, too
		}
		messages[n] = commandMessage(t, "PlaceOrder", fmt.Sprintf("%03d", n), body)
		d.Line(messages[n])
	}
	var running sync.WaitGroup
	for n := range messages { // the last first: their places count
		running.Go(func() {
			if err := d.Handle(messages[len(messages)-1-n]); err != nil && !isPermanent(err) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if len(d.refusals) != 260 || o.count("OrderPlaced") != 100 {
		t.Fatalf("%d refused, %d placed", len(d.refusals), o.count("OrderPlaced"))
	}
	for _, r := range d.refusals {
		if r.Code != domain.SoldOut || r.Reference.ID < "110" {
			t.Errorf("message %s was refused: %s", r.Reference.ID, r.Code)
		}
	}
}

func TestAMessageWhoseTurnNeverComesIsGivenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(ctx context.Context, _ domain.Command, o Origin) (Answer, error) {
		o.turn.wait(ctx)
		return Answer{}, ctx.Err()
	})
	d.Line(commandMessage(t, "PlaceOrder", "1", nativeBody)) // never handled
	msg := commandMessage(t, "PlaceOrder", "2", nativeBody)
	ctx, cancel := context.WithCancel(t.Context())
	msg.SetContext(ctx)
	d.Line(msg)
	cancel()
	if err := d.Handle(msg); err == nil || isPermanent(err) {
		t.Fatal(err)
	}
}
