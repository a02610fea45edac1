package domain

import (
	"fmt"
	"slices"
	"time"
)

// named finds the order and the payment that a delivery speaks of. An order's id names the payment that
// bought its tickets, else one that brought money, else the newest. Nil without an error means that nobody
// knows it.
func (p *plan) named(id string) (*Order, *Payment, error) {
	orderID, ok := OrderOf(id)
	if !ok {
		return nil, nil, nil
	}
	order := p.batch.Order(orderID)
	if order == nil {
		return nil, nil, nil
	}
	payments, err := p.payments(order)
	if err != nil || len(payments) == 0 {
		return nil, nil, err
	}
	if id != orderID {
		for _, pay := range payments {
			if pay.PaymentID == id {
				return order, pay, nil
			}
		}
		return nil, nil, nil
	}
	for _, pay := range payments {
		if pay.PaymentID == order.PaidBy {
			return order, pay, nil
		}
	}
	for _, pay := range payments {
		if len(pay.Settlements) > 0 {
			return order, pay, nil
		}
	}
	return order, payments[len(payments)-1], nil
}

// payments are the payments of an order by attempt. An order whose payments were not loaded is a fault:
// deciding without them would write events at wrong places.
func (p *plan) payments(o *Order) ([]*Payment, error) {
	payments := make([]*Payment, len(o.Payments))
	for i, summary := range o.Payments {
		if payments[i] = p.batch.Payment(summary.PaymentID); payments[i] == nil {
			return nil, fmt.Errorf("order %s: payment %s is not loaded", o.OrderID, summary.PaymentID)
		}
	}
	return payments, nil
}

// showOf is the show of an order, which must be loaded.
func (p *plan) showOf(o *Order) (*Show, error) {
	show := p.batch.Show(o.ShowID)
	if show == nil {
		return nil, fmt.Errorf("order %s: show %d is not loaded", o.OrderID, o.ShowID)
	}
	return show, nil
}

// step begins an event of the order that leaves it in a status.
func (o *Order) step(status OrderStatus) OrderStep {
	return OrderStep{OrderID: o.OrderID, ShowID: o.ShowID, Previous: o.Status, Status: status}
}

// speakOf sets what the answer speaks of.
func (p *plan) speakOf(o *Order, pay *Payment) {
	p.result.OrderID, p.result.ShowID = o.OrderID, o.ShowID
	if pay != nil {
		p.result.PaymentID = pay.PaymentID
	}
}

// expire ends the open payments of an order but one, which may be nil.
func (p *plan) expire(payments []*Payment, but *Payment) {
	for _, pay := range payments {
		if pay != but && pay.Status.Open() {
			p.onPayment(pay, PaymentExpired{PaymentStep: pay.step(Expired), ExpiredAt: p.batch.at})
		}
	}
}

// RecordInstruction stores what the gateway answered to a charge.
type RecordInstruction struct {
	PaymentID string
	QR        string
	URL       string
	ChargeID  string
	ExpiresAt time.Time
}

// Needs names the order of the payment, if the id has the form of one.
func (c RecordInstruction) Needs() Needs { return needsOrder(c.PaymentID) }

func (c RecordInstruction) phase(*Batch) int { return phaseRelease }

func (c RecordInstruction) decide(p *plan) error {
	order, pay, err := p.named(c.PaymentID)
	if err != nil || order == nil {
		return err
	}
	p.speakOf(order, pay)
	if pay.PaymentID != c.PaymentID || pay.Status != Requested || !order.Status.Live() || order.Newest().PaymentID != pay.PaymentID {
		return nil
	}
	c.QR, c.URL, c.ChargeID = kept(c.QR), kept(c.URL), kept(c.ChargeID)
	expiresAt := storable(c.ExpiresAt)
	if expiresAt.IsZero() {
		expiresAt = pay.ExpiresAt
	}
	instructed := PaymentInstructed{
		PaymentStep: pay.step(Instructed), QR: c.QR, URL: c.URL, ChargeID: c.ChargeID, ExpiresAt: expiresAt,
	}
	summary := pay.summary()
	summary.Status, summary.QR, summary.URL, summary.ExpiresAt = Instructed, c.QR, c.URL, expiresAt
	p.onPayment(pay, instructed)
	p.onOrder(order, OrderConfirmed{OrderStep: order.step(Confirmed), Payment: summary})
	return nil
}

// RequestPayment asks for one more payment of a live order. An older one that is still open is voided.
type RequestPayment struct {
	OrderID string
	Method  PaymentMethod
}

// Needs names the order.
func (c RequestPayment) Needs() Needs { return needsOrder(c.OrderID) }

func (c RequestPayment) phase(*Batch) int { return phaseRelease }

func (c RequestPayment) decide(p *plan) error {
	order := p.batch.Order(c.OrderID)
	if order == nil {
		return notFound(WhatOrder, c.OrderID)
	}
	p.speakOf(order, nil)
	show, err := p.showOf(order)
	if err != nil {
		return err
	}
	payments, err := p.payments(order)
	if err != nil {
		return err
	}
	// A payment ends before the hold by the time that the hold outlives its own expiry.
	expiresAt := order.ExpiresAt.Add(-order.ReleaseAt.Sub(order.ExpiresAt))
	switch {
	case !order.Status.Live():
		return reject(HoldEnded, "The tickets of the order are no longer held.")
	case show.Canceled:
		return reject(ShowIsCanceled, "The show is canceled.")
	case !slices.Contains(show.PaymentMethods, c.Method):
		return invalid("/method", "The show takes no payment by %q.", string(c.Method))
	case !p.batch.at.Before(expiresAt):
		return reject(HoldEnded, "There is no time left to pay before the tickets are released.")
	case len(payments) >= MaxPaymentAttempts:
		return reject(LimitReached, "An order has at most %d payments.", MaxPaymentAttempts)
	}
	attempt := len(payments) + 1
	requested := PaymentRequested{
		PaymentStep: PaymentStep{
			PaymentID: PaymentID(order.OrderID, attempt), OrderID: order.OrderID, ShowID: order.ShowID, Status: Requested,
		},
		Attempt: attempt, Method: c.Method, Amount: order.Total, ExpiresAt: expiresAt,
	}
	p.expire(payments, nil)
	p.facts = append(p.facts, fact{StreamPayment, requested.PaymentID, requested})
	p.onOrder(order, OrderPaymentChanged{OrderStep: order.step(order.Status), Payment: PaymentSummary{
		PaymentID: requested.PaymentID, Attempt: attempt, Status: Requested, Method: c.Method, ExpiresAt: expiresAt,
	}})
	p.result.PaymentID = requested.PaymentID
	return nil
}

// FailPayment reports that no money will come with a payment. PaymentID may be a payment's id or an order's.
type FailPayment struct {
	Gateway       string
	PaymentID     string
	GatewayStatus string
	Detail        string
}

// Needs names the order, if the id has the form of one, and the inbox for a delivery that matches nothing.
func (c FailPayment) Needs() Needs { return needsOrderOrInbox(c.PaymentID) }

func (c FailPayment) phase(*Batch) int { return phaseRelease }

func (c FailPayment) decide(p *plan) error {
	c.Gateway, c.PaymentID = kept(c.Gateway), kept(c.PaymentID)
	c.GatewayStatus, c.Detail = kept(c.GatewayStatus), kept(c.Detail)
	order, pay, err := p.named(c.PaymentID)
	if err != nil {
		return err
	}
	if order == nil {
		p.unmatched(PaymentUnmatched{Gateway: c.Gateway, PaymentID: c.PaymentID, GatewayStatus: c.GatewayStatus})
		return nil
	}
	p.speakOf(order, pay)
	if !pay.Status.Open() {
		return nil
	}
	failed := PaymentFailed{
		PaymentStep: pay.step(Failed), GatewayStatus: c.GatewayStatus, Detail: c.Detail, FailedAt: p.batch.at,
	}
	newest := order.Status.Live() && order.Newest().PaymentID == pay.PaymentID
	summary := pay.summary()
	summary.Status = Failed
	switch {
	case newest && pay.Method == QRIS:
		// A code can't be tried again, so the order ends with it.
		p.move(movedReleased, order, order.HoldID)
		p.onPayment(pay, failed)
		p.onOrder(order, OrderCanceled{
			OrderStep: order.step(Canceled), Reason: ReasonPaymentFailed, CanceledAt: p.batch.at, Payment: summary,
		})
	case newest:
		p.onPayment(pay, failed)
		p.onOrder(order, OrderPaymentChanged{OrderStep: order.step(order.Status), Payment: summary})
	default:
		p.onPayment(pay, failed)
	}
	return nil
}

// unmatched keeps a delivery that nobody knows, once.
func (p *plan) unmatched(e PaymentUnmatched) {
	stream := InboxStream(p.batch.at)
	if inbox := p.batch.inbox(stream); inbox != nil && inbox.has(e) {
		return
	}
	e.ReceivedAt = p.batch.at
	p.onInbox(stream, e)
}
