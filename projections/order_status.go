package projections

import (
	"slices"
	"strings"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// OrderStatus is the read model of orders: one row per order, fed by the order's stream alone.
func OrderStatus() *Model[OrderState] {
	return &Model[OrderState]{
		Def:    Definition{Name: "order_status", Number: 1, Topic: OrdersTopic, Prefix: "order-", Tables: []string{"order_status"}},
		KeyOf:  orderKey,
		Decode: decodeOrder,
		Apply:  applyOrder,
		Load:   loadOrders,
		Save:   saveOrders,
	}
}

// OrderState is an order as its events tell it. Version, and the sum of the refunds, are filled by Facts.
type OrderState struct {
	views.OrderFacts
	CustomerRef    string
	PlacedPosition int64 // of its OrderPlaced: finds the contact
	Refunds        []views.RefundPart
}

// Facts is what an order at a version shows.
func (s *OrderState) Facts(version int64) views.OrderFacts {
	f := s.OrderFacts
	f.Version, f.Refund = version, views.SumRefunds(s.Refunds)
	return f
}

const orderStreams = "order-"

func orderKey(e eventstore.Recorded) (string, bool, error) {
	id, ok := strings.CutPrefix(e.Stream, orderStreams)
	return id, ok, nil
}

func applyOrder(s *OrderState, e eventstore.Recorded, ev domain.Event) error {
	switch ev := ev.(type) {
	case domain.OrderPlaced:
		s.OrderID, s.ShowID, s.Status = ev.OrderID, ev.ShowID, ev.Status
		s.CustomerRef, s.PlacedPosition = ev.CustomerRef, e.Position
		s.Lines, s.Total = ev.Lines, ev.Total
		s.PlacedAt, s.ExpiresAt = ev.PlacedAt, ev.ExpiresAt
		s.Payment = ev.Payment
	case domain.OrderConfirmed:
		s.Status = ev.Status
		s.newest(ev.Payment)
	case domain.OrderPaymentChanged:
		s.Status = ev.Status
		s.newest(ev.Payment)
	case domain.OrderCompleted:
		// The payment that brought the money is shown, also when a newer attempt was begun after it.
		s.Status, s.Reason, s.Payment, s.Tickets = ev.Status, "", ev.Payment, ev.Tickets
	case domain.OrderCanceled:
		s.Status, s.Reason, s.Tickets = ev.Status, ev.Reason, nil
		if ev.Payment.PaymentID != "" {
			s.Payment = ev.Payment
		}
	case domain.OrderRefunded:
		s.Status = ev.Status
		s.refund(views.RefundPart{RefundID: ev.RefundID, Status: ev.Refund, Amount: ev.Amount.Amount})
	}
	return nil
}

// newest keeps the payment of the highest attempt: what becomes of an older one is not shown.
func (s *OrderState) newest(p domain.PaymentSummary) {
	if p.Attempt >= s.Payment.Attempt {
		s.Payment = p
	}
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
