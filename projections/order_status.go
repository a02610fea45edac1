package projections

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// OrderStatus is the read model of orders: one row per order, fed by the order's stream alone.
func OrderStatus() *Model[OrderState] {
	orders := orderTable()
	return &Model[OrderState]{
		Def:    Definition{Name: "order_status", Number: 1, Topic: OrdersTopic, Prefix: orderStreams, Tables: []string{"order_status"}},
		KeyOf:  orderKey,
		Decode: decodeOrder,
		Apply:  applyOrder,
		Load:   loadOrders,
		Fill:   func(rows []Row[OrderState]) []Filled { return []Filled{orders.with(rows)} },
	}
}

// OrderState is an order as its events tell it. What an event tells as a list or an object, and what the row has in
// the same form, is kept as the JSON that the event has: a fold decodes nothing that it does not look at.
type OrderState struct {
	OrderID        string
	Status         domain.OrderStatus
	Reason         domain.CancelReason
	ShowID         int64
	Lines          rawJSON // []domain.Line
	Total          domain.Money
	PlacedAt       time.Time
	ExpiresAt      time.Time
	Payment        rawJSON // domain.PaymentSummary, the newest attempt
	Tickets        rawJSON // []domain.Ticket
	CustomerRef    string
	PlacedPosition int64 // of its OrderPlaced: finds the contact
	Refunds        []views.RefundPart
}

// Facts is what an order at a version shows. Errors: JSON that is none of ours.
func (s *OrderState) Facts(version int64) (views.OrderFacts, error) {
	f := views.OrderFacts{
		OrderID: s.OrderID, Status: s.Status, Reason: s.Reason, ShowID: s.ShowID, Total: s.Total,
		PlacedAt: s.PlacedAt, ExpiresAt: s.ExpiresAt, Version: version, Refund: views.SumRefunds(s.Refunds),
	}
	for _, part := range []struct {
		raw  rawJSON
		into any
	}{{s.Lines, &f.Lines}, {s.Payment, &f.Payment}, {s.Tickets, &f.Tickets}} {
		if len(part.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return views.OrderFacts{}, fmt.Errorf("row of order %s: %w", s.OrderID, err)
		}
	}
	return f, nil
}

const orderStreams = "order-"

func orderKey(e eventstore.Recorded) (string, bool, error) {
	id, ok := strings.CutPrefix(e.Stream, orderStreams)
	return id, ok, nil
}

func applyOrder(s *OrderState, e eventstore.Recorded, ev domain.Event) error {
	if ev, ok := ev.(domain.OrderRefunded); ok {
		s.Status = ev.Status
		s.refund(views.RefundPart{RefundID: ev.RefundID, Status: ev.Refund, Amount: ev.Amount.Amount})
		return nil
	}
	step, ok := ev.(*orderStep)
	if !ok {
		return fmt.Errorf("%T is no event of an order", ev)
	}
	s.Status = step.status
	switch step.name {
	case "OrderPlaced":
		s.OrderID, s.ShowID = step.orderID, step.showID
		s.CustomerRef, s.PlacedPosition = step.customerRef, e.Position
		s.Total, s.PlacedAt, s.ExpiresAt = step.total, step.placedAt, step.expiresAt
		s.Lines, s.Payment = step.lines, step.payment
	case "OrderConfirmed", "OrderPaymentChanged":
		return s.newest(step.payment)
	case "OrderCompleted":
		// The payment that brought the money is shown, also when a newer attempt was begun after it.
		s.Reason, s.Payment, s.Tickets = "", step.payment, step.tickets
	case "OrderCanceled":
		s.Reason, s.Tickets = step.reason, nil
		if p, err := paymentOf(step.payment); err != nil || p.PaymentID == "" {
			return err
		}
		s.Payment = step.payment
	}
	return nil
}

// newest keeps the payment of the highest attempt: what becomes of an older one is not shown.
func (s *OrderState) newest(told rawJSON) error {
	if bytes.Equal(attemptIn(told), attemptIn(s.Payment)) {
		s.Payment = told // the same attempt, further on
		return nil
	}
	now, err := paymentOf(told)
	if err != nil {
		return err
	}
	before, err := paymentOf(s.Payment)
	if err == nil && now.Attempt >= before.Attempt {
		s.Payment = told
	}
	return err
}

// attemptIn is where a payment tells its attempt, up to the next member. Within a text the quotes would be escaped.
func attemptIn(payment rawJSON) []byte {
	_, after, _ := bytes.Cut(payment, []byte(`"attempt":`))
	attempt, _, _ := bytes.Cut(after, []byte(`,`))
	return attempt
}

// paymentOf is what a fold looks at in a payment.
func paymentOf(raw rawJSON) (p struct {
	PaymentID string `json:"paymentId"`
	Attempt   int    `json:"attempt"`
}, err error,
) {
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &p)
	}
	return p, err
}

// refund notes how far a refund is.
func (s *OrderState) refund(p views.RefundPart) {
	parts := slices.Clone(s.Refunds)
	if i := slices.IndexFunc(parts, func(o views.RefundPart) bool { return o.RefundID == p.RefundID }); i >= 0 {
		parts[i] = p
	} else {
		parts = append(parts, p)
	}
	s.Refunds = parts
}
