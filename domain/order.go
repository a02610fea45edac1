package domain

import (
	"slices"
	"time"
)

// Order is the state of one order. The zero value is an order without events.
type Order struct {
	Version       int64
	OrderID       string
	ShowID        int64
	Status        OrderStatus
	Reason        CancelReason // why it was canceled; empty otherwise
	Note          string       // what an operator gave as a reason
	CustomerRef   string
	Lines         []Line
	Total         Money
	HoldID        string // the newest hold
	HoldNumber    int    // 1 for the first hold, 2 for one that was taken again
	PlacedAt      time.Time
	ExpiresAt     time.Time // what the buyer is told
	ReleaseAt     time.Time // when the hold ends by itself
	RequestedAt   time.Time
	CompletedAt   time.Time
	CanceledAt    time.Time
	Payments      []PaymentSummary // by attempt
	Tickets       []Ticket         // of a completed order
	Late          bool             // completed after it had ended
	EverCompleted bool             // completed once, whatever came after
	PaidBy        string           // the payment that bought the tickets
	PaidReference string           // the gateway's id of the money that bought them
	Refunds       []OrderRefund    // by the time they were asked for
}

// OrderRefund is what an order tells of one refund.
type OrderRefund struct {
	RefundID  string
	PaymentID string
	Status    RefundStatus
	Reason    RefundReason
	Amount    Money
	Reference string // the gateway's id of the money that goes back
}

// Newest is the newest payment of the order, or nil.
func (o *Order) Newest() *PaymentSummary {
	if len(o.Payments) == 0 {
		return nil
	}
	return &o.Payments[len(o.Payments)-1]
}

// Payment finds one of the order's payments, or nil.
func (o *Order) Payment(paymentID string) *PaymentSummary {
	for i := range o.Payments {
		if o.Payments[i].PaymentID == paymentID {
			return &o.Payments[i]
		}
	}
	return nil
}

// Evolve folds one event of the order's stream. It never fails and never judges; of an event that it does
// not know it counts the version.
func (o *Order) Evolve(e Event) {
	o.Version++
	switch e := e.(type) {
	case OrderPlaced:
		o.place(e)
	case OrderConfirmed:
		o.Status = e.Status
		o.pay(e.Payment, false)
	case OrderPaymentChanged:
		o.Status = e.Status
		o.pay(e.Payment, e.Payment.Status == Requested)
	case OrderCompleted:
		if e.Late {
			o.HoldNumber++
		}
		o.Status, o.Reason, o.Note = e.Status, "", ""
		o.HoldID, o.CompletedAt, o.Tickets = e.HoldID, e.CompletedAt, e.Tickets
		o.Late, o.EverCompleted = e.Late, true
		o.PaidBy, o.PaidReference = e.Payment.PaymentID, e.Reference
		o.pay(e.Payment, true)
	case OrderCanceled:
		o.Status, o.Reason, o.Note, o.CanceledAt = e.Status, e.Reason, e.Note, e.CanceledAt
		o.Tickets = nil
		o.pay(e.Payment, true)
	case OrderRefunded:
		o.refund(e)
	}
}

func (o *Order) place(e OrderPlaced) {
	o.OrderID, o.ShowID, o.Status, o.CustomerRef = e.OrderID, e.ShowID, e.Status, e.CustomerRef
	o.Lines, o.Total, o.HoldID, o.HoldNumber = e.Lines, e.Total, e.HoldID, 1
	o.PlacedAt, o.ExpiresAt, o.ReleaseAt, o.RequestedAt = e.PlacedAt, e.ExpiresAt, e.ReleaseAt, e.RequestedAt
	o.pay(e.Payment, false)
}

// pay puts a payment in its place. Alone means that no other payment may be open beside it. The slice is
// copied because drafts and answers share it.
func (o *Order) pay(p PaymentSummary, alone bool) {
	if p.PaymentID == "" {
		return
	}
	payments, known := slices.Clone(o.Payments), false
	for i := range payments {
		switch {
		case payments[i].PaymentID == p.PaymentID:
			payments[i], known = p, true
		case alone && payments[i].Status.Open():
			payments[i].Status = Expired
		}
	}
	if !known {
		payments = append(payments, p)
	}
	o.Payments = payments
}

// refund puts a refund in its place. Where money goes back, money has come: its payment is settled.
func (o *Order) refund(e OrderRefunded) {
	refunds, known := slices.Clone(o.Refunds), false
	for i := range refunds {
		if refunds[i].RefundID == e.RefundID {
			refunds[i].Status, known = e.Refund, true
		}
	}
	if !known {
		refunds = append(refunds, OrderRefund{e.RefundID, e.PaymentID, e.Refund, e.Reason, e.Amount, e.Reference})
	}
	o.Refunds = refunds
	if p := o.Payment(e.PaymentID); p != nil && p.Status != Settled {
		settled := *p
		settled.Status = Settled
		o.pay(settled, false)
	}
}

// heldLines are an order's lines as a show counts them in a movement of one kind.
func heldLines(kind movement, lines []Line) []HeldLine {
	counted := make([]HeldLine, len(lines))
	for i, line := range lines {
		counted[i] = HeldLine{TicketTypeID: line.TicketTypeID, Quantity: line.Quantity}
		if kind.priced() {
			counted[i].UnitPrice = line.UnitPrice
		}
	}
	return counted
}

// tickets are the admissions that a paid order gets, line by line.
func (o *Order) tickets() []Ticket {
	var tickets []Ticket
	for _, line := range o.Lines {
		for range line.Quantity {
			tickets = append(tickets, Ticket{TicketID(o.OrderID, len(tickets)+1), line.TicketTypeID})
		}
	}
	return tickets
}
