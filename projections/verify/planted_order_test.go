package verify

import (
	"math"
	"testing"

	"boxoffice/domain"
)

// change changes the decided events of a type, of which there is one.
func change[T domain.Event](decided []domain.Decided, fn func(e *T)) []domain.Decided {
	for i := range decided {
		if e, is := decided[i].Event.(T); is {
			fn(&e)
			decided[i].Event = e
		}
	}
	return decided
}

// TestWhatAnOrderTellsWronglyIsFoundAndNamed: an order and its payments, each of them sound, do not fit together.
func TestWhatAnOrderTellsWronglyIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	settle := func(orderID, reference string) domain.Command {
		return domain.SettlePayment{PaymentID: orderID, Reference: reference}
	}
	for _, c := range []struct {
		name  string
		plant func(p *planted, orderID string) []Finding
	}{
		{"the same money is settled twice", func(p *planted, orderID string) []Finding {
			p.append(p.decide(settle(orderID, "m"))...)
			position := p.append(change(p.decide(settle(orderID, "more")), func(e *domain.PaymentSettled) { e.Reference = "m" })...)
			return []Finding{{Kind: KindMoney, Key: "payment-" + domain.PaymentID(orderID, 1) + ":3", Position: position - 2}}
		}},
		{"an order gets the tickets of another", func(p *planted, orderID string) []Finding {
			position := p.append(change(p.decide(settle(orderID, "m")), func(e *domain.OrderCompleted) {
				for i := range e.Tickets {
					e.Tickets[i].TicketID = domain.TicketID(p.first("OrderCompleted").Stream[len("order-"):], i+1)
				}
			})...)
			return []Finding{{Kind: KindTickets, Key: "order-" + orderID + ":2", Position: position}}
		}},
		{"an order does not tell of its refund", func(p *planted, orderID string) []Finding {
			p.append(p.decide(settle(orderID, "m"))...)
			position := p.append(only(p.decide(settle(orderID, "more")), "PaymentSettled", "RefundRequested")...)
			return []Finding{{Kind: KindRefund, Key: "order-" + orderID, Position: position}}
		}},
		{"an order tells a refund of another amount", func(p *planted, orderID string) []Finding {
			p.append(p.decide(settle(orderID, "m"))...)
			position := p.append(change(p.decide(settle(orderID, "more")), func(e *domain.OrderRefunded) { e.Amount.Amount-- })...)
			return []Finding{{Kind: KindRefund, Key: "order-" + orderID, Position: position}}
		}},
		{"an order is paid by the payment of another", func(p *planted, orderID string) []Finding {
			position := p.append(change(p.decide(settle(orderID, "m")), func(e *domain.OrderCompleted) {
				e.Payment.PaymentID = domain.PaymentID(p.first("OrderCompleted").Stream[len("order-"):], 1)
			})...)
			return []Finding{{Kind: KindMoney, Key: "order-" + orderID + ":2", Position: position}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plantIn(t)
			want := c.plant(p, p.placed())
			projectWith(t, p.db, math.MaxInt64, p.models...)
			p.published()
			p.finds(want)
		})
	}
}
