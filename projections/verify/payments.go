package verify

import (
	"fmt"
	"slices"
	"time"

	"boxoffice/eventstore"
)

// payment is what the log says of one attempt to be paid.
type payment struct {
	stream
	order    uint32 // place in fold.orders
	status   uint8  // see paymentStatuses
	amount   int64  // asked for
	settled  int64
	refunded int64 // refunds requested
}

// refund is money on its way back.
type refund struct {
	id      string
	payment uint32 // place in fold.payments
	amount  money
	status  string // as its order has to tell it
	ended   bool
}

// orderMoney is money that was settled for an order, by the gateway's id of it.
type orderMoney struct {
	order     uint32 // place in fold.orders
	reference digest
}

// item is an open item: what an operator has to look at.
type item struct {
	stream     string
	version    int64 // of the last event that told of it
	opened     int64 // position of the event that opened it
	kind       string
	paymentID  string
	orderID    string
	amount     money
	at         time.Time
	detail     string
	reason     string // that the operator gave who resolved it
	resolvedAt time.Time
	counted    bool // in Balance.Open
	resolved   bool
	seen       bool // its row was seen
}

// refundPart is what an order tells of one of its refunds.
type refundPart struct {
	RefundID string `json:"refundId"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
}

const (
	unrequested uint8 = iota
	requested
	instructed
	settled
	failed
	expired
)

func paymentStatuses() []string {
	return []string{"", "REQUESTED", "INSTRUCTED", "SETTLED", "FAILED", "EXPIRED"}
}

// paymentEvent has the fields of every event of a payment and of the inbox.
type paymentEvent struct {
	PaymentID string `json:"paymentId"`
	OrderID   string `json:"orderId"`
	Previous  string `json:"previous"`
	Status    string `json:"status"`
	Amount    money  `json:"amount"`
	Received  money  `json:"received"`
	RefundID  string `json:"refundId"`
	Item      string `json:"item"`
	itemWords
}

// itemWords are the fields that only an open item shows.
type itemWords struct {
	Mismatch      string    `json:"mismatch"`
	Expected      money     `json:"expected"`
	Reference     string    `json:"reference"`
	Gateway       string    `json:"gateway"`
	GatewayStatus string    `json:"gatewayStatus"`
	Attempts      int       `json:"attempts"`
	Detail        string    `json:"detail"`
	Reason        string    `json:"reason"`
	ReceivedAt    time.Time `json:"receivedAt"`
	FailedAt      time.Time `json:"failedAt"`
	ResolvedAt    time.Time `json:"resolvedAt"`
}

func (f *fold) paymentEvent(e *eventstore.Recorded, id string) {
	var ev paymentEvent
	if !f.decode(e, &ev) {
		return
	}
	if e.Type == "OpenItemResolved" {
		f.resolve(e, &ev)
		return
	}
	place, p := f.payments.open(id)
	orderPlace, o := f.orders.open(ev.OrderID)
	f.touch(orderPlace, o)
	if p.status == unrequested {
		p.order = orderPlace
	}
	if ev.PaymentID != id || p.order != orderPlace {
		f.wrong(KindEvent, e, "the event is of payment %s of order %s", ev.PaymentID, ev.OrderID)
	}
	if p.status == unrequested && !isPartOf(ev.OrderID, "PAY-", ev.PaymentID) {
		f.wrong(KindEvent, e, "payment %s has not the id of one of order %s", ev.PaymentID, ev.OrderID)
	}
	f.movePayment(p, e, &ev)
	switch e.Type {
	case "PaymentRequested":
		p.amount = ev.Amount.Amount
	case "PaymentInstructed", "PaymentFailed", "PaymentExpired":
	case "PaymentSettled":
		f.settle(p, o, e, ev.Amount)
		f.takeMoney(orderPlace, o, e, ev.Reference)
	case "PaymentMismatched":
		f.openItem(e, &ev, item{kind: "PAYMENT_MISMATCHED", orderID: ev.OrderID, amount: ev.Received, at: ev.ReceivedAt, detail: ev.mismatch(), counted: true})
	case "RefundRequested":
		f.requestRefund(place, p, o, e, &ev)
	case "RefundCompleted", "RefundFailed":
		f.endRefund(place, e, &ev)
	default:
		f.wrong(KindEvent, e, "%s is no event of a payment", e.Type)
	}
}

func (f *fold) movePayment(p *payment, e *eventstore.Recorded, ev *paymentEvent) {
	words := paymentStatuses()
	previous, next := f.number(e, "payment status", words, ev.Previous), f.number(e, "payment status", words, ev.Status)
	if previous != p.status {
		f.wrong(KindStatus, e, "%s begins at %q, the payment is %q", e.Type, ev.Previous, words[p.status])
	}
	if !mayMovePayment(e.Type, p.status, next) {
		f.wrong(KindStatus, e, "%s moves the payment from %q to %q", e.Type, words[p.status], words[next])
	}
	p.status = next
}

func mayMovePayment(eventType string, from, to uint8) bool {
	open := from == requested || from == instructed
	switch eventType {
	case "PaymentRequested":
		return from == unrequested && to == requested
	case "PaymentInstructed":
		return from == requested && to == instructed
	case "PaymentSettled":
		return from != unrequested && to == settled
	case "PaymentFailed":
		return open && to == failed
	case "PaymentExpired":
		return open && to == expired
	case "RefundRequested", "RefundCompleted", "RefundFailed":
		return from == settled && to == settled
	default:
		return from == to && from != unrequested
	}
}

func (f *fold) settle(p *payment, o *order, e *eventstore.Recorded, came money) {
	currency := f.currencies[o.currency]
	if came.Currency != currency || came.Amount != p.amount || came.Amount != o.total {
		f.wrong(KindMoney, e, "%s settled, %d were asked for and the order costs %d %s", came, p.amount, o.total, currency)
	}
	f.add(&p.settled, came.Amount, e)
	f.add(&o.settled, came.Amount, e)
	f.add(&f.balance(came.Currency).Settled, came.Amount, e)
}

// takeMoney notes the gateway's id of money, if it has one: the same money counts once for an order, whichever of
// its payments it came with.
func (f *fold) takeMoney(place uint32, o *order, e *eventstore.Recorded, reference string) {
	told := digestOf(reference)
	if told == 0 {
		return
	}
	_, known := f.references[orderMoney{place, told}]
	switch {
	case known || o.money == told:
		f.wrong(KindMoney, e, "money with the reference %q was settled for %s before", reference, f.orders.id(place))
	case o.money == 0:
		o.money = told
	default: // the least stays with the order, so that it does not matter which payment is read first
		f.references[orderMoney{place, max(o.money, told)}] = struct{}{}
		o.money = min(o.money, told)
	}
}

func (f *fold) requestRefund(place uint32, p *payment, o *order, e *eventstore.Recorded, ev *paymentEvent) {
	if _, known := f.refunds[ev.RefundID]; known || ev.RefundID == "" {
		f.wrong(KindRefund, e, "refund %s was requested before", ev.RefundID)
		return
	}
	r := &refund{id: ev.RefundID, payment: place, amount: ev.Amount, status: "DUE"}
	f.refunds[ev.RefundID] = r
	f.paidBack[p.order] = append(f.paidBack[p.order], r)
	f.add(&p.refunded, ev.Amount.Amount, e)
	f.add(&o.refunded, ev.Amount.Amount, e)
	f.add(&f.balance(ev.Amount.Currency).Refunds, ev.Amount.Amount, e)
	if ev.Amount.Amount <= 0 || ev.Amount.Currency != f.currencies[o.currency] || p.refunded > p.settled {
		f.wrong(KindRefund, e, "refund of %s brings the payment's refunds to %d of %d settled", ev.Amount, p.refunded, p.settled)
	}
}

func (f *fold) endRefund(place uint32, e *eventstore.Recorded, ev *paymentEvent) {
	r, known := f.refunds[ev.RefundID]
	switch {
	case !known || r.payment != place:
		f.wrong(KindRefund, e, "refund %s of this payment was never requested", ev.RefundID)
		return
	case r.ended:
		f.wrong(KindRefund, e, "refund %s ends a second time", ev.RefundID)
	case r.amount != ev.Amount:
		f.wrong(KindRefund, e, "refund %s of %s ends as one of %s", ev.RefundID, r.amount, ev.Amount)
	}
	r.ended, r.status = true, "DONE"
	if e.Type == "RefundFailed" {
		r.status = "FAILED"
		// Its amount stands among the refunds already.
		f.openItem(e, ev, item{kind: "REFUND_FAILED", orderID: ev.OrderID, amount: ev.Amount, at: ev.FailedAt, detail: ev.failure()})
	}
}

func (f *fold) inboxEvent(e *eventstore.Recorded) {
	var ev paymentEvent
	switch e.Type {
	case "PaymentUnmatched":
		if f.decode(e, &ev) {
			f.openItem(e, &ev, item{kind: "PAYMENT_UNMATCHED", amount: ev.Amount, at: ev.ReceivedAt, detail: ev.stranger(), counted: true})
		}
	case "OpenItemResolved":
		if f.decode(e, &ev) {
			f.resolve(e, &ev)
		}
	case "StreamDiscarded":
		f.discard(e)
	default:
		f.wrong(KindEvent, e, "%s is no event of an inbox", e.Type)
	}
}

// mismatch, failure and stranger are the words of a row of open_items for why somebody has to look at it.
func (ev *paymentEvent) mismatch() string {
	if ev.Mismatch == "REFERENCE" {
		return fmt.Sprintf("money with the reference %q may be the same that was settled without one, or more", ev.Reference)
	}
	return fmt.Sprintf("%s came where %s was asked for", ev.Received, ev.Expected)
}

func (ev *paymentEvent) failure() string {
	text := fmt.Sprintf("refund %s was given up after %d tries", ev.RefundID, ev.Attempts)
	if ev.Detail != "" {
		text += ": " + ev.Detail
	}
	return text
}

func (ev *paymentEvent) stranger() string {
	return fmt.Sprintf("%s reported %s for %q, which nobody knows here", ev.Gateway, ev.GatewayStatus, ev.PaymentID)
}

func (f *fold) openItem(e *eventstore.Recorded, ev *paymentEvent, it item) {
	it.stream, it.version, it.opened, it.paymentID = e.Stream, e.Version, e.Position, ev.PaymentID
	f.items[e.ID()] = &it
	if it.counted && it.amount.Currency != "" {
		f.add(&f.balance(it.amount.Currency).Open, it.amount.Amount, e)
	}
}

func (f *fold) resolve(e *eventstore.Recorded, ev *paymentEvent) {
	it, known := f.items[ev.Item]
	switch {
	case !known || it.stream != e.Stream:
		f.wrong(KindOpenItem, e, "item %s was never opened in this stream", ev.Item)
		return
	case it.resolved:
		f.wrong(KindOpenItem, e, "item %s was resolved before", ev.Item)
		return
	}
	it.resolved, it.version, it.reason, it.resolvedAt = true, e.Version, ev.Reason, ev.ResolvedAt
	if it.counted && it.amount.Currency != "" {
		f.add(&f.balance(it.amount.Currency).Open, -it.amount.Amount, e)
	}
}

// noteRefund keeps what an order tells of a refund, as its row shows it.
func (f *fold) noteRefund(place uint32, ev *orderEvent) {
	parts := f.orderRefunds[place]
	for i := range parts {
		if parts[i].RefundID == ev.RefundID {
			parts[i].Status, parts[i].Amount = ev.Refund, ev.Amount.Amount
			return
		}
	}
	f.orderRefunds[place] = append(parts, refundPart{ev.RefundID, ev.Refund, ev.Amount.Amount})
}

// refundsAgree reports whether an order tells the refunds of its payments, each with its amount and status, and no
// other.
func (f *fold) refundsAgree(place uint32) bool {
	told, paid := f.orderRefunds[place], partsOf(f.paidBack[place])
	return len(told) == len(paid) && !slices.ContainsFunc(paid, func(p refundPart) bool { return !slices.Contains(told, p) })
}

func partsOf(refunds []*refund) []refundPart {
	parts := make([]refundPart, len(refunds))
	for i, r := range refunds {
		parts[i] = refundPart{r.id, r.status, r.amount.Amount}
	}
	return parts
}
