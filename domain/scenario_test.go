package domain

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// failer is what a test and a rapid check have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

const (
	show1  = int64(1)
	order1 = "ORDER-20250205-00000001"
	order2 = "ORDER-20250205-00000002"
	pay1   = "PAY-20250205-00000001-1"
	pay2   = "PAY-20250205-00000001-2"
	inbox1 = "inbox-202502"
	ttl    = 10 * time.Minute // the grace is the whole minute then
)

var begin = time.Date(2025, 2, 5, 9, 0, 0, 0, time.UTC)

// world is a log in memory with the states folded from it. It runs batches as a Writer does.
type world struct {
	f       failer
	at      time.Time
	states  States
	log     []Decided
	audit   *auditor
	orders  uint32
	command int
}

// outcome is what one command of a batch came to.
type outcome struct {
	id     string
	result Result
	err    error
}

func newWorld(f failer) *world {
	return &world{f: f, at: begin, states: NewStates(), audit: newAuditor(f)}
}

// run takes steps one after another: a Command is a batch of its own, a []Command one batch, a Duration a
// pause. It returns the outcome of the last command.
func (w *world) run(steps ...any) outcome {
	w.f.Helper()
	var last outcome
	for _, step := range steps {
		switch step := step.(type) {
		case time.Duration:
			w.at = w.at.Add(step)
		case []Command:
			outcomes := w.batch(step...)
			last = outcomes[len(outcomes)-1]
		case Command:
			last = w.batch(step)[0]
		default:
			w.f.Fatalf("a step can't be a %T", step)
		}
	}
	return last
}

// batch decides commands together, stores the events through the codec, folds and audits them.
func (w *world) batch(commands ...Command) []outcome {
	w.f.Helper()
	b, outcomes := w.decide(w.states, commands)
	w.store(b)
	w.audit.outcomes(outcomes)
	return outcomes
}

// decide puts commands into the order of their phases, with EndDue for every show they touch.
func (w *world) decide(states States, commands []Command) (*Batch, []outcome) {
	w.f.Helper()
	b := NewBatch(w.at, states)
	type numbered struct {
		c     Command
		place int
	}
	var all []numbered
	touched := make(map[int64]bool)
	for i, c := range commands {
		if place, ok := c.(PlaceOrder); ok && place.OrderID == "" {
			w.orders++
			place.OrderID = OrderID(begin, w.orders)
			c = place
		}
		all = append(all, numbered{c, i})
		needs := c.Needs()
		touched[needs.ShowID] = true
		if o := states.Orders[needs.OrderID]; o != nil {
			touched[o.ShowID] = true
		}
	}
	for _, showID := range slices.Sorted(maps.Keys(touched)) {
		all = append(all, numbered{EndDue{showID}, -1})
	}
	slices.SortStableFunc(all, func(x, y numbered) int { return b.Phase(x.c) - b.Phase(y.c) })
	outcomes := make([]outcome, len(commands))
	for _, n := range all {
		w.command++
		id := fmt.Sprintf("command-%d", w.command)
		result, err := b.Decide(id, n.c)
		if n.place >= 0 {
			outcomes[n.place] = outcome{id, result, err}
		} else if err != nil {
			w.f.Fatalf("EndDue: %v", err)
		}
	}
	return b, outcomes
}

// store folds a batch's events and compares what comes of it with the drafts.
func (w *world) store(b *Batch) {
	w.f.Helper()
	for _, d := range b.Events() {
		data, err := Encode(d.Event)
		if err != nil {
			w.f.Fatalf("encode: %v", err)
		}
		if len(data) > MaxEventBytes {
			w.f.Fatalf("%s of %s has %d bytes", d.Event.EventType(), d.Stream, len(data))
		}
		if d.Event, err = Decode(d.Event.EventType(), SchemaVersion(d.Event.EventType()), data); err != nil {
			w.f.Fatalf("decode: %v", err)
		}
		if !w.states.Evolve(d.Stream, d.Version, d.Event) {
			w.f.Fatalf("%s: version %d is out of place", d.Stream, d.Version)
		}
		w.log = append(w.log, d)
		w.audit.event(d)
	}
	sameAsDrafts(w.f, b, w.states)
}

// rejected is the rejection of an outcome, or an empty one.
func (o outcome) rejected() Rejection {
	var r *Rejection
	if errors.As(o.err, &r) {
		return *r
	}
	return Rejection{}
}

// since lists the types of the events from a place in the log.
func (w *world) since(n int) string {
	var types []string
	for _, d := range w.log[n:] {
		types = append(types, d.Event.EventType())
	}
	return strings.Join(types, " ")
}

// lastOf is the newest event of a type.
func lastOf[E Event](w *world) E {
	w.f.Helper()
	for _, d := range slices.Backward(w.log) {
		if e, ok := d.Event.(E); ok {
			return e
		}
	}
	var none E
	w.f.Fatalf("no %s in the log", none.EventType())
	return none
}

// concert is a show with two ticket types: 1 has 4 tickets and no limits, 2 has 3 and at most 2 a customer.
func concert() CreateShow {
	return CreateShow{
		ShowID: show1, Name: "Concert", Venue: "Hall", StartsAt: begin.Add(48 * time.Hour), TimeZone: "Asia/Jakarta",
		Currency: "IDR", PaymentMethods: []PaymentMethod{QRIS, Card},
		TicketTypes: []TicketType{
			{TicketTypeID: 1, Name: "Standing", Price: 150_000, Capacity: 4, MaxPerOrder: 4},
			{TicketTypeID: 2, Name: "Seat", Price: 300_000, Capacity: 3, MaxPerOrder: 3, MaxPerCustomer: 2},
		},
	}
}

func place(quantity int64, customer string) PlaceOrder { return placeOf(1, quantity, customer) }

func placeOf(ticketType, quantity int64, customer string) PlaceOrder {
	return PlaceOrder{
		ShowID: show1, Lines: []HeldLine{{TicketTypeID: ticketType, Quantity: quantity}}, CustomerRef: customer, Method: QRIS, TTL: ttl,
	}
}

// ofBoth asks for tickets of both types.
func ofBoth(standing, seats int64) PlaceOrder {
	c := place(standing, "ann")
	c.Lines = append(c.Lines, HeldLine{TicketTypeID: 2, Quantity: seats})
	return c
}

// newPrice changes what tickets of type 1 cost from now on.
func newPrice(amount int64) ChangeTicketType {
	return ChangeTicketType{ShowID: show1, TicketTypeID: 1, Price: &amount}
}

func byCard(c PlaceOrder) PlaceOrder {
	c.Method = Card
	return c
}

func paid(id, reference string) SettlePayment {
	return SettlePayment{Gateway: "simulator", PaymentID: id, Reference: reference, GatewayStatus: "SUCCESS"}
}

func paidAmount(id, reference string, amount int64, currency string) SettlePayment {
	c := paid(id, reference)
	c.Amount, c.Currency = &amount, currency
	return c
}

func failed(id string) FailPayment {
	return FailPayment{Gateway: "simulator", PaymentID: id, GatewayStatus: "DENY"}
}

func instructed(id string) RecordInstruction {
	return RecordInstruction{PaymentID: id, QR: "0002", ExpiresAt: begin.Add(9 * time.Minute)}
}

// ruleCase is one rule: given what happened, when one thing more is asked for, then these events follow, or
// this refusal.
type ruleCase struct {
	name  string
	given []any
	when  any
	then  string // types of the events
	code  Code
	field string
	check func(t *testing.T, w *world)
}

// and is what was given with more after it.
func and(given []any, more ...any) []any { return slices.Concat(given, more) }

func runRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.run(c.given...)
			n := len(w.log)
			out := w.run(c.when)
			if c.code == "" && out.err != nil {
				t.Fatalf("refused: %v", out.err)
			}
			if r := out.rejected(); r.Code != c.code || r.Field != c.field {
				t.Fatalf("got %q at %q (%v), want %q at %q", r.Code, r.Field, out.err, c.code, c.field)
			}
			if got := w.since(n); got != c.then {
				t.Fatalf("events\n got %s\nwant %s", got, c.then)
			}
			if out.err == nil && out.result.Changed != (c.then != "") {
				t.Fatalf("Changed is %v with events %q", out.result.Changed, c.then)
			}
			if c.check != nil {
				c.check(t, w)
			}
		})
	}
}
