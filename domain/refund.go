package domain

// requestRefund asks for money that came with a payment to be sent back. The payment is settled at that point.
func (p *plan) requestRefund(status OrderStatus, order *Order, pay *Payment, reason RefundReason, reference string) {
	requested := RefundRequested{
		PaymentStep: PaymentStep{
			PaymentID: pay.PaymentID, OrderID: pay.OrderID, ShowID: pay.ShowID, Previous: Settled, Status: Settled,
		},
		RefundID: RefundID(pay.PaymentID, len(pay.Refunds)+1), Reason: reason, Amount: pay.Amount, Reference: reference,
	}
	p.onPayment(pay, requested)
	p.onOrder(order, OrderRefunded{
		OrderStep: OrderStep{OrderID: order.OrderID, ShowID: order.ShowID, Previous: status, Status: status},
		RefundID:  requested.RefundID, PaymentID: pay.PaymentID, Refund: RefundDue, Reason: reason,
		Amount: requested.Amount, Reference: reference,
	})
}

// RecordRefund stores what became of a refund at the gateway. Failed means that it was given up.
type RecordRefund struct {
	PaymentID string
	RefundID  string
	Failed    bool
	GatewayID string
	Attempts  int
	Detail    string
}

// Needs names the order of the payment, if the id has the form of one.
func (c RecordRefund) Needs() Needs { return needsOrder(c.PaymentID) }

func (c RecordRefund) phase(*Batch) int { return phaseRelease }

func (c RecordRefund) decide(p *plan) error {
	order, pay, err := p.named(c.PaymentID)
	if err != nil || order == nil {
		return err
	}
	p.speakOf(order, pay)
	refund, ok := pay.Refund(c.RefundID)
	if !ok || pay.PaymentID != c.PaymentID || refund.Status != RefundDue {
		return nil
	}
	status := RefundDone
	c.GatewayID, c.Detail = kept(c.GatewayID), kept(c.Detail)
	if c.Failed {
		status = RefundLost
		p.onPayment(pay, RefundFailed{
			PaymentStep: pay.step(pay.Status), RefundID: refund.RefundID, Amount: refund.Amount,
			Attempts: c.Attempts, Detail: c.Detail, FailedAt: p.batch.at,
		})
	} else {
		p.onPayment(pay, RefundCompleted{
			PaymentStep: pay.step(pay.Status), RefundID: refund.RefundID, Amount: refund.Amount,
			GatewayID: c.GatewayID, CompletedAt: p.batch.at,
		})
	}
	p.onOrder(order, OrderRefunded{
		OrderStep: order.step(order.Status), RefundID: refund.RefundID, PaymentID: pay.PaymentID,
		Refund: status, Reason: refund.Reason, Amount: refund.Amount, Reference: refund.Reference,
	})
	return nil
}

// ResolveOpenItem closes an open item with a reason. Stream and Version are those of the event that opened it.
// One that is resolved stays as it is; the result tells the reason that counts.
type ResolveOpenItem struct {
	Stream  string
	Version int64
	Reason  string
}

// Needs names the order of a payment's open item, or the inbox in which the item stands.
func (c ResolveOpenItem) Needs() Needs {
	switch kind, id := ParseStream(c.Stream); kind {
	case StreamPayment:
		return needsOrder(id)
	case StreamInbox:
		return Needs{Stream: c.Stream}
	default:
		return Needs{}
	}
}

func (c ResolveOpenItem) phase(*Batch) int { return phaseRelease }

func (c ResolveOpenItem) decide(p *plan) error {
	if err := checkText("/reason", "reason", c.Reason, 1, MaxReason); err != nil {
		return err
	}
	item := itemID(c.Stream, c.Version)
	resolved := OpenItemResolved{Item: item, Reason: c.Reason, ResolvedAt: p.batch.at}
	p.result.Reason = c.Reason
	switch kind, id := ParseStream(c.Stream); kind {
	case StreamPayment:
		pay := p.batch.Payment(id)
		if pay == nil {
			break
		}
		p.result.OrderID, p.result.PaymentID, p.result.ShowID = pay.OrderID, pay.PaymentID, pay.ShowID
		if pay.OpenItems[c.Version] != "" {
			p.onPayment(pay, resolved)
			return nil
		}
		if reason, ok := pay.Resolved[c.Version]; ok {
			p.result.Reason = reason
			return nil
		}
	case StreamInbox:
		inbox := p.batch.inbox(c.Stream)
		if inbox == nil {
			break
		}
		if inbox.Open(c.Version) {
			p.onInbox(c.Stream, resolved)
			return nil
		}
		if reason, ok := inbox.resolved.get(c.Version); ok {
			p.result.Reason = reason
			return nil
		}
	}
	return notFound(WhatOpenItem, item)
}
