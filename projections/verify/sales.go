package verify

import (
	"cmp"
	"slices"
	"time"

	"boxoffice/eventstore"
)

// showSales are the days of a show on which something happened, oldest first.
type showSales struct {
	place *time.Location // where its days begin and end
	days  []salesDay
}

// salesDay is what the log says was sold of a show on a day of its time zone, and what was given back on it.
type salesDay struct {
	date    string // 2006-01-02
	version int64  // of the show's last event on that day
	types   []salesOfType
}

type salesOfType struct {
	id                                int64
	orders, tickets, revenue, refunds int64
	price                             int64 // at the end of the day
	seen                              bool  // its row of sales_by_day was seen
}

// salesEvent judges the prices that an event tells, and counts the event, which was applied to its show before, for
// the day on which it was recorded. A day never begins before the one that the show has come to.
func (f *fold) salesEvent(s *show, id int64, e *eventstore.Recorded, ev *showEvent) {
	var trades []member
	if e.Type == "TicketsSold" || e.Type == "TicketsReturned" {
		trades = ev.Members
	}
	for i := range trades {
		f.judgePrices(e, &trades[i])
	}
	if f.sales == nil {
		return
	}
	of := f.sales[id]
	if of == nil {
		of = &showSales{place: placeOf(s.timeZone)}
		f.sales[id] = of
	}
	date := e.RecordedAt.In(of.place).Format(time.DateOnly)
	if n := len(of.days); n == 0 || of.days[n-1].date < date {
		of.days = append(of.days, salesDay{date: date})
	}
	newest := &of.days[len(of.days)-1]
	newest.version = e.Version
	for i := range s.types {
		newest.of(s.types[i].ID).price = s.types[i].Price
	}
	for i := range trades {
		f.countSales(s, newest, e, &trades[i])
	}
}

// countSales counts an order's tickets that were sold or given back. What does not tell its price is of a time when
// events did not, and counts at the price of the day.
func (f *fold) countSales(s *show, day *salesDay, e *eventstore.Recorded, m *member) {
	for _, l := range m.Lines {
		t := s.ticketType(l.TicketTypeID)
		if t == nil || l.Quantity <= 0 {
			continue // told by move
		}
		worth, ok := times(l.Quantity, cmp.Or(l.UnitPrice, t.Price))
		if !ok {
			continue // told by judgePrices, or by place
		}
		c := day.of(t.ID)
		if e.Type == "TicketsReturned" {
			f.add(&c.refunds, worth, e)
			continue
		}
		c.orders++
		c.tickets += l.Quantity
		f.add(&c.revenue, worth, e)
	}
}

// judgePrices checks that the prices that are told where tickets are sold or returned are those of the order's lines.
func (f *fold) judgePrices(e *eventstore.Recorded, m *member) {
	if !slices.ContainsFunc(m.Lines, func(l line) bool { return l.UnitPrice != 0 }) {
		return
	}
	_, o := f.orders.open(m.OrderID)
	if o.placed == 0 || o.flags&unjudged != 0 {
		return
	}
	if pricedLinesOf(m.Lines) != o.priced {
		f.wrong(KindMoney, e, "%s moves %s of %s, which are not the order's lines and prices", e.Type, linesCell(m.Lines), m.OrderID)
	}
}

// placeOf is where a show's days begin and end; UTC if nobody knows the time zone.
func placeOf(timeZone string) *time.Location {
	place, err := time.LoadLocation(timeZone)
	if err != nil || timeZone == "Local" {
		return time.UTC
	}
	return place
}

// times is what a number of tickets costs, and false if no number holds that.
func times(quantity, price int64) (int64, bool) {
	worth := quantity * price
	return worth, price == 0 || worth/price == quantity
}

// of is the count of a ticket type, which begins at zero.
func (d *salesDay) of(id int64) *salesOfType {
	for i := range d.types {
		if d.types[i].id == id {
			return &d.types[i]
		}
	}
	d.types = append(d.types, salesOfType{id: id})
	return &d.types[len(d.types)-1]
}
