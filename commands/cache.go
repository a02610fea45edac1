package commands

import (
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// cache holds the folded states of shows, orders and payments at the writer's head.
type cache struct {
	shows    generations[int64, *show]
	orders   generations[string, *domain.Order]
	payments generations[string, *domain.Payment]
	inboxes  generations[string, *domain.Inbox]

	// Of the batch at hand: what it needs, and the states of it that exist.
	showIDs  map[int64]bool
	orderIDs map[string]bool
	streams  map[string]bool // of inboxes
	touched  []int64         // the shows that exist
	batch    domain.States
}

// show is a show's state and what is known of its row in due.
type show struct {
	*domain.Show
	due     time.Time // what the row says; zero: no row
	unsure  bool      // somebody else wrote since, perhaps the row too
	changed int       // members and events since a snapshot was asked for
}

// dueSlack is how far the clocks of two processes may be apart where they judge whether work is due.
const dueSlack = 5 * time.Second

// snapshotEvery is after how many members of events a show is dirty enough for a snapshot.
const snapshotEvery = 20_000

func newCache() cache {
	return cache{
		shows: newGenerations[int64, *show](showLimit), orders: newGenerations[string, *domain.Order](stateLimit),
		payments: newGenerations[string, *domain.Payment](stateLimit), inboxes: newGenerations[string, *domain.Inbox](2),
	}
}

// begin notes what a batch needs and forgets the one before. It returns how many orders the batch would place.
func (c *cache) begin(batch []*request, at time.Time) (places int) {
	c.showIDs, c.orderIDs, c.streams = map[int64]bool{}, map[string]bool{}, map[string]bool{}
	c.touched, c.batch = c.touched[:0], domain.NewStates()
	for _, r := range batch {
		needs := r.command.Needs()
		if needs.ShowID != 0 {
			c.showIDs[needs.ShowID] = true
		}
		if needs.OrderID != "" {
			c.orderIDs[needs.OrderID] = true
		}
		for _, id := range needs.Orders {
			c.orderIDs[id] = true
		}
		if needs.Inbox {
			c.streams[domain.InboxStream(at)] = true
		}
		if needs.Stream != "" {
			c.streams[needs.Stream] = true
		}
		if _, is := r.command.(domain.PlaceOrder); is {
			places++
		}
	}
	return places
}

// bind takes into the batch at hand what others have begun since it was loaded, and has just been folded: a
// show, an order, a payment, an inbox that the batch needs.
func (c *cache) bind() {
	for id := range c.showIDs {
		if s, ok := c.shows.get(id); ok && c.batch.Shows[id] == nil {
			c.batch.Shows[id] = s.Show
			c.touched = append(c.touched, id)
		}
	}
	for id := range c.orderIDs {
		if o, ok := c.orders.get(id); ok {
			c.batch.Orders[id] = o
		}
	}
	for _, o := range c.batch.Orders {
		for _, summary := range o.Payments {
			if p, ok := c.payments.get(summary.PaymentID); ok {
				c.batch.Payments[summary.PaymentID] = p
			}
		}
	}
	for stream := range c.streams {
		if i, ok := c.inboxes.get(stream); ok {
			c.batch.Inboxes[stream] = i
		}
	}
}

// states are those of the batch at hand.
func (c *cache) states() domain.States { return c.batch }

func (c *cache) show(id int64) *domain.Show {
	if s, ok := c.shows.get(id); ok {
		return s.Show
	}
	return nil
}

// evolve folds one event into the states that are kept, and returns the id of a show that has grown enough for
// a snapshot, else 0. Own events are those that this writer appended. A state that begins with the event is kept from now on;
// one that can't be continued by it is dropped and loaded again when it is needed.
func (c *cache) evolve(stream string, version int64, e domain.Event, own bool) (grown int64) {
	switch kind, id := domain.ParseStream(stream); kind {
	case domain.StreamShow:
		return c.evolveShow(stream, version, e, own)
	case domain.StreamOrder:
		fold(&c.orders, id, version, e, func(o *domain.Order) *int64 { return &o.Version })
	case domain.StreamPayment:
		fold(&c.payments, id, version, e, func(p *domain.Payment) *int64 { return &p.Version })
	case domain.StreamInbox:
		fold(&c.inboxes, stream, version, e, func(i *domain.Inbox) *int64 { return &i.Version })
	}
	return 0
}

// evolveShow returns the show's id when it has grown enough for a snapshot, else 0.
func (c *cache) evolveShow(stream string, version int64, e domain.Event, own bool) (grown int64) {
	id, ok := showOf(stream)
	if !ok {
		return 0
	}
	s, ok := c.shows.get(id)
	switch {
	case !ok && version == 1:
		s = &show{Show: &domain.Show{}}
		c.shows.put(id, s)
	case !ok || version <= s.Version:
		return 0
	case version > s.Version+1:
		c.shows.drop(id)
		return 0
	}
	s.Evolve(e)
	s.unsure = s.unsure || !own
	if s.changed += members(e); s.changed < snapshotEvery {
		return 0
	}
	s.changed = 0
	return id
}

// forget drops the state of a stream; it is loaded again when it is needed.
func (c *cache) forget(stream string) {
	switch kind, id := domain.ParseStream(stream); kind {
	case domain.StreamShow:
		if id, ok := showOf(stream); ok {
			c.shows.drop(id)
		}
	case domain.StreamOrder:
		c.orders.drop(id)
	case domain.StreamPayment:
		c.payments.drop(id)
	case domain.StreamInbox:
		c.inboxes.drop(stream)
	}
}

// evolver is a state that one stream's events are folded into.
type evolver[S any] interface {
	*S
	Evolve(domain.Event)
}

func fold[S any, P evolver[S]](states *generations[string, P], id string, version int64, e domain.Event, at func(P) *int64) {
	s, ok := states.get(id)
	switch {
	case !ok && version == 1:
		s = P(new(S))
		states.put(id, s)
	case !ok || version <= *at(s):
		return
	case version > *at(s)+1:
		states.drop(id)
		return
	}
	s.Evolve(e)
}

// due are the rows to write for the shows of the batch at hand: where work becomes due earlier than stored,
// where the stored time has come and gone, or where somebody else may have written the row.
func (c *cache) due(at time.Time, rules *domain.Batch) []eventstore.Due {
	var rows []eventstore.Due
	for _, id := range c.touched {
		s, ok := c.shows.get(id)
		if !ok {
			continue
		}
		next := s.Due()
		if after := rules.Show(id); after != nil {
			next = after.Due()
		}
		earlier := !next.IsZero() && (s.due.IsZero() || next.Before(s.due))
		passed := !s.due.IsZero() && !s.due.After(at.Add(dueSlack)) // another process may see it passed already, and have moved it
		if s.unsure || (earlier || passed) && !next.Equal(s.due) {
			rows = append(rows, eventstore.Due{ShowID: id, At: next})
		}
	}
	return rows
}

func (c *cache) setDue(id int64, at time.Time) {
	if s, ok := c.shows.get(id); ok {
		s.due, s.unsure = at, false
	}
}

// members is how much an event grows what a snapshot would save reading.
func members(e domain.Event) int {
	if m, ok := e.(domain.TicketsHeld); ok {
		return len(m.Members)
	}
	return 1
}

// generations is a map that forgets what was not used for long: at most 2 × limit entries, all operations O(1).
type generations[K comparable, V any] struct {
	limit      int
	young, old map[K]V
}

func newGenerations[K comparable, V any](limit int) generations[K, V] {
	return generations[K, V]{limit: limit, young: map[K]V{}, old: map[K]V{}}
}

func (g *generations[K, V]) get(k K) (V, bool) {
	if v, ok := g.young[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	if ok {
		g.put(k, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if len(g.young) >= g.limit {
		g.young, g.old = make(map[K]V, len(g.young)), g.young
	}
	g.young[k] = v
}

func (g *generations[K, V]) drop(k K) {
	delete(g.young, k)
	delete(g.old, k)
}
