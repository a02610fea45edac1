package verify

import (
	"slices"
	"strconv"
	"time"

	"boxoffice/eventstore"
)

// show is what the log says of a show.
type show struct {
	stream
	created          bool
	paused, canceled bool
	seen             bool // its row of shows was seen
	name, venue      string
	currency         string
	timeZone         string
	startsAt         time.Time
	methods          []string
	defined          int64     // version of the last event that said what is sold
	changedAt        time.Time // time of the last event
	position         int64     // of the last event
	types            []ticketType
}

type ticketType struct {
	ID             int64     `json:"ticketTypeId"`
	Name           string    `json:"name"`
	Price          int64     `json:"price"`
	MaxPerOrder    int64     `json:"maxPerOrder"`
	MaxPerCustomer int64     `json:"maxPerCustomer"`
	SalesFrom      time.Time `json:"salesFrom"`
	SalesTo        time.Time `json:"salesTo"`
	Capacity       int64     `json:"capacity"`
	Held           int64     `json:"held"`
	Sold           int64     `json:"sold"`
	seen           [2]bool   // its rows of availability and ticket_types were seen
}

// showEvent has the fields of every event of a show.
type showEvent struct {
	ShowID         int64        `json:"showId"`
	Name           string       `json:"name"`
	Venue          string       `json:"venue"`
	StartsAt       time.Time    `json:"startsAt"`
	TimeZone       string       `json:"timeZone"`
	Currency       string       `json:"currency"`
	PaymentMethods []string     `json:"paymentMethods"`
	TicketTypes    []ticketType `json:"ticketTypes"`
	TicketType     ticketType   `json:"ticketType"`
	Members        []member     `json:"members"`
	Totals         []ticketType `json:"totals"`
}

type member struct {
	OrderID string `json:"orderId"`
	HoldID  string `json:"holdId"`
	Lines   []line `json:"lines"`
}

func (f *fold) show(id int64) *show {
	s, ok := f.shows[id]
	if !ok {
		s = &show{}
		f.shows[id] = s
	}
	return s
}

func (s *show) ticketType(id int64) *ticketType {
	for i := range s.types {
		if s.types[i].ID == id {
			return &s.types[i]
		}
	}
	return nil
}

func (f *fold) showEvent(e *eventstore.Recorded, id string) {
	showID, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		f.wrong(KindEvent, e, "the stream names no show")
		return
	}
	var ev showEvent
	if !f.decode(e, &ev) {
		return
	}
	if ev.ShowID != showID {
		f.wrong(KindEvent, e, "the event is of show %d", ev.ShowID)
	}
	s := f.show(showID)
	if s.created == (e.Type == "ShowCreated") {
		f.wrong(KindStatus, e, "%s, and the show exists: %t", e.Type, s.created)
	}
	s.changedAt, s.position = e.RecordedAt, e.Position
	if !f.changeShow(s, e, &ev) {
		return
	}
	f.judgeTotals(s, e, ev.Totals)
	f.salesEvent(s, showID, e, &ev)
}

// changeShow applies an event to a show; false if the event is not known.
func (f *fold) changeShow(s *show, e *eventstore.Recorded, ev *showEvent) bool {
	switch e.Type {
	case "ShowCreated":
		s.created, s.name, s.venue, s.currency = true, ev.Name, ev.Venue, ev.Currency
		s.startsAt, s.timeZone, s.methods, s.defined = ev.StartsAt, ev.TimeZone, ev.PaymentMethods, e.Version
		for _, t := range ev.TicketTypes {
			f.offer(s, e, t, true)
		}
	case "ShowChanged":
		s.name, s.venue, s.startsAt = ev.Name, ev.Venue, ev.StartsAt
	case "TicketTypeAdded":
		f.offer(s, e, ev.TicketType, true)
	case "TicketTypeChanged":
		f.offer(s, e, ev.TicketType, false)
	case "SalesPaused":
		s.paused = true
	case "SalesResumed":
		s.paused = false
	case "ShowCanceled":
		s.canceled = true
	case "TicketsHeld", "HoldReacquired", "HoldsReleased", "HoldsExpired", "TicketsSold", "TicketsReturned":
		for i := range ev.Members {
			f.move(s, e, ev.ShowID, &ev.Members[i])
		}
	default:
		f.wrong(KindEvent, e, "%s is no event of a show", e.Type)
		return false
	}
	return true
}

// offer adds a ticket type, or changes one: its counts stay.
func (f *fold) offer(s *show, e *eventstore.Recorded, t ticketType, isNew bool) {
	known := s.ticketType(t.ID)
	if (known == nil) != isNew {
		f.wrong(KindStatus, e, "%s of ticket type %d, and it exists: %t", e.Type, t.ID, known != nil)
	}
	if known == nil {
		s.types = append(s.types, ticketType{ID: t.ID})
		known = &s.types[len(s.types)-1]
	}
	known.Name, known.Price, known.Capacity = t.Name, t.Price, t.Capacity
	known.MaxPerOrder, known.MaxPerCustomer, known.SalesFrom, known.SalesTo = t.MaxPerOrder, t.MaxPerCustomer, t.SalesFrom, t.SalesTo
	s.defined = e.Version
}

// move applies one order's part of a movement: to the counts and to the order's hold.
func (f *fold) move(s *show, e *eventstore.Recorded, showID int64, m *member) {
	for _, l := range m.Lines {
		t := s.ticketType(l.TicketTypeID)
		if t == nil || l.Quantity <= 0 {
			f.wrong(KindTotals, e, "%s moves %d tickets of type %d", m.OrderID, l.Quantity, l.TicketTypeID)
			continue
		}
		switch e.Type {
		case "TicketsHeld", "HoldReacquired":
			t.Held += l.Quantity
		case "HoldsReleased", "HoldsExpired":
			t.Held -= l.Quantity
		case "TicketsSold":
			t.Held -= l.Quantity
			t.Sold += l.Quantity
		case "TicketsReturned":
			t.Sold -= l.Quantity
		}
	}
	f.moveHold(e, showID, m)
}

// judgeTotals checks the counts after an event, and that the event tells the same. Where it does not,
// the event's counts are taken over, so that one wrong event is one finding.
func (f *fold) judgeTotals(s *show, e *eventstore.Recorded, totals []ticketType) {
	if len(totals) != len(s.types) {
		f.wrong(KindTotals, e, "totals of %d ticket types, there are %d", len(totals), len(s.types))
	}
	for i := range s.types {
		t := &s.types[i]
		f.judgeCapacity(e, "members", t)
		told := slices.IndexFunc(totals, func(o ticketType) bool { return o.ID == t.ID })
		if told < 0 {
			f.wrong(KindTotals, e, "no totals of ticket type %d", t.ID)
			continue
		}
		o := &totals[told]
		if o.Capacity == t.Capacity && o.Held == t.Held && o.Sold == t.Sold {
			continue
		}
		f.wrong(KindTotals, e, "type %d: totals of capacity %d, held %d, sold %d; its members make %d, %d, %d",
			t.ID, o.Capacity, o.Held, o.Sold, t.Capacity, t.Held, t.Sold)
		f.judgeCapacity(e, "totals", o)
		t.Capacity, t.Held, t.Sold = o.Capacity, o.Held, o.Sold
	}
}

func (f *fold) judgeCapacity(e *eventstore.Recorded, source string, t *ticketType) {
	if t.Held < 0 || t.Sold < 0 || t.Held+t.Sold > t.Capacity {
		f.wrong(KindCapacity, e, "type %d by its %s: held %d, sold %d, capacity %d", t.ID, source, t.Held, t.Sold, t.Capacity)
	}
}
