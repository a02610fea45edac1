package domain

import (
	"slices"
	"unicode/utf8"
)

// Events lays out what was decided, in the order in which it is to be stored: phase by phase, in each the
// show events first. Movements of one kind and show are gathered into one event, or several where it
// would grow too large, and every show event carries the totals after it.
func (b *Batch) Events() []Decided {
	if b.laidOut != nil || len(b.segments) == 0 {
		return b.laidOut
	}
	l := &layout{batch: b, ledgers: make(map[int64]*ledger)}
	for _, s := range b.segments {
		l.movements(s)
		for _, c := range s.changes {
			l.change(c)
		}
		l.out = append(l.out, s.facts...)
	}
	for showID, ledger := range l.ledgers {
		b.drafts.Shows[showID].Version = ledger.version
	}
	b.laidOut = l.out
	return l.out
}

type layout struct {
	batch   *Batch
	ledgers map[int64]*ledger
	out     []Decided
}

// ledger follows a show's version and totals through the events in the order they are written, which is
// not the order in which the drafts moved.
type ledger struct {
	version int64
	tally   tally
}

func (l *layout) ledger(showID int64) *ledger {
	if known, ok := l.ledgers[showID]; ok {
		return known
	}
	opened := &ledger{}
	if base := l.batch.states.Shows[showID]; base != nil {
		opened.version, opened.tally = base.Version, base.tally.copied()
	}
	l.ledgers[showID] = opened
	return opened
}

// write puts a show's event into the output, at its place in the stream.
func (l *layout) write(showID int64, g *ledger, e Event, commandID string) {
	g.version++
	l.out = append(l.out, Decided{ShowStream(showID), g.version, e, commandID})
}

// movements writes the movements of a segment, show by show in the order in which they were first moved.
func (l *layout) movements(s *segment) {
	var shows []int64
	gathered := make(map[int64]*[movements][]Member)
	for _, m := range s.moves {
		kinds, ok := gathered[m.showID]
		if !ok {
			kinds = new([movements][]Member)
			gathered[m.showID] = kinds
			shows = append(shows, m.showID)
		}
		kinds[m.kind] = append(kinds[m.kind], m.member)
	}
	for _, showID := range shows {
		for kind, members := range gathered[showID] {
			l.gather(showID, movement(kind), members)
		}
	}
}

// gather writes movements of one kind and show as few events of bounded size.
func (l *layout) gather(showID int64, kind movement, members []Member) {
	g := l.ledger(showID)
	for len(members) > 0 {
		n := fitting(members, len(g.tally.totals))
		for i := range members[:n] {
			g.tally.move(kind, members[i].Lines)
		}
		body := Movement{ShowID: showID, Members: members[:n:n], Totals: slices.Clone(g.tally.totals)}
		l.write(showID, g, kind.event(body), "")
		members = members[n:]
	}
}

// change writes an event of a show that stands alone, with the totals after it.
func (l *layout) change(c change) {
	g := l.ledger(c.showID)
	switch e := c.event.(type) {
	case ShowCreated:
		for _, t := range e.TicketTypes {
			g.tally.offer(t.TicketTypeID, t.Capacity)
		}
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case ShowChanged:
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case TicketTypeAdded:
		g.tally.offer(e.TicketType.TicketTypeID, e.TicketType.Capacity)
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case TicketTypeChanged:
		g.tally.offer(e.TicketType.TicketTypeID, e.TicketType.Capacity)
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case SalesPaused:
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case SalesResumed:
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	case ShowCanceled:
		e.Totals = slices.Clone(g.tally.totals)
		c.event = e
	}
	l.write(c.showID, g, c.event, c.commandID)
}

// Upper bounds of the JSON around the strings of a movement, in bytes.
const (
	movementBytes = 100
	totalsBytes   = 140
	memberBytes   = 230 // with both times
	lineBytes     = 110 // with a price
)

// fitting is how many members fit into one event, at least one.
func fitting(members []Member, totals int) int {
	size := movementBytes + totals*totalsBytes
	for i := range members {
		m := &members[i]
		size += memberBytes + len(m.Lines)*lineBytes +
			jsonBytes(m.OrderID) + jsonBytes(m.HoldID) + jsonBytes(m.CommandID) + jsonBytes(m.CustomerRef)
		if i > 0 && (i == MaxMembers || size > MaxEventBytes) {
			return i
		}
	}
	return len(members)
}

// jsonBytes is at least what a string takes in JSON.
func jsonBytes(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			n += 5
		}
	}
	return n
}
