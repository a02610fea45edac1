// Package views holds the wire forms of what Boxoffice answers: an order, a show, its availability
// and an open item, exactly as the outside contract spells them. Both the commands' answers and the
// queries are built here, so that the same thing never has two shapes.
package views

import (
	"time"

	"boxoffice/domain"
)

// Order is an order as its buyer and operators see it. Build it with NewOrder.
type Order struct {
	OrderID      string              `json:"orderId"`
	Status       domain.OrderStatus  `json:"status"`
	Reason       domain.CancelReason `json:"reason,omitzero"` // only of a canceled order
	ShowID       int64               `json:"showId"`
	Lines        []domain.Line       `json:"lines"`
	TicketTypeID int64               `json:"ticketTypeId,omitzero"` // only when there is one line
	Quantity     int64               `json:"quantity"`              // sum of the lines
	Total        domain.Money        `json:"total"`
	PlacedAt     time.Time           `json:"placedAt"`
	ExpiresAt    time.Time           `json:"expiresAt"`
	Version      int64               `json:"version"`
	Customer     *Customer           `json:"customer,omitzero"`
	Payment      *Payment            `json:"payment,omitzero"` // the newest attempt
	Refund       *Refund             `json:"refund,omitzero"`
	Tickets      []Ticket            `json:"tickets,omitzero"`  // only of a completed order
	Token        string              `json:"token,omitzero"`    // only in the answer to the command that placed it
	Position     int64               `json:"position,omitzero"` // only in answers to commands: what Min-Position takes
}

// Customer is who placed an order, as the buyer told it. It is kept in contacts only.
type Customer struct {
	ID    string `json:"id"`
	Email string `json:"email,omitzero"`
	Name  string `json:"name,omitzero"`
}

// Payment is one attempt to be paid for an order.
type Payment struct {
	PaymentID string               `json:"paymentId"`
	Status    domain.PaymentStatus `json:"status"`
	Method    domain.PaymentMethod `json:"method"`
	QR        string               `json:"qr,omitzero"`
	URL       string               `json:"url,omitzero"`
	ExpiresAt time.Time            `json:"expiresAt,omitzero"`
}

// Refund sums up what goes back for an order, over all its refunds.
type Refund struct {
	Status domain.RefundStatus `json:"status"`
	Amount int64               `json:"amount"` // in the smallest unit of the order's currency
}

// Ticket is one admission with its code.
type Ticket struct {
	TicketID     string `json:"ticketId"`
	TicketTypeID int64  `json:"ticketTypeId"`
	Code         string `json:"code"`
}

// Stranger is all that somebody without the order's token is shown of it.
type Stranger struct {
	OrderID string             `json:"orderId"`
	Status  domain.OrderStatus `json:"status"`
	Version int64              `json:"version"`
}

// OrderFacts is what an order's events say of it, whoever folded them.
type OrderFacts struct {
	OrderID   string
	Status    domain.OrderStatus
	Reason    domain.CancelReason
	ShowID    int64
	Lines     []domain.Line
	Total     domain.Money
	PlacedAt  time.Time
	ExpiresAt time.Time
	Version   int64
	Payment   domain.PaymentSummary // the newest attempt; zero: none
	Refund    Refund                // of SumRefunds; zero: none
	Tickets   []domain.Ticket
}

// NewOrder shows an order. Code derives a ticket's code from its id; it is asked only for a completed order.
func NewOrder(f OrderFacts, code func(ticketID string) string) Order {
	o := Order{
		OrderID: f.OrderID, Status: f.Status, Reason: f.Reason, ShowID: f.ShowID,
		Lines: f.Lines, Total: f.Total, PlacedAt: f.PlacedAt.UTC(), ExpiresAt: f.ExpiresAt.UTC(), Version: f.Version,
	}
	if o.Lines == nil {
		o.Lines = []domain.Line{}
	}
	for _, l := range f.Lines {
		o.Quantity += l.Quantity
	}
	if len(f.Lines) == 1 {
		o.TicketTypeID = f.Lines[0].TicketTypeID
	}
	if p := f.Payment; p.PaymentID != "" {
		o.Payment = &Payment{p.PaymentID, p.Status, p.Method, p.QR, p.URL, p.ExpiresAt}
	}
	if f.Refund.Status != "" {
		refund := f.Refund
		o.Refund = &refund
	}
	if f.Status == domain.Completed {
		for _, t := range f.Tickets {
			o.Tickets = append(o.Tickets, Ticket{t.TicketID, t.TicketTypeID, code(t.TicketID)})
		}
	}
	return o
}

// ForStranger leaves of an order what everybody may see.
func (o Order) ForStranger() Stranger { return Stranger{o.OrderID, o.Status, o.Version} }

// RefundPart is one refund of an order.
type RefundPart struct {
	RefundID string              `json:"refundId"`
	Status   domain.RefundStatus `json:"status"`
	Amount   int64               `json:"amount"`
}

// SumRefunds sums up an order's refunds. One that was given up shows before one that is due, and that
// before those that are done, because it is what somebody still has to look at. Zero: no refunds.
func SumRefunds(parts []RefundPart) Refund {
	if len(parts) == 0 {
		return Refund{}
	}
	rank := map[domain.RefundStatus]int{domain.RefundDone: 1, domain.RefundDue: 2, domain.RefundLost: 3}
	var sum Refund
	for _, p := range parts {
		sum.Amount += p.Amount
		if rank[p.Status] > rank[sum.Status] {
			sum.Status = p.Status
		}
	}
	return sum
}
