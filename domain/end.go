package domain

// MaxReason is the length of what a person gives as a reason, in characters.
const MaxReason = 1000

// end gives an order's held tickets back and cancels the order with its open payments. Settling is a
// payment that ends otherwise in the same command, or nil.
func (p *plan) end(order *Order, kind movement, reason CancelReason, note string, settling *Payment) error {
	payments, err := p.payments(order)
	if err != nil {
		return err
	}
	p.move(kind, order, order.HoldID)
	p.expire(payments, settling)
	var newest PaymentSummary
	if n := order.Newest(); n != nil {
		newest = *n
		switch {
		case settling != nil && settling.PaymentID == newest.PaymentID:
			newest.Status = Settled
		case newest.Status.Open():
			newest.Status = Expired
		}
	}
	p.onOrder(order, OrderCanceled{
		OrderStep: order.step(Canceled), Reason: reason, Note: note, CanceledAt: p.batch.at, Payment: newest,
	})
	return nil
}

// CancelOrder ends an order: a live one for its customer or an operator, a completed one for an operator only.
type CancelOrder struct {
	OrderID    string
	ByOperator bool
	Note       string
}

// Needs names the order.
func (c CancelOrder) Needs() Needs { return needsOrder(c.OrderID) }

func (c CancelOrder) phase(*Batch) int { return phaseRelease }

func (c CancelOrder) decide(p *plan) error {
	order := p.batch.Order(c.OrderID)
	if order == nil {
		return notFound(WhatOrder, c.OrderID)
	}
	p.speakOf(order, nil)
	if n := order.Newest(); n != nil {
		p.result.PaymentID = n.PaymentID
	}
	if err := checkText("/reason", "reason", c.Note, 0, MaxReason); err != nil {
		return err
	}
	reason := ReasonCustomer
	if c.ByOperator {
		reason = ReasonOperator
	}
	switch {
	case order.Status.Live():
		if _, err := p.showOf(order); err != nil {
			return err
		}
		return p.end(order, movedReleased, reason, c.Note, nil)
	case order.Status == Completed && c.ByOperator:
		return p.giveBack(order, ReasonOperator, OrderCancel, c.Note)
	case order.Status == Completed:
		return reject(NotCancelable, "The order is paid; only an operator can cancel it.")
	default:
		return nil
	}
}

// giveBack cancels a completed order: its tickets go on sale again and the money that bought them goes back.
func (p *plan) giveBack(order *Order, reason CancelReason, refund RefundReason, note string) error {
	if _, err := p.showOf(order); err != nil {
		return err
	}
	payments, err := p.payments(order)
	if err != nil {
		return err
	}
	p.move(movedReturned, order, order.HoldID)
	canceled := OrderCanceled{OrderStep: order.step(Canceled), Reason: reason, Note: note, CanceledAt: p.batch.at}
	if n := order.Newest(); n != nil {
		canceled.Payment = *n
	}
	p.onOrder(order, canceled)
	for _, pay := range payments {
		if pay.PaymentID == order.PaidBy {
			p.requestRefund(Canceled, order, pay, refund, order.PaidReference)
		}
	}
	return nil
}
