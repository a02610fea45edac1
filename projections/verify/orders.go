package verify

import (
	"math"
	"time"

	"boxoffice/eventstore"
)

// order is what the log says of an order, in as few bytes as will do: of what is only compared with its row
// of order_status, digests.
type order struct {
	stream
	show     int64
	placed   int64 // position of its OrderPlaced; 0 before
	position int64 // of its last event
	total    int64
	settled  int64 // with all its payments
	refunded int64 // refunds requested
	hold     digest
	lines    digest // what is held, without prices
	priced   digest // the lines with their prices
	money    digest // of the references of money that was settled the least; of more see fold.references
	facts    digest // of what OrderPlaced says beside that, see fold.place
	payment  digest // that the row shows
	tickets  digest // that are issued
	quantity uint32
	currency uint16 // see fold.currencies
	status   status
	held     holdState
	flags    flags
	reason   uint8 // see reasons
	attempt  uint8 // of the payment that the row shows
}

// holdState is where an order's newest hold stands.
type holdState uint8

const (
	noHold   holdState = iota
	live               // tickets are held
	ended              // given back unsold
	sold               // turned into tickets
	returned           // tickets given back
)

func (h holdState) String() string {
	return [...]string{"no hold", "a live hold", "a hold that has ended", "sold tickets", "returned tickets"}[h]
}

type flags uint8

const (
	touched    flags = 1 << iota // the current append changed it
	rowSeen                      // its row of order_status was seen
	unheld                       // told: it has not the hold that its status asks for
	unbalanced                   // told: its money does not add up
	unjudged                     // it has events that this program does not know
	unrefunded                   // told: its refunds are not those of its payments
)

type status uint8

const (
	unplaced status = iota
	pending
	confirmed
	completed
	canceled
)

func statuses() []string { return []string{"", "PENDING", "CONFIRMED", "COMPLETED", "CANCELED"} }

func (s status) String() string { return statuses()[s] }

func reasons() []string {
	return []string{"", "HOLD_EXPIRED", "PAYMENT_FAILED", "CUSTOMER", "OPERATOR", "SHOW_CANCELED"}
}

// orderEvent has the fields of every event of an order.
type orderEvent struct {
	OrderID     string         `json:"orderId"`
	ShowID      int64          `json:"showId"`
	Previous    string         `json:"previous"`
	Status      string         `json:"status"`
	CustomerRef string         `json:"customerRef"`
	Lines       []line         `json:"lines"`
	Total       money          `json:"total"`
	HoldID      string         `json:"holdId"`
	PlacedAt    time.Time      `json:"placedAt"`
	ExpiresAt   time.Time      `json:"expiresAt"`
	Late        bool           `json:"late"`
	Reason      string         `json:"reason"`
	Tickets     []ticket       `json:"tickets"`
	Payment     paymentSummary `json:"payment"`
	RefundID    string         `json:"refundId"`
	PaymentID   string         `json:"paymentId"` // of a refund
	Refund      string         `json:"refund"`
	Amount      money          `json:"amount"`
}

type ticket struct {
	TicketID     string `json:"ticketId"`
	TicketTypeID int64  `json:"ticketTypeId"`
}

type paymentSummary struct {
	PaymentID string    `json:"paymentId"`
	Attempt   int       `json:"attempt"`
	Status    string    `json:"status"`
	Method    string    `json:"method"`
	QR        string    `json:"qr"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (f *fold) orderEvent(e *eventstore.Recorded, id string) {
	var ev orderEvent
	if !f.decode(e, &ev) {
		return
	}
	place, o := f.orders.open(id)
	f.touch(place, o)
	o.position = e.Position
	if ev.OrderID != id || (o.show != 0 && ev.ShowID != o.show) {
		f.wrong(KindEvent, e, "the event is of order %s, show %d", ev.OrderID, ev.ShowID)
	}
	f.moveStatus(o, e, &ev)
	f.judgePayment(e, &ev)
	switch e.Type {
	case "OrderPlaced":
		f.place(o, e, &ev)
	case "OrderConfirmed", "OrderPaymentChanged":
		if ev.Payment.Attempt >= int(o.attempt) {
			f.showPayment(o, e, ev.Payment)
		}
	case "OrderCompleted":
		o.reason = 0
		f.issue(o, e, &ev)
		f.showPayment(o, e, ev.Payment)
	case "OrderCanceled":
		f.showTickets(o, nil)
		o.reason = f.number(e, "reason", reasons(), ev.Reason)
		if ev.Payment.PaymentID != "" {
			f.showPayment(o, e, ev.Payment)
		}
	case "OrderRefunded":
		if ev.Amount.Currency != f.currencies[o.currency] {
			f.wrong(KindRefund, e, "refund %s of %s, which is not the order's currency", ev.RefundID, ev.Amount)
		}
		f.noteRefund(place, &ev)
	case "TicketAdmitted":
	default:
		f.wrong(KindEvent, e, "%s is no event of an order", e.Type)
	}
}

// touch notes that an order is to be judged at the end of the append.
func (f *fold) touch(place uint32, o *order) {
	if o.flags&touched == 0 {
		o.flags |= touched
		f.touched = append(f.touched, place)
	}
}

// moveStatus checks that an event begins where the one before it ended, and goes where its type may go.
func (f *fold) moveStatus(o *order, e *eventstore.Recorded, ev *orderEvent) {
	previous := status(f.number(e, "status", statuses(), ev.Previous))
	next := status(f.number(e, "status", statuses(), ev.Status))
	if previous != o.status {
		f.wrong(KindStatus, e, "%s begins at %q, the order is %q", e.Type, ev.Previous, o.status)
	}
	if !mayMove(e.Type, o.status, next, ev.Late) {
		f.wrong(KindStatus, e, "%s moves the order from %q to %q", e.Type, o.status, next)
	}
	o.status = next
}

func mayMove(eventType string, from, to status, late bool) bool {
	alive := from == pending || from == confirmed
	switch eventType {
	case "OrderPlaced":
		return from == unplaced && to == pending
	case "OrderConfirmed":
		return alive && to == confirmed
	case "OrderCompleted":
		return to == completed && ((alive && !late) || (from == canceled && late))
	case "OrderCanceled":
		return to == canceled && (alive || from == completed)
	default:
		return from == to && from != unplaced
	}
}

// number is the place of a word in a list; a word that is not in it is a finding.
func (f *fold) number(e *eventstore.Recorded, what string, list []string, word string) uint8 {
	for i, known := range list {
		if known == word {
			return uint8(i)
		}
	}
	f.wrong(KindStatus, e, "%q is no %s", word, what)
	return 0
}

func (f *fold) place(o *order, e *eventstore.Recorded, ev *orderEvent) {
	o.placed, o.show, o.total, o.currency = e.Position, ev.ShowID, ev.Total.Amount, f.currency(ev.Total.Currency)
	o.priced = pricedLinesOf(ev.Lines)
	f.showFacts(o, ev)
	f.showTickets(o, nil)
	f.compareLines(o, e, ev.OrderID, ev.Lines)
	f.showPayment(o, e, ev.Payment)
	if o.hold != 0 && o.hold != digestOf(ev.HoldID) {
		f.wrong(KindHold, e, "the order names hold %s, tickets are held under another", ev.HoldID)
	}
	s := f.shows[ev.ShowID]
	if s == nil || s.currency != ev.Total.Currency {
		f.wrong(KindMoney, e, "the order is in %s, which is not its show's currency", ev.Total.Currency)
	}
	var sum int64
	for _, l := range ev.Lines {
		if l.Quantity <= 0 || l.UnitPrice < 0 || (l.UnitPrice > 0 && l.Quantity > math.MaxInt64/l.UnitPrice) {
			f.wrong(KindMoney, e, "%d tickets at %d", l.Quantity, l.UnitPrice)
			return
		}
		f.add(&sum, l.Quantity*l.UnitPrice, e)
		if s == nil {
			continue
		}
		if t := s.ticketType(l.TicketTypeID); t == nil || t.Price != l.UnitPrice {
			f.wrong(KindMoney, e, "%d is not the price of ticket type %d", l.UnitPrice, l.TicketTypeID)
		}
	}
	if sum != ev.Total.Amount {
		f.wrong(KindMoney, e, "a total of %d, the lines make %d", ev.Total.Amount, sum)
	}
}

// compareLines keeps the lines that are told first, by the order's hold or by its OrderPlaced; all that
// are told later must be the same.
func (f *fold) compareLines(o *order, e *eventstore.Recorded, orderID string, lines []line) {
	told, quantity := linesOf(lines)
	if o.lines == 0 {
		o.lines, o.quantity = told, uint32(min(max(quantity, 0), math.MaxUint32))
	}
	if o.lines != told {
		f.wrong(KindHold, e, "%d tickets of %s, which are not the lines that were held", quantity, orderID)
	}
}

// issue checks that the tickets are those of the order's lines, each with an id of its own that is made of the
// order's: so no two orders have the same ticket.
func (f *fold) issue(o *order, e *eventstore.Recorded, ev *orderEvent) {
	if o.hold != digestOf(ev.HoldID) {
		f.wrong(KindHold, e, "completed by hold %s, which is not the order's newest", ev.HoldID)
	}
	counts := map[int64]int64{}
	ids := make(map[string]struct{}, len(ev.Tickets))
	for _, t := range ev.Tickets {
		counts[t.TicketTypeID]++
		if isPartOf(ev.OrderID, ticketPrefix, t.TicketID) {
			ids[t.TicketID] = struct{}{}
		}
	}
	lines := make([]line, 0, len(counts))
	for id, n := range counts {
		lines = append(lines, line{TicketTypeID: id, Quantity: n})
	}
	if issued, _ := linesOf(lines); issued != o.lines || len(ids) != len(ev.Tickets) {
		f.wrong(KindTickets, e, "%d tickets with %d different ids of the order's, which is one of %d", len(ev.Tickets), len(ids), o.quantity)
	}
	f.showTickets(o, ev.Tickets)
}

// judgePayment checks that the payment that an event shows, pays by or gives back is one of its order's.
func (f *fold) judgePayment(e *eventstore.Recorded, ev *orderEvent) {
	kind := KindOrder
	if e.Type == "OrderCompleted" || e.Type == "OrderRefunded" {
		kind = KindMoney
	}
	for _, id := range [...]string{ev.Payment.PaymentID, ev.PaymentID} {
		if id != "" && !isPartOf(ev.OrderID, "PAY-", id) {
			f.wrong(kind, e, "%s tells of %s, which is no payment of %s", e.Type, id, ev.OrderID)
		}
	}
}

func (f *fold) showPayment(o *order, e *eventstore.Recorded, p paymentSummary) {
	o.attempt = uint8(min(max(p.Attempt, 0), math.MaxUint8))
	f.number(e, "payment status", paymentStatuses(), p.Status)
	f.keepPayment(o, p)
}

// moveHold applies one order's part of a movement to its hold.
func (f *fold) moveHold(e *eventstore.Recorded, showID int64, m *member) {
	place, o := f.orders.open(m.OrderID)
	if o.flags&unjudged != 0 {
		return
	}
	f.touch(place, o)
	hold, before := digestOf(m.HoldID), o.held
	if o.show == 0 {
		o.show = showID
	}
	if o.show != showID {
		f.wrong(KindHold, e, "%s is an order of show %d", m.OrderID, o.show)
	}
	f.compareLines(o, e, m.OrderID, m.Lines)
	switch e.Type {
	case "TicketsHeld", "HoldReacquired":
		again := e.Type == "HoldReacquired"
		if before == live || before == sold || hold == o.hold || again != (o.placed != 0) {
			f.wrong(KindHold, e, "%s begins for %s, which has %s", m.HoldID, m.OrderID, before)
		}
		o.hold, o.held = hold, live
		return
	case "HoldsReleased", "HoldsExpired":
		o.held = ended
	case "TicketsSold":
		o.held = sold
		f.add(&f.balance(f.currencies[o.currency]).Sold, o.total, e)
	case "TicketsReturned":
		o.held = returned
		f.add(&f.balance(f.currencies[o.currency]).Sold, -o.total, e)
	}
	needed := live
	if e.Type == "TicketsReturned" {
		needed = sold
	}
	if hold != o.hold {
		f.wrong(KindHold, e, "%s of %s ends, which is not its newest hold", m.HoldID, m.OrderID)
	} else if before != needed {
		f.wrong(KindHold, e, "%s of %s ends by %s, but the order has %s", m.HoldID, m.OrderID, e.Type, before)
	}
}

// judge checks what must hold for an order whenever a commit is complete: it has the hold that its status
// asks for, and every amount that came is a ticket or a refund. It tells each once until it holds again.
func (f *fold) judge(place uint32, position int64) {
	o, stream := f.orders.at(place), orderPrefix+f.orders.id(place)
	if o.flags&unjudged != 0 {
		return
	}
	held := o.held == noHold && o.placed == 0
	switch o.status {
	case pending, confirmed:
		held = o.held == live && o.placed != 0
	case completed:
		held = o.held == sold
	case canceled:
		held = o.held == ended || o.held == returned
	case unplaced:
	}
	if o.tell(unheld, !held) {
		f.found.add(KindOrder, stream, position, "the order is %q and has %s", o.status, o.held)
	}
	if o.tell(unrefunded, !f.refundsAgree(place)) {
		f.found.add(KindRefund, stream, position, "the order's refunds are %s, its payments' %s",
			refundsCell(f.orderRefunds[place]), refundsCell(partsOf(f.paidBack[place])))
	}
	covered := o.refunded
	if o.held == sold {
		covered += o.total
	}
	if !o.tell(unbalanced, o.settled != covered) {
		return
	}
	if o.settled > covered {
		f.found.add(KindMoney, stream, position, "%d settled, but tickets and refunds make %d: money without ticket or refund", o.settled, covered)
		return
	}
	f.found.add(KindMoney, stream, position, "tickets and refunds make %d, but only %d settled", covered, o.settled)
}

// tell notes whether something is wrong now, and reports whether it has just become so.
func (o *order) tell(flag flags, wrong bool) bool {
	news := wrong && o.flags&flag == 0
	o.flags &^= flag
	if wrong {
		o.flags |= flag
	}
	return news
}
