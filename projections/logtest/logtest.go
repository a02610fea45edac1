// Package logtest writes big logs for tests and benchmarks: whole lives of orders, decided by the rules and
// appended to the log as the Writer does it, with its ids, metadata, request keys, contacts, deliveries and due
// rows, so that an event has the bytes that it has in service.
package logtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// Plan says what is written. The same plan on an empty log writes the same events.
type Plan struct {
	Events int // about so many; 0: 10,000
	Shows  int // that sell at the same time; 0: 10
	// Orders is how many orders each append places. 0: 250, and fewer in a log of less than 64,000 events, in
	// which too little would happen between placing and paying.
	Orders int
	Seed   uint64
}

// Written is what was written.
type Written struct {
	First  int64 // position of the first event
	Events int64
	Head   eventstore.Head // after the last
	Shows  []int64
	Orders map[Fate]int
	Took   time.Duration
}

// Placed is how many orders were written.
func (w Written) Placed() int {
	n := 0
	for _, orders := range w.Orders {
		n += orders
	}
	return n
}

// Write writes a log, or more of one: on a log with events it goes on where that ends, with shows of its own.
func Write(t testing.TB, db *sqlx.DB, p Plan) Written {
	t.Helper()
	written, err := Append(t.Context(), db, p)
	if err != nil {
		t.Fatalf("write a log of %d events: %v", p.Events, err)
	}
	return written
}

// Append is Write for those who have no test. Nobody else may append meanwhile. What was appended before an
// error stays.
func Append(ctx context.Context, db *sqlx.DB, p Plan) (Written, error) {
	begun := time.Now()
	w := newWriter(db, p.complete())
	if err := w.begin(ctx); err != nil {
		return Written{}, err
	}
	for done := false; !done; {
		var err error
		if done, err = w.tick(ctx); err != nil {
			return Written{}, fmt.Errorf("after position %d: %w", w.head.Position, err)
		}
	}
	return Written{
		First: w.first, Events: w.head.Position - w.first + 1, Head: w.head, Shows: w.shows, Orders: w.placed,
		Took: time.Since(begun),
	}, nil
}

const (
	defaultEvents = 10_000
	defaultShows  = 10
	maxOrders     = 250 // in one append, unless the plan says more
	leastTicks    = 40  // appends of a log, if the plan leaves it to us
	perOrder      = 6.5 // events of a life, roughly: used to guess how long the log will take
	tickets       = 3   // of one order, at most
	typesPerShow  = 3
)

// complete puts the defaults in.
func (p Plan) complete() Plan {
	if p.Events <= 0 {
		p.Events = defaultEvents
	}
	if p.Shows <= 0 {
		p.Shows = defaultShows
	}
	if p.Orders <= 0 {
		p.Orders = max(1, min(maxOrders, int(float64(p.Events)/perOrder/leastTicks)))
	}
	return p
}

const (
	holdTTL    = 15 * time.Minute // the service's default
	holdGrace  = time.Minute      // what the rules add to it
	holdsInLog = 4                // a log lasts as long as so many holds after each other
	leastHold  = 8                // ticks of a hold, at least
	payWithin  = 4_000            // orders that are placed between an order and its payment, at most
	payShare   = 16               // of a log's ticks, so that small logs have the same order of things
	leastPay   = 2                // ticks between an order and its payment, at most, in the smallest log
)

// pace is how the log's time runs: a tick is one append.
type pace struct {
	tick time.Duration
	pay  int // ticks between an order and its payment, at most
}

func (p Plan) pace() pace {
	ticks := int(float64(p.Events) / perOrder / float64(p.Orders))
	hold := max(ticks/holdsInLog, leastHold)
	return pace{
		tick: ((holdTTL + holdGrace) / time.Duration(hold)).Truncate(time.Microsecond),
		pay:  max(min(payWithin/p.Orders, ticks/payShare), leastPay),
	}
}

// dawn is when an empty log begins. It is long past, so that whoever writes after us is not held in our time.
func dawn() time.Time { return time.Date(2026, time.January, 15, 9, 0, 0, 0, time.UTC) }

// tick decides and appends what happens at one moment, and reports whether nothing is left to happen.
func (w *writer) tick(ctx context.Context) (done bool, err error) {
	w.at = w.at.Add(w.pace.tick)
	requests := w.agenda[w.ticks]
	delete(w.agenda, w.ticks)
	w.ticks++
	w.closing = w.closing || w.head.Position-w.first+1+int64(w.ahead) >= int64(w.plan.Events)
	if !w.closing {
		placements, err := w.placements(ctx)
		if err != nil {
			return false, err
		}
		requests = append(requests, placements...)
	} else if len(w.agenda) == 0 && len(requests) == 0 {
		return true, nil
	}
	return false, w.append(ctx, requests)
}

// begin reads the log's end and creates the shows.
func (w *writer) begin(ctx context.Context) error {
	head, err := w.store.Head(ctx)
	if err != nil {
		return err
	}
	w.head, w.first, w.at = head, head.Position+1, head.Time
	if head.Position == 0 {
		w.at = dawn()
	}
	if err := w.loadInbox(ctx); err != nil {
		return err
	}
	requests := make([]*request, w.plan.Shows)
	for i := range requests {
		id := w.first + int64(i) // no earlier log has a show of that id: it has fewer events
		w.shows = append(w.shows, id)
		requests[i] = &request{id: w.newID("c"), command: w.newShow(id), origin: origin{actor: "operator:logtest"}}
	}
	return w.append(ctx, requests)
}

// newShow is a show that will not be sold out.
func (w *writer) newShow(id int64) domain.CreateShow {
	orders := float64(w.plan.Events) / perOrder
	capacity := min(1_000+int64(2*tickets*orders)/int64(w.plan.Shows), domain.MaxCapacity)
	c := domain.CreateShow{
		ShowID: id, Name: fmt.Sprintf("Night %d of the Long Run", id), Venue: "Stadion Utama Gelora Bung Karno",
		StartsAt: w.at.AddDate(0, 3, 0), TimeZone: "Asia/Jakarta", Currency: "IDR",
	}
	for i := range int64(typesPerShow) {
		c.TicketTypes = append(c.TicketTypes, domain.TicketType{
			TicketTypeID: i + 1, Name: [...]string{"Festival", "Tribune", "VIP"}[i], Price: 250_000 * (i + 1),
			Capacity: capacity, MaxPerOrder: domain.DefaultMaxPerOrder,
		})
	}
	return c
}

func newWriter(db *sqlx.DB, p Plan) *writer {
	random := rand.New(rand.NewPCG(p.Seed, 0))
	return &writer{
		plan: p, pace: p.pace(), store: eventstore.New(db, eventstore.Config{}), random: random,
		name: fmt.Sprintf("%012x", random.Uint64()>>16), states: domain.NewStates(), due: map[int64]time.Time{},
		orders: map[string]*order{}, agenda: map[int][]*request{}, placed: map[Fate]int{}, deck: newDeck(random),
	}
}
