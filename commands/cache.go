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

	touched []int64       // shows of the batch at hand
	batch   domain.States // states of the batch at hand
}

// show is a show's state and what is known of its row in due.
type show struct {
	*domain.Show
	due     time.Time // what the row says; zero: no row
	changed int       // members and events since a snapshot was asked for
}

// snapshotEvery is after how many members of events a show is dirty enough for a snapshot.
const snapshotEvery = 20_000

func newCache() cache {
	return cache{
		shows: newGenerations[int64, *show](showLimit), orders: newGenerations[string, *domain.Order](stateLimit),
		payments: newGenerations[string, *domain.Payment](stateLimit), inboxes: newGenerations[string, *domain.Inbox](2),
	}
}

// begin forgets the batch at hand.
func (c *cache) begin() {
	c.touched = c.touched[:0]
	c.batch = domain.States{
		Shows: map[int64]*domain.Show{}, Orders: map[string]*domain.Order{},
		Payments: map[string]*domain.Payment{}, Inboxes: map[string]*domain.Inbox{},
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

// evolve folds one event into the states that are kept. A state that begins with the event is kept from now on;
// one that can't be continued by it is dropped and loaded again when it is needed.
func (c *cache) evolve(stream string, version int64, e domain.Event, dirty chan<- int64) {
	switch kind, id := domain.ParseStream(stream); kind {
	case domain.StreamShow:
		c.evolveShow(stream, version, e, dirty)
	case domain.StreamOrder:
		fold(&c.orders, id, version, e, func(o *domain.Order) *int64 { return &o.Version })
	case domain.StreamPayment:
		fold(&c.payments, id, version, e, func(p *domain.Payment) *int64 { return &p.Version })
	case domain.StreamInbox:
		fold(&c.inboxes, stream, version, e, func(i *domain.Inbox) *int64 { return &i.Version })
	}
}

func (c *cache) evolveShow(stream string, version int64, e domain.Event, dirty chan<- int64) {
	id, ok := showOf(stream)
	if !ok {
		return
	}
	s, ok := c.shows.get(id)
	if !ok {
		return
	}
	switch {
	case version <= s.Version:
		return
	case version > s.Version+1:
		c.shows.drop(id)
		return
	}
	s.Evolve(e)
	if s.changed += members(e); s.changed >= snapshotEvery && dirty != nil {
		select {
		case dirty <- id:
			s.changed = 0
		default: // the snapshotter is busy; the next event asks again
		}
	}
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
// or where the stored time has come and gone.
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
		passed := !s.due.IsZero() && !s.due.After(at)
		if (earlier || passed) && !next.Equal(s.due) {
			rows = append(rows, eventstore.Due{ShowID: id, At: next})
		}
	}
	return rows
}

func (c *cache) setDue(id int64, at time.Time) {
	if s, ok := c.shows.get(id); ok {
		s.due = at
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
