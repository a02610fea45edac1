package logtest

import (
	"context"
	"math/rand/v2"
	"slices"

	"boxoffice/domain"
)

// Fate is what becomes of an order.
type Fate string

// What becomes of orders. One that expires or is paid late is still live if the log ends before its hold does.
const (
	Paid       Fate = "paid"       // with a code that is scanned
	ByCard     Fate = "by card"    // with a second payment after a declined one
	Expired    Fate = "expired"    // nobody pays
	Canceled   Fate = "canceled"   // by the customer before paying
	Failed     Fate = "failed"     // the gateway says that no money will come
	Refunded   Fate = "refunded"   // an operator cancels what was paid
	Late       Fate = "late"       // the money comes after the hold has ended
	Twice      Fate = "twice"      // paid twice; every other refund of the second money is given up
	Mismatched Fate = "mismatched" // the wrong amount comes and an operator sends it back; nobody pays the rest
	Unmatched  Fate = "unmatched"  // paid, and money comes that belongs to nobody
)

// newDeck is what the fates of orders are dealt from, over and over: each has its share in every small log, too.
func newDeck(random *rand.Rand) []Fate {
	var deck []Fate
	for _, f := range [...]struct {
		fate  Fate
		share int
	}{
		{Paid, 400},
		{Expired, 40},
		{Canceled, 20},
		{ByCard, 15},
		{Refunded, 10},
		{Failed, 5},
		{Late, 5},
		{Twice, 2},
		{Mismatched, 2},
		{Unmatched, 1},
	} {
		deck = append(deck, slices.Repeat([]Fate{f.fate}, f.share)...)
	}
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// order is an order that something will happen to.
type order struct {
	id     string
	number int // of its fate, counted from 1
	fate   Fate
	method domain.PaymentMethod
	total  domain.Money

	next    int  // of its steps
	waiting bool // a step is in the agenda
	ended   bool // its hold has
}

// step is something that happens to an order.
type step struct {
	after  when
	events int // that it makes, roughly
	do     func(w *writer, o *order) (domain.Command, origin)
}

// when is how long after the step before.
type when int

const (
	soon    when = iota // at the next tick
	later               // when people pay
	expired             // when the hold has ended
)

// steps are an order's life after it was placed.
func steps(f Fate) []step {
	told, paid := step{soon, 2, instruct}, step{later, 2, settle}
	switch f {
	case ByCard:
		return []step{told, {soon, 2, fail}, {soon, 2, askAgain}, told, paid}
	case Expired:
		return []step{told, {expired, 0, nil}}
	case Canceled:
		return []step{told, {later, 2, cancel}}
	case Failed:
		return []step{told, {later, 2, fail}}
	case Refunded:
		return []step{told, paid, {later, 4, cancelPaid}, {soon, 2, endRefund}}
	case Late:
		return []step{told, {expired, 2, settle}}
	case Twice:
		return []step{told, paid, {soon, 3, settleAgain}, {soon, 2, endRefund}}
	case Mismatched:
		return []step{told, {later, 1, settleWrong}, {soon, 1, resolve}, {expired, 0, nil}}
	case Unmatched:
		return []step{told, paid, {soon, 1, settleUnknown}}
	default:
		return []step{told, paid}
	}
}

// goOn plans what happens next to the orders of a batch.
func (w *writer) goOn(requests []*request, decided []domain.Decided) {
	for _, r := range requests {
		if r.order != nil {
			r.order.waiting = false
			w.plans(r.order)
		}
	}
	for _, d := range decided {
		if ended, is := d.Event.(domain.OrderCanceled); is && ended.Reason == domain.ReasonHoldExpired {
			if o := w.orders[ended.OrderID]; o != nil {
				o.ended = true
				w.plans(o)
			}
		}
	}
}

// plans puts an order's next step into the agenda, or forgets an order that is at its end.
func (w *writer) plans(o *order) {
	all := steps(o.fate)
	switch {
	case o.waiting:
		return
	case o.next == len(all):
		w.forget(o)
		return
	case all[o.next].after == expired && !o.ended:
		return
	case all[o.next].after == expired && (all[o.next].do == nil || w.closing):
		w.forget(o)
		return
	}
	s := all[o.next]
	at := w.ticks
	if s.after != soon {
		at += w.random.IntN(w.pace.pay)
	}
	command, from := s.do(w, o)
	w.agenda[at] = append(w.agenda[at], &request{id: w.newID("c"), command: command, origin: from, order: o, events: s.events})
	o.next++
	o.waiting = true
}

// forget drops the states of an order.
func (w *writer) forget(o *order) {
	for _, p := range w.states.Orders[o.id].Payments {
		delete(w.states.Payments, p.PaymentID)
	}
	delete(w.states.Orders, o.id)
	delete(w.orders, o.id)
}

// placements are the orders of one tick.
func (w *writer) placements(ctx context.Context) ([]*request, error) {
	requests := make([]*request, w.plan.Orders)
	for i := range requests {
		id, err := w.orderID(ctx)
		if err != nil {
			return nil, err
		}
		o := &order{id: id, fate: w.deck[w.dealt%len(w.deck)], method: domain.QRIS}
		w.dealt++
		w.placed[o.fate]++
		o.number = w.placed[o.fate]
		if o.fate == ByCard {
			o.method = domain.Card
		}
		for _, s := range steps(o.fate) {
			if s.after != expired {
				w.ahead += s.events
			}
		}
		w.orders[id] = o
		requests[i] = w.place(o)
	}
	return requests, nil
}
