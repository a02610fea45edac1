package domain

import (
	"slices"
	"time"
)

// Show is the state of one show. The zero value is a show without events. It holds what is for sale and
// what is held, and never completed orders.
type Show struct {
	Version        int64
	ShowID         int64 // 0 as long as the show does not exist
	Name           string
	Venue          string
	StartsAt       time.Time
	TimeZone       string
	Currency       string
	PaymentMethods []PaymentMethod
	TicketTypes    []TicketType
	Paused         bool
	Canceled       bool

	tally tally
	holds holds
	taken layered[customerType, int64] // held + sold
}

// customerType is what a limit per customer counts by.
type customerType struct {
	customerRef  string
	ticketTypeID int64
}

// dueAtOnce is before every batch and not the zero time, which means that nothing is due.
var dueAtOnce = time.Unix(0, 0).UTC()

// draft is a copy that may evolve without the show below noticing.
func (s *Show) draft() *Show {
	d := *s
	d.tally = s.tally.copied()
	d.holds = s.holds.over()
	d.taken = layered[customerType, int64]{base: &s.taken}
	return &d
}

// Totals are capacity, held and sold of every ticket type, in the order of TicketTypes.
func (s *Show) Totals() []Totals { return slices.Clone(s.tally.totals) }

// TicketType finds a ticket type and what is taken of it.
func (s *Show) TicketType(ticketTypeID int64) (TicketType, Totals, bool) {
	i, ok := s.tally.index[ticketTypeID]
	if !ok {
		return TicketType{}, Totals{}, false
	}
	return s.TicketTypes[i], s.tally.totals[i], true
}

// Taken is how many tickets of a type a customer holds or has bought.
func (s *Show) Taken(customerRef string, ticketTypeID int64) int64 {
	n, _ := s.taken.get(customerType{customerRef, ticketTypeID})
	return n
}

// Due is the time at which something is to end by itself, or the zero time if nothing will. A canceled
// show is due at once while anything is held or sold.
func (s *Show) Due() time.Time {
	if s.Canceled {
		if s.tally.taken() == 0 {
			return time.Time{}
		}
		return dueAtOnce
	}
	next := s.holds.next()
	if next == nil {
		return time.Time{}
	}
	return next.releaseAt
}

// DueOrders are the orders whose holds are due at a time, oldest first, at most limit. Of a canceled show
// all holds are due.
func (s *Show) DueOrders(at time.Time, limit int) []string {
	found := s.holds.due(at, s.Canceled, limit)
	if len(found) == 0 {
		return nil
	}
	ids := make([]string, len(found))
	for i, h := range found {
		ids[i] = h.orderID
	}
	return ids
}

// Evolve folds one event of the show's stream. It never fails and never judges; of an event that it does
// not know it counts the version.
func (s *Show) Evolve(e Event) {
	s.Version++
	switch e := e.(type) {
	case TicketsHeld:
		s.moveAll(movedHeld, e.Members)
	case TicketsSold:
		s.moveAll(movedSold, e.Members)
	case HoldsExpired:
		s.moveAll(movedExpired, e.Members)
	case HoldsReleased:
		s.moveAll(movedReleased, e.Members)
	case HoldReacquired:
		s.moveAll(movedReacquired, e.Members)
	case TicketsReturned:
		s.moveAll(movedReturned, e.Members)
	default:
		s.change(e)
	}
}

// change folds what does not move tickets, without counting the version.
func (s *Show) change(e Event) {
	switch e := e.(type) {
	case ShowCreated:
		s.ShowID, s.Name, s.Venue, s.StartsAt = e.ShowID, e.Name, e.Venue, e.StartsAt
		s.TimeZone, s.Currency, s.PaymentMethods = e.TimeZone, e.Currency, e.PaymentMethods
		for _, t := range e.TicketTypes {
			s.offer(t)
		}
	case ShowChanged:
		s.Name, s.Venue, s.StartsAt = e.Name, e.Venue, e.StartsAt
	case TicketTypeAdded:
		s.offer(e.TicketType)
	case TicketTypeChanged:
		s.offer(e.TicketType)
	case SalesPaused:
		s.Paused = true
	case SalesResumed:
		s.Paused = false
	case ShowCanceled:
		s.Canceled = true
	}
}

// offer adds or replaces a ticket type. The slice is copied because drafts and answers share it.
func (s *Show) offer(t TicketType) {
	types := slices.Clone(s.TicketTypes)
	if i, ok := s.tally.index[t.TicketTypeID]; ok {
		types[i] = t
	} else {
		types = append(types, t)
	}
	s.TicketTypes = types
	s.tally.offer(t.TicketTypeID, t.Capacity)
}

func (s *Show) moveAll(m movement, members []Member) {
	for i := range members {
		s.move(m, &members[i])
	}
}

// move counts one order's movement, keeps or ends its hold, and counts for its customer.
func (s *Show) move(m movement, member *Member) {
	s.tally.move(m, member.Lines)
	switch m {
	case movedHeld, movedReacquired:
		s.holds.put(&hold{
			orderID: member.OrderID, holdID: member.HoldID, customerRef: member.CustomerRef,
			lines: member.Lines, expiresAt: member.ExpiresAt, releaseAt: member.ReleaseAt,
		})
		s.count(member, 1)
	case movedExpired, movedReleased:
		s.holds.remove(member.OrderID)
		s.count(member, -1)
	case movedSold:
		s.holds.remove(member.OrderID)
	case movedReturned:
		s.count(member, -1)
	}
}

// count adds a member's tickets to what its customer has taken, or takes them away.
func (s *Show) count(member *Member, sign int64) {
	for _, line := range member.Lines {
		key := customerType{member.CustomerRef, line.TicketTypeID}
		n, _ := s.taken.get(key)
		if n += sign * line.Quantity; n == 0 {
			s.taken.remove(key)
		} else {
			s.taken.set(key, n)
		}
	}
}
