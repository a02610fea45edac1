package domain

import "strings"

// SettlePayment reports money. PaymentID may be a payment's id or an order's.
type SettlePayment struct {
	Gateway       string
	PaymentID     string
	Amount        *int64 // nil: not told, taken as right
	Currency      string // empty: not told, taken as right
	Reference     string // the gateway's id of the money, if it has one
	GatewayStatus string
}

// Needs names the order, if the id has the form of one, and the inbox for a delivery that matches nothing.
func (c SettlePayment) Needs() Needs { return needsOrderOrInbox(c.PaymentID) }

func (c SettlePayment) phase(b *Batch) int {
	orderID, _ := OrderOf(c.PaymentID)
	switch o := b.states.Orders[orderID]; {
	case o == nil:
		return phaseRelease
	case o.Status.Live():
		return phaseSettle
	case o.Status == Canceled && !o.EverCompleted:
		return phaseSettleLate
	default:
		return phaseRelease
	}
}

// decide judges money that has come. It always ends as tickets, a refund or an open item.
func (c SettlePayment) decide(p *plan) error {
	c.Gateway, c.PaymentID, c.Currency = kept(c.Gateway), kept(c.PaymentID), kept(c.Currency)
	c.Reference, c.GatewayStatus = kept(c.Reference), kept(c.GatewayStatus)
	order, pay, err := p.named(c.PaymentID)
	if err != nil {
		return err
	}
	if order == nil {
		unmatched := PaymentUnmatched{
			Gateway: c.Gateway, PaymentID: c.PaymentID, Reference: c.Reference, GatewayStatus: c.GatewayStatus,
		}
		if c.Amount != nil {
			unmatched.Amount = Money{*c.Amount, c.Currency}
		}
		p.unmatched(unmatched)
		return nil
	}
	p.speakOf(order, pay)
	if wrong := mismatch(c, pay); wrong != "" {
		p.mismatched(c, pay, wrong)
		return nil
	}
	if p.seen(c.Reference, order, pay) {
		return nil
	}
	if c.Reference != "" && settledUnnamed(pay) {
		p.mismatched(c, pay, UnclearReference)
		return nil
	}
	show, err := p.showOf(order)
	if err != nil {
		return err
	}
	return p.settle(c, show, order, pay)
}

// settle decides what new money of the right amount comes to.
func (p *plan) settle(c SettlePayment, show *Show, order *Order, pay *Payment) error {
	switch {
	case order.Status.Live() && !show.Canceled:
		return p.sell(c, order, pay, order.HoldID)
	case order.Status.Live():
		if err := p.end(order, movedReleased, ReasonShowCanceled, "", pay); err != nil {
			return err
		}
		p.refund(c, Canceled, order, pay, ShowCancel)
	case show.Canceled:
		p.refund(c, order.Status, order, pay, ShowCancel)
	case order.Status == Completed:
		p.refund(c, order.Status, order, pay, DuplicateMoney)
	case order.EverCompleted:
		p.refund(c, order.Status, order, pay, LateMoney)
	case fits(show, order):
		return p.takeAgain(c, order, pay)
	case p.mayFree(show):
		return ErrWait
	default:
		p.refund(c, order.Status, order, pay, LateMoney)
	}
	return nil
}

// fits reports whether an ended order's tickets can be taken again: only capacity counts.
func fits(show *Show, o *Order) bool {
	for _, line := range o.Lines {
		if _, total, ok := show.TicketType(line.TicketTypeID); !ok || line.Quantity > total.Available() {
			return false
		}
	}
	return true
}

// takeAgain gives an ended order a new hold and sells it at once.
func (p *plan) takeAgain(c SettlePayment, order *Order, pay *Payment) error {
	holdID := HoldID(order.OrderID, order.HoldNumber+1)
	p.move(movedReacquired, order, holdID)
	again := &p.moves[len(p.moves)-1].member
	again.ExpiresAt, again.ReleaseAt = p.batch.at, p.batch.at
	return p.sell(c, order, pay, holdID)
}

// sell turns a hold into tickets.
func (p *plan) sell(c SettlePayment, order *Order, pay *Payment, holdID string) error {
	payments, err := p.payments(order)
	if err != nil {
		return err
	}
	p.move(movedSold, order, holdID)
	p.onPayment(pay, p.settled(c, pay))
	summary := pay.summary()
	summary.Status = Settled
	p.onOrder(order, OrderCompleted{
		OrderStep: order.step(Completed), Late: order.Status == Canceled, HoldID: holdID,
		CompletedAt: p.batch.at, Reference: c.Reference, Payment: summary, Tickets: order.tickets(),
	})
	p.expire(payments, pay)
	return nil
}

// refund sends new money back. Status is where the order stands when the refund begins.
func (p *plan) refund(c SettlePayment, status OrderStatus, order *Order, pay *Payment, reason RefundReason) {
	p.onPayment(pay, p.settled(c, pay))
	p.requestRefund(status, order, pay, reason, c.Reference)
}

func (p *plan) settled(c SettlePayment, pay *Payment) PaymentSettled {
	return PaymentSettled{
		PaymentStep: pay.step(Settled), Amount: pay.Amount, Reference: c.Reference,
		GatewayStatus: c.GatewayStatus, SettledAt: p.batch.at,
	}
}

// mismatch says what is wrong with the money, if anything. What a gateway does not tell is taken as right.
func mismatch(c SettlePayment, pay *Payment) Mismatch {
	switch {
	case c.Currency != "" && !strings.EqualFold(c.Currency, pay.Amount.Currency):
		return WrongCurrency
	case c.Amount != nil && *c.Amount != pay.Amount.Amount:
		return WrongAmount
	default:
		return ""
	}
}

// mismatched keeps money that does not fit, once: the same reference, or without one the same amount, is
// the same money.
func (p *plan) mismatched(c SettlePayment, pay *Payment, wrong Mismatch) {
	received := pay.Amount
	if c.Amount != nil {
		received.Amount = *c.Amount
	}
	if c.Currency != "" {
		received.Currency = strings.ToUpper(c.Currency)
	}
	for _, m := range pay.Mismatches {
		if m.Reference == c.Reference && (c.Reference != "" || m.Received == received) {
			return
		}
	}
	p.onPayment(pay, PaymentMismatched{
		PaymentStep: pay.step(pay.Status), Mismatch: wrong, Expected: pay.Amount, Received: received,
		Reference: c.Reference, GatewayStatus: c.GatewayStatus, ReceivedAt: p.batch.at,
	})
}

// seen reports whether money was counted before. A reference is the same money whichever payment of the
// order it names; without one, a payment is taken to bring money once.
func (p *plan) seen(reference string, order *Order, pay *Payment) bool {
	if reference == "" {
		return len(pay.Settlements) > 0
	}
	for _, summary := range order.Payments {
		other := p.batch.Payment(summary.PaymentID)
		if other == nil {
			continue
		}
		for _, s := range other.Settlements {
			if s.Reference == reference {
				return true
			}
		}
	}
	return false
}

// settledUnnamed reports whether a payment brought money without a reference. A reference after it may be
// the same money or more.
func settledUnnamed(pay *Payment) bool {
	for _, s := range pay.Settlements {
		if s.Reference == "" {
			return true
		}
	}
	return false
}
