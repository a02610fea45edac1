package domain

// plan is what one command comes to: its events, not yet applied. Deciding fills it, and commit applies it
// whole.
type plan struct {
	batch     *Batch
	commandID string
	result    Result
	placed    string // the order that the command placed
	ended     int    // due holds that the command ends
	moves     []move
	changes   []change
	facts     []fact
}

// move is an order's part in a movement of a show's tickets, to be gathered with others of its kind.
type move struct {
	showID int64
	kind   movement
	member Member
}

// change is an event of a show that stands alone.
type change struct {
	showID    int64
	event     Event
	commandID string
}

// fact is an event of an order, a payment or an inbox.
type fact struct {
	kind  StreamKind
	id    string // order id, payment id or inbox stream
	event Event
}

// segment is a run of commands of one phase. It is written movements first, then changes of shows, then
// the events of orders and payments.
type segment struct {
	phase   int
	moves   []move
	changes []change
	facts   []Decided
}

func (p *plan) onOrder(o *Order, e Event) {
	p.facts = append(p.facts, fact{StreamOrder, o.OrderID, e})
}

func (p *plan) onPayment(pay *Payment, e Event) {
	p.facts = append(p.facts, fact{StreamPayment, pay.PaymentID, e})
}

func (p *plan) onInbox(stream string, e Event) {
	p.facts = append(p.facts, fact{StreamInbox, stream, e})
}

func (p *plan) onShow(s *Show, e Event) {
	p.changes = append(p.changes, change{s.ShowID, e, p.commandID})
}

// move moves all tickets of an order's hold.
func (p *plan) move(kind movement, o *Order, holdID string) {
	p.moves = append(p.moves, move{o.ShowID, kind, Member{
		OrderID: o.OrderID, HoldID: holdID, CommandID: p.commandID, CustomerRef: o.CustomerRef, Lines: heldLines(kind, o.Lines),
	}})
}

// commit applies a plan to the drafts and keeps its events for the layout.
func (b *Batch) commit(phase int, p *plan) {
	if !p.result.Changed {
		return
	}
	s := b.segment(phase)
	for i := range p.moves {
		m := &p.moves[i]
		show := b.draftShow(m.showID)
		if show.holds.overdue(m.member.OrderID, b.at) {
			b.freed[m.showID] = struct{}{}
		}
		show.move(m.kind, &m.member)
	}
	s.moves = append(s.moves, p.moves...)
	for _, c := range p.changes {
		b.draftShow(c.showID).change(c.event)
	}
	s.changes = append(s.changes, p.changes...)
	for _, f := range p.facts {
		s.facts = append(s.facts, b.record(f, p.commandID))
	}
	if p.placed != "" {
		b.placed[p.placed] = struct{}{}
	}
	b.ended += p.ended
	b.laidOut = nil
}

// segment is the one that is being filled. A command out of the order of phases begins a new one, so that
// what is written follows what was decided in any case.
func (b *Batch) segment(phase int) *segment {
	if n := len(b.segments); n > 0 && b.segments[n-1].phase == phase {
		return b.segments[n-1]
	}
	s := &segment{phase: phase}
	b.segments = append(b.segments, s)
	return s
}

// record evolves the draft that an event belongs to and gives the event its place in the stream.
func (b *Batch) record(f fact, commandID string) Decided {
	d := Decided{Event: f.event, CommandID: commandID}
	switch f.kind {
	case StreamOrder:
		o := b.draftOrder(f.id)
		o.Evolve(f.event)
		d.Stream, d.Version = OrderStream(f.id), o.Version
	case StreamPayment:
		pay := b.draftPayment(f.id)
		pay.Evolve(f.event)
		d.Stream, d.Version = PaymentStream(f.id), pay.Version
	default:
		inbox := b.draftInbox(f.id)
		inbox.Evolve(f.event)
		d.Stream, d.Version = f.id, inbox.Version
	}
	return d
}

func (b *Batch) draftShow(showID int64) *Show {
	if s, ok := b.drafts.Shows[showID]; ok {
		return s
	}
	s := &Show{}
	if base := b.states.Shows[showID]; base != nil {
		s = base.draft()
	}
	b.drafts.Shows[showID] = s
	return s
}

func (b *Batch) draftOrder(orderID string) *Order {
	if o, ok := b.drafts.Orders[orderID]; ok {
		return o
	}
	o := &Order{}
	if base := b.states.Orders[orderID]; base != nil {
		// A flat copy will do: Evolve replaces slices and never writes into them.
		*o = *base
	}
	b.drafts.Orders[orderID] = o
	return o
}

func (b *Batch) draftPayment(paymentID string) *Payment {
	if p, ok := b.drafts.Payments[paymentID]; ok {
		return p
	}
	p := &Payment{}
	if base := b.states.Payments[paymentID]; base != nil {
		*p = *base
	}
	b.drafts.Payments[paymentID] = p
	return p
}

func (b *Batch) draftInbox(stream string) *Inbox {
	if i, ok := b.drafts.Inboxes[stream]; ok {
		return i
	}
	i := &Inbox{}
	if base := b.states.Inboxes[stream]; base != nil {
		i = base.draft()
	}
	b.drafts.Inboxes[stream] = i
	return i
}
