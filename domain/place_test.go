package domain

import (
	"errors"
	"math"
	"testing"
	"time"
)

const held = "TicketsHeld OrderPlaced PaymentRequested"

func TestPlacingAnOrder(t *testing.T) {
	t.Parallel()
	ofNoOne := func(change func(*PlaceOrder)) PlaceOrder {
		c := place(1, "ann")
		change(&c)
		return c
	}
	runRules(t, []ruleCase{
		{name: "holds tickets and asks for the payment", given: []any{concert()}, when: place(2, "ann"), then: held, check: checkFirstOrder},
		{
			name: "takes several lines or none", given: []any{concert()}, then: held,
			when: ofNoOne(func(c *PlaceOrder) {
				c.Lines = []HeldLine{{TicketTypeID: 1, Quantity: 2}, {TicketTypeID: 2, Quantity: 1}}
			}),
			check: func(t *testing.T, w *world) {
				if total := w.states.Orders[order1].Total; total != (Money{600_000, "IDR"}) {
					t.Errorf("total %+v", total)
				}
			},
		},
		{
			name: "refuses all lines when one falls short", given: []any{concert(), place(1, "bob")}, code: SoldOut,
			when: ofNoOne(func(c *PlaceOrder) {
				c.Lines = []HeldLine{{TicketTypeID: 2, Quantity: 1}, {TicketTypeID: 1, Quantity: 4}}
			}),
		},
		{name: "of an unknown show finds nothing", when: place(1, "ann"), code: NotFound},
		{name: "of a ticket type of another show finds nothing", given: []any{concert()}, when: placeOf(9, 1, "ann"), code: NotFound},
		{name: "of no ticket is invalid", given: []any{concert()}, when: place(0, "ann"), code: Invalid, field: "/quantity"},
		{name: "of less than no ticket is invalid", given: []any{concert()}, when: place(-5, "ann"), code: Invalid, field: "/quantity"},
		{name: "of too large a number is invalid", given: []any{concert()}, when: place(math.MaxInt64, "ann"), code: Invalid, field: "/quantity"},
		{
			name: "names the bad line of several", given: []any{concert()}, code: Invalid, field: "/lines/1/quantity",
			when: ofNoOne(func(c *PlaceOrder) {
				c.Lines = []HeldLine{{TicketTypeID: 1, Quantity: 1}, {TicketTypeID: 2, Quantity: 0}}
			}),
		},
		{
			name: "of one type in two lines is invalid", given: []any{concert()}, code: Invalid, field: "/lines/1/ticketTypeId",
			when: ofNoOne(func(c *PlaceOrder) {
				c.Lines = []HeldLine{{TicketTypeID: 1, Quantity: 1}, {TicketTypeID: 1, Quantity: 1}}
			}),
		},
		{
			name: "without lines is invalid", given: []any{concert()}, code: Invalid, field: "/lines",
			when: ofNoOne(func(c *PlaceOrder) { c.Lines = nil }),
		},
		{
			name: "by a method that the show does not take is invalid", given: []any{concert()}, code: Invalid, field: "/paymentMethod",
			when: ofNoOne(func(c *PlaceOrder) { c.Method = "CASH" }),
		},
		{
			name: "without a method takes the show's first", given: []any{concert()}, then: held,
			when:  ofNoOne(func(c *PlaceOrder) { c.Method = "" }),
			check: func(t *testing.T, w *world) { wantEqual(t, w.states.Payments[pay1].Method, QRIS) },
		},
		{name: "of a canceled show is refused", given: []any{concert(), CancelShow{ShowID: show1}}, when: place(1, "ann"), code: ShowIsCanceled},
		{name: "of a paused show is refused", given: []any{concert(), PauseSales{show1}}, when: place(1, "ann"), code: SalesArePaused},
		{name: "of a resumed show goes on", given: []any{concert(), PauseSales{show1}, ResumeSales{show1}}, when: place(1, "ann"), then: held},
		{name: "until the last moment before the show starts is taken", given: []any{concert(), 48*time.Hour - 1}, when: place(1, "ann"), then: held},
		{name: "when the show starts is too late", given: []any{concert(), 48 * time.Hour}, when: place(1, "ann"), code: SalesClosed},
		{name: "above the limit per order is refused", given: []any{concert()}, when: place(5, "ann"), code: LimitReached},
		{
			name: "above the limit per customer is refused, held and sold counted together", code: LimitReached,
			given: []any{concert(), placeOf(2, 1, "ann"), paid(order1, "r1"), placeOf(2, 1, "ann")}, when: placeOf(2, 1, "ann"),
		},
		{
			name: "counts limits by customer", then: held,
			given: []any{concert(), placeOf(2, 2, "ann")}, when: placeOf(2, 1, "bob"),
		},
		{
			name: "lets a customer order again whose hold has ended", then: held,
			given: []any{concert(), placeOf(2, 2, "ann"), CancelOrder{OrderID: order1}}, when: placeOf(2, 2, "ann"),
		},
	})
}

func checkFirstOrder(t *testing.T, w *world) {
	t.Helper()
	o, p := w.states.Orders[order1], w.states.Payments[pay1]
	wantEqual(t, o.Status, Pending)
	wantEqual(t, o.Total, Money{300_000, "IDR"})
	wantEqual(t, o.HoldID, "HOLD-20250205-00000001-1")
	wantEqual(t, o.ExpiresAt, begin.Add(10*time.Minute))
	wantEqual(t, o.ReleaseAt, begin.Add(11*time.Minute))
	wantEqual(t, p.ExpiresAt, begin.Add(9*time.Minute))
	wantEqual(t, p.Amount, o.Total)
	_, total, _ := w.states.Shows[show1].TicketType(1)
	wantEqual(t, total, Totals{1, 4, 2, 0})
}

func TestSoldOutTellsWhatIsLeftAndWhatMayComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out := w.run(concert(), place(3, "ann"), place(2, "bob"))
	r := out.rejected()
	wantEqual(t, r.Code, SoldOut)
	wantEqual(t, r.Available, int64(1))
	wantEqual(t, r.Held, int64(3))
}

func TestSalesWindow(t *testing.T) {
	t.Parallel()
	show := concert()
	show.TicketTypes[0].SalesFrom, show.TicketTypes[0].SalesTo = begin.Add(time.Hour), begin.Add(2*time.Hour)
	runRules(t, []ruleCase{
		{name: "is shut before it opens", given: []any{show, time.Hour - 1}, when: place(1, "ann"), code: SalesClosed},
		{name: "is open from its first moment", given: []any{show, time.Hour}, when: place(1, "ann"), then: held},
		{name: "is open until just before its end", given: []any{show, 2*time.Hour - 1}, when: place(1, "ann"), then: held},
		{name: "is shut at its end", given: []any{show, 2 * time.Hour}, when: place(1, "ann"), code: SalesClosed},
		{name: "is a ticket type's own", given: []any{show}, when: placeOf(2, 1, "ann"), then: held},
	})
}

func TestAnOrderHasAtMostSoManyTickets(t *testing.T) {
	t.Parallel()
	show := concert()
	for i := range show.TicketTypes {
		show.TicketTypes[i].Capacity, show.TicketTypes[i].MaxPerOrder = MaxCapacity, MaxQuantity
		show.TicketTypes[i].MaxPerCustomer = 0
	}
	most := place(MaxTicketsPerOrder-1, "ann")
	most.Lines = append(most.Lines, HeldLine{TicketTypeID: 2, Quantity: 1})
	w := newWorld(t)
	if out := w.run(show, most, paid(order1, "r1")); out.err != nil {
		t.Fatal(out.err)
	}
	wantEqual(t, len(w.states.Orders[order1].Tickets), MaxTicketsPerOrder)
	most.Lines[1].Quantity++
	wantEqual(t, w.run(most).rejected().Code, LimitReached)
}

func TestAHoldThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*PlaceOrder){
		"has a malformed order id": func(c *PlaceOrder) { c.OrderID = "ORDER-x" },
		"has a payment's id":       func(c *PlaceOrder) { c.OrderID = pay1 },
		"has an id that is taken":  func(c *PlaceOrder) { c.OrderID = order1 },
		"lasts no time":            func(c *PlaceOrder) { c.TTL = 0 },
		"lasts for ever":           func(c *PlaceOrder) { c.TTL = math.MaxInt64 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.run(concert(), place(1, "ann"))
			c := place(1, "bob")
			change(&c)
			out := w.run(c)
			var r *Rejection
			if out.err == nil || errors.As(out.err, &r) {
				t.Fatalf("want a fault, got %v", out.err)
			}
		})
	}
}

func wantEqual[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
