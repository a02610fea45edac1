package projections

import (
	"fmt"
	"strings"

	"boxoffice/domain"
)

// maxNamed is how many ticket types or orders a line of words names.
const maxNamed = 3

// describeShow tells an event of a show, or by its name what nobody here knows.
func describeShow(name string, ev domain.Event) string {
	switch ev := ev.(type) {
	case domain.ShowCreated:
		var types []string
		for _, t := range ev.TicketTypes {
			types = append(types, described(t, ev.Currency))
		}
		return fmt.Sprintf("%s, begins %s", titled("Show", ev.ShowID, ev.Name, ev.Venue), clock(ev.StartsAt)) +
			after(": ", some(types))
	case domain.ShowChanged:
		return fmt.Sprintf("%s now, begins %s", titled("Show", ev.ShowID, ev.Name, ev.Venue), clock(ev.StartsAt))
	case domain.TicketTypeAdded:
		return "Ticket type added: " + described(ev.TicketType, "")
	case domain.TicketTypeChanged:
		return "Ticket type changed: " + described(ev.TicketType, "") + leftOf(ev.Totals, ev.TicketType.TicketTypeID)
	case domain.SalesPaused:
		return "Sales paused"
	case domain.SalesResumed:
		return "Sales go on"
	case domain.ShowCanceled:
		return "Show canceled" + after(": ", ev.Reason)
	default:
		return describeMovement(name, ev)
	}
}

func describeMovement(name string, ev domain.Event) string {
	switch ev := ev.(type) {
	case domain.TicketsHeld:
		return movedFor("held", ev.Movement)
	case domain.HoldsReleased:
		return movedFor("no longer held", ev.Movement)
	case domain.HoldsExpired:
		return movedFor("no longer held, because nobody paid in time,", ev.Movement)
	case domain.HoldReacquired:
		return movedFor("held again, because the money came late,", ev.Movement)
	case domain.TicketsSold:
		return movedFor("sold", ev.Movement)
	case domain.TicketsReturned:
		return movedFor("given back", ev.Movement)
	default:
		return name
	}
}

// movedFor tells whose tickets were moved and what is left: 3 tickets held for ORDER-…; 40 held, 2 sold of 100.
func movedFor(how string, m domain.Movement) string {
	var n int64
	orders := make([]string, 0, len(m.Members))
	for _, member := range m.Members {
		for _, line := range member.Lines {
			n += line.Quantity
		}
		orders = append(orders, member.OrderID)
	}
	whose := some(orders)
	if len(orders) > maxNamed {
		whose = count(int64(len(orders)), "order")
	}
	var all domain.Totals
	for _, t := range m.Totals {
		all.Capacity, all.Held, all.Sold = all.Capacity+t.Capacity, all.Held+t.Held, all.Sold+t.Sold
	}
	return fmt.Sprintf("%s %s for %s; then %d held, %d sold of %d", count(n, "ticket"), how, whose, all.Held, all.Sold, all.Capacity)
}

func titled(what string, id int64, name, venue string) string {
	return fmt.Sprintf("%s %d is %q", what, id, name) + after(" at ", venue)
}

// described is a ticket type with its price; without a currency as a number, because its event has none.
func described(t domain.TicketType, currency string) string {
	price := fmt.Sprint(t.Price)
	if currency != "" {
		price = money(domain.Money{Amount: t.Price, Currency: currency})
	}
	text := fmt.Sprintf("%d %q at %s, capacity %d", t.TicketTypeID, t.Name, price, t.Capacity)
	if !t.SalesFrom.IsZero() {
		text += ", sold from " + clock(t.SalesFrom)
	}
	if !t.SalesTo.IsZero() {
		text += ", sold to " + clock(t.SalesTo)
	}
	return text
}

func leftOf(totals []domain.Totals, ticketTypeID int64) string {
	for _, t := range totals {
		if t.TicketTypeID == ticketTypeID {
			return fmt.Sprintf(", of which %d held and %d sold", t.Held, t.Sold)
		}
	}
	return ""
}

// some names a few and counts the rest.
func some(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return strings.Join(names[:maxNamed], "; ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, "; ")
}
