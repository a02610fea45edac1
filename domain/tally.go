package domain

import (
	"maps"
	"slices"
)

// movement is a way in which an order's tickets move. The order of the constants is the order in which
// the movements of one phase are written: what frees tickets, what takes them, what only turns held into
// sold. In that order no event of a phase can show more taken than there is.
type movement int

const (
	movedExpired movement = iota
	movedReleased
	movedReturned
	movedReacquired
	movedHeld
	movedSold
	movements // how many there are
)

// event is the event that tells of movements of one kind.
func (m movement) event(body Movement) Event {
	switch m {
	case movedExpired:
		return HoldsExpired{body}
	case movedReleased:
		return HoldsReleased{body}
	case movedReturned:
		return TicketsReturned{body}
	case movedReacquired:
		return HoldReacquired{body}
	case movedHeld:
		return TicketsHeld{body}
	default:
		return TicketsSold{body}
	}
}

// priced reports whether the members of a movement carry what was paid for their tickets.
func (m movement) priced() bool { return m == movedSold || m == movedReturned }

// tally counts what is taken of every ticket type of a show.
type tally struct {
	totals []Totals      // in the order of the show's ticket types
	index  map[int64]int // ticket type → place; shared between copies, replaced when it changes
}

// copied is a tally of its own with the same counts.
func (t *tally) copied() tally { return tally{slices.Clone(t.totals), t.index} }

// taken is how many tickets are held or sold, of all types.
func (t *tally) taken() int64 {
	var n int64
	for _, total := range t.totals {
		n += total.Held + total.Sold
	}
	return n
}

// offer sets a ticket type's capacity and adds the type if it is new.
func (t *tally) offer(ticketTypeID, capacity int64) {
	if i, ok := t.index[ticketTypeID]; ok {
		t.totals[i].Capacity = capacity
		return
	}
	index := make(map[int64]int, len(t.index)+1)
	maps.Copy(index, t.index)
	index[ticketTypeID] = len(t.totals)
	t.index = index
	t.totals = append(t.totals, Totals{TicketTypeID: ticketTypeID, Capacity: capacity})
}

// move counts a movement of some tickets.
func (t *tally) move(m movement, lines []HeldLine) {
	for _, line := range lines {
		i, ok := t.index[line.TicketTypeID]
		if !ok {
			continue
		}
		total := &t.totals[i]
		switch m {
		case movedHeld, movedReacquired:
			total.Held += line.Quantity
		case movedExpired, movedReleased:
			total.Held -= line.Quantity
		case movedSold:
			total.Held -= line.Quantity
			total.Sold += line.Quantity
		case movedReturned:
			total.Sold -= line.Quantity
		}
	}
}
