package projections

import (
	"time"

	"boxoffice/domain"
)

var noon = time.Date(2025, 2, 5, 12, 0, 0, 0, time.UTC)

const price = 150_000

func orderNumber(n int) string { return domain.OrderID(noon, uint32(n)) }

func step(id string, previous, status domain.OrderStatus) domain.OrderStep {
	return domain.OrderStep{OrderID: id, ShowID: 1, Previous: previous, Status: status}
}

func payment(id string, attempt int, status domain.PaymentStatus) domain.PaymentSummary {
	return domain.PaymentSummary{
		PaymentID: domain.PaymentID(id, attempt), Attempt: attempt, Status: status, Method: domain.QRIS,
		QR: "000201", ExpiresAt: noon.Add(14 * time.Minute),
	}
}

func rupiah(amount int64) domain.Money { return domain.Money{Amount: amount, Currency: "IDR"} }

func placed(id string, quantity int64) domain.OrderPlaced {
	return domain.OrderPlaced{
		OrderStep: step(id, "", domain.Pending), CustomerRef: "ref-of-" + id,
		Lines: []domain.Line{{TicketTypeID: 1, Quantity: quantity, UnitPrice: price}}, Total: rupiah(quantity * price),
		HoldID: domain.HoldID(id, 1), PlacedAt: noon, ExpiresAt: noon.Add(15 * time.Minute), ReleaseAt: noon.Add(16 * time.Minute),
		Payment: payment(id, 1, domain.Requested),
	}
}

func confirmed(id string) domain.OrderConfirmed {
	return domain.OrderConfirmed{OrderStep: step(id, domain.Pending, domain.Confirmed), Payment: payment(id, 1, domain.Instructed)}
}

func completed(id string, quantity int) domain.OrderCompleted {
	ev := domain.OrderCompleted{
		OrderStep: step(id, domain.Confirmed, domain.Completed), HoldID: domain.HoldID(id, 1), CompletedAt: noon.Add(time.Minute),
		Payment: payment(id, 1, domain.Settled),
	}
	for n := range quantity {
		ev.Tickets = append(ev.Tickets, domain.Ticket{TicketID: domain.TicketID(id, n+1), TicketTypeID: 1})
	}
	return ev
}

func canceled(id string, previous domain.OrderStatus, reason domain.CancelReason) domain.OrderCanceled {
	return domain.OrderCanceled{
		OrderStep: step(id, previous, domain.Canceled), Reason: reason, CanceledAt: noon.Add(time.Hour),
		Payment: payment(id, 1, domain.Expired),
	}
}

func refunded(id string, n int, status domain.RefundStatus, amount int64) domain.OrderRefunded {
	return domain.OrderRefunded{
		OrderStep: step(id, domain.Canceled, domain.Canceled), RefundID: domain.RefundID(domain.PaymentID(id, 1), n),
		PaymentID: domain.PaymentID(id, 1), Refund: status, Reason: domain.OrderCancel, Amount: rupiah(amount),
	}
}

func ticketType(id, capacity int64) domain.TicketType {
	return domain.TicketType{TicketTypeID: id, Name: "Standard", Price: price, Capacity: capacity, MaxPerOrder: 10}
}

func totals(capacity, held, sold int64) []domain.Totals {
	return []domain.Totals{{TicketTypeID: 1, Capacity: capacity, Held: held, Sold: sold}}
}

func created(show, capacity int64) domain.ShowCreated {
	return domain.ShowCreated{
		ShowID: show, Name: "First night", Venue: "Hall 1", StartsAt: time.Now().UTC().Add(1000 * time.Hour).Truncate(time.Second),
		TimeZone: "Asia/Jakarta", Currency: "IDR", PaymentMethods: []domain.PaymentMethod{domain.QRIS, domain.Card},
		TicketTypes: []domain.TicketType{ticketType(1, capacity)}, Totals: totals(capacity, 0, 0),
	}
}

func movement(show int64, after []domain.Totals) domain.Movement {
	return domain.Movement{ShowID: show, Members: []domain.Member{{OrderID: orderNumber(1)}}, Totals: after}
}

func held(show int64, after []domain.Totals) domain.TicketsHeld {
	return domain.TicketsHeld{Movement: movement(show, after)}
}

func sold(show int64, after []domain.Totals) domain.TicketsSold {
	return domain.TicketsSold{Movement: movement(show, after)}
}

func paymentStep(id string) domain.PaymentStep {
	return domain.PaymentStep{PaymentID: domain.PaymentID(id, 1), OrderID: id, ShowID: 1, Previous: domain.Instructed, Status: domain.Settled}
}
