package commands

import (
	"encoding/json"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// poison appends an event to a stream that nobody can read.
func (o *office) poison(stream string) {
	o.t.Helper()
	eventually(o.t, "the poison is in the log", func() error {
		head, err := o.store.Head(o.t.Context())
		if err != nil {
			return err
		}
		version, err := o.store.VersionAt(o.t.Context(), stream, head.Position)
		if err != nil {
			return err
		}
		_, err = o.store.Append(o.t.Context(), eventstore.Batch{Head: head, Time: head.Time, Events: []eventstore.Event{{
			Stream: stream, Version: version + 1, Type: "OrderConfirmed", SchemaVersion: 9, Data: json.RawMessage(`{}`), Metadata: json.RawMessage(`{}`),
		}}})
		return err
	})
}

func TestAnOrderThatNobodyCanReadHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 10))
	soon := place(1, 2, "a")
	soon.TTL = time.Second
	bad, good := do(t, w, soon), do(t, w, soon)
	o.poison(domain.OrderStream(bad.Result.OrderID))
	keepTime(t, o, w)
	eventually(t, "the other hold ends", func() error {
		got := o.totals(1)
		return must(got.Held == 2, "totals %+v", got)
	})
	if order := do(t, w, place(1, 8, "b")); order.Order.Status != domain.Pending {
		t.Errorf("a placement came to %+v", order.Order)
	}
	refused(t, w, place(1, 1, "c"), domain.SoldOut)
	if _, err := w.Do(t.Context(), domain.CancelOrder{OrderID: bad.Result.OrderID, ByOperator: true}, Origin{Actor: "test"}); err == nil {
		t.Error("an order that can't be read was canceled")
	}
	if _, err := w.Do(t.Context(), domain.PauseSales{ShowID: 1}, Origin{Actor: "test"}); err != nil {
		t.Errorf("the show: %v", err)
	}
	if _, err := w.Do(t.Context(), domain.CancelOrder{OrderID: good.Result.OrderID, ByOperator: true}, Origin{Actor: "test"}); err != nil {
		t.Errorf("the other order: %v", err)
	}
	checkDense(t, o)
}

func TestAPaymentOrAnInboxThatNobodyCanReadHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 10))
	soon := place(1, 2, "a")
	soon.TTL = time.Second
	bad, good := do(t, w, soon), do(t, w, place(1, 1, "b"))
	o.poison(domain.PaymentStream(bad.Result.PaymentID))
	o.poison(domain.InboxStream(time.Now()))
	keepTime(t, o, w)
	if paid := do(t, w, domain.SettlePayment{Gateway: "g", PaymentID: good.Result.PaymentID, GatewayStatus: "PAID", Reference: "r"}); paid.Order.Status != domain.Completed {
		t.Errorf("the order is %+v", paid.Order)
	}
	if _, err := w.Do(t.Context(), domain.SettlePayment{Gateway: "g", PaymentID: "unknown", GatewayStatus: "PAID"}, Origin{Actor: "test"}); err == nil {
		t.Error("an inbox that can't be read was written to")
	}
	if _, err := w.Do(t.Context(), domain.SettlePayment{Gateway: "g", PaymentID: bad.Result.PaymentID, GatewayStatus: "PAID"}, Origin{Actor: "test"}); err == nil {
		t.Error("a payment that can't be read was settled")
	}
	eventually(t, "the bad order's hold is due", func() error {
		return must(o.store.Now().After(bad.Order.ReleaseAt), "not yet")
	})
	do(t, w, place(1, 1, "c"))
	if got := o.totals(1); got.Held != 3 || got.Sold != 1 {
		t.Errorf("totals %+v", got)
	}
	checkDense(t, o)
}

func TestARequestIsKnownByAnEventThatCantBeRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := NewWriter(o.store, quiet(), Observer{}, nil)
	key := eventstore.NewRequestKey("POST /orders", "caller", "1")
	w.fold([]eventstore.Recorded{{
		Event: eventstore.Event{
			Stream: domain.OrderStream(someOrder), Version: 1, Type: "OrderPlaced", SchemaVersion: 9,
			Data: json.RawMessage(`{}`), Metadata: json.RawMessage(`{"key":"` + key.String() + `"}`),
		},
		Position: 5,
	}})
	if at := w.keys.at[key]; at != 5 {
		t.Errorf("the request of a newer program is at %d", at)
	}
}
