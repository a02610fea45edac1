package domain

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestCreatingAShow(t *testing.T) {
	t.Parallel()
	but := func(change func(*CreateShow)) CreateShow {
		c := concert()
		change(&c)
		return c
	}
	typeBut := func(change func(*TicketType)) CreateShow {
		return but(func(c *CreateShow) { change(&c.TicketTypes[1]) })
	}
	bad := func(name, field string, c CreateShow) ruleCase {
		return ruleCase{name: name, when: c, code: Invalid, field: field}
	}
	runRules(t, []ruleCase{
		{
			name: "puts it on sale", when: concert(), then: "ShowCreated",
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[ShowCreated](w).Totals[1], Totals{2, 3, 0, 0}) },
		},
		{name: "that exists is refused", given: []any{concert()}, when: concert(), code: Exists},
		{
			name: "fills in what was left out", then: "ShowCreated",
			when: but(func(c *CreateShow) {
				c.PaymentMethods = nil
				c.TicketTypes[0].MaxPerOrder = 0
				c.StartsAt = time.Date(2027, 1, 2, 20, 0, 0, 0, time.FixedZone("WIB", 7*3600))
			}),
			check: func(t *testing.T, w *world) {
				s := w.states.Shows[show1]
				wantEqual(t, len(s.PaymentMethods), 2)
				wantEqual(t, s.TicketTypes[0].MaxPerOrder, DefaultMaxPerOrder)
				wantEqual(t, s.StartsAt, time.Date(2027, 1, 2, 13, 0, 0, 0, time.UTC))
			},
		},
		{
			name: "in another currency takes cards only", then: "ShowCreated",
			when: but(func(c *CreateShow) { c.Currency, c.PaymentMethods = "EUR", nil }),
			check: func(t *testing.T, w *world) {
				wantEqual(t, len(w.states.Shows[show1].PaymentMethods), 1)
				wantEqual(t, w.states.Shows[show1].PaymentMethods[0], Card)
			},
		},
		{name: "may have nothing to sell yet", then: "ShowCreated", when: typeBut(func(t *TicketType) { t.Capacity = 0 })},
		bad("needs an id", "/showId", but(func(c *CreateShow) { c.ShowID = 0 })),
		bad("needs a name", "/name", but(func(c *CreateShow) { c.Name = " " })),
		bad("needs a short name", "/name", but(func(c *CreateShow) { c.Name = strings.Repeat("é", 201) })),
		bad("needs a venue", "/venue", but(func(c *CreateShow) { c.Venue = "" })),
		bad("needs a time", "/startsAt", but(func(c *CreateShow) { c.StartsAt = time.Time{} })),
		bad("needs a time that can be written", "/startsAt", but(func(c *CreateShow) { c.StartsAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) })),
		bad("needs a time zone", "/timeZone", but(func(c *CreateShow) { c.TimeZone = "" })),
		bad("needs a time zone by its name", "/timeZone", but(func(c *CreateShow) { c.TimeZone = "../etc" })),
		bad("needs a currency", "/currency", but(func(c *CreateShow) { c.Currency = "XXX" })),
		bad("takes QRIS for IDR only", "/paymentMethods/0", but(func(c *CreateShow) { c.Currency = "USD" })),
		bad("takes known methods", "/paymentMethods/1", but(func(c *CreateShow) { c.PaymentMethods[1] = "CASH" })),
		bad("takes a method once", "/paymentMethods/1", but(func(c *CreateShow) { c.PaymentMethods[1] = QRIS })),
		bad("needs ticket types", "/ticketTypes", but(func(c *CreateShow) { c.TicketTypes = nil })),
		bad("has not too many ticket types", "/ticketTypes", but(func(c *CreateShow) { c.TicketTypes = make([]TicketType, MaxTicketTypes+1) })),
		bad("needs ticket types with an id", "/ticketTypes/1/ticketTypeId", typeBut(func(t *TicketType) { t.TicketTypeID = -1 })),
		bad("needs ticket types with their own ids", "/ticketTypes/1/ticketTypeId", typeBut(func(t *TicketType) { t.TicketTypeID = 1 })),
		bad("needs ticket types with a name", "/ticketTypes/1/name", typeBut(func(t *TicketType) { t.Name = "" })),
		bad("gives nothing away", "/ticketTypes/1/price", typeBut(func(t *TicketType) { t.Price = 0 })),
		bad("asks for no fortune", "/ticketTypes/1/price", typeBut(func(t *TicketType) { t.Price = MaxPrice + 1 })),
		bad("has no negative capacity", "/ticketTypes/1/capacity", typeBut(func(t *TicketType) { t.Capacity = -1 })),
		bad("has a capacity with an end", "/ticketTypes/1/capacity", typeBut(func(t *TicketType) { t.Capacity = math.MaxInt64 })),
		bad("has no negative limit per order", "/ticketTypes/1/maxPerOrder", typeBut(func(t *TicketType) { t.MaxPerOrder = -1 })),
		bad("has no negative limit per customer", "/ticketTypes/1/maxPerCustomer", typeBut(func(t *TicketType) { t.MaxPerCustomer = -1 })),
		bad("ends sales after they begin", "/ticketTypes/1/salesTo", typeBut(func(t *TicketType) { t.SalesFrom, t.SalesTo = begin, begin })),
		bad("begins sales at a time that can be written", "/ticketTypes/1/salesFrom", typeBut(func(t *TicketType) { t.SalesFrom = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC) })),
	})
}

func TestChangingAShow(t *testing.T) {
	t.Parallel()
	name, empty, later := "Concert II", "", begin.Add(72*time.Hour)
	canceled := []any{concert(), CancelShow{show1, "storm"}}
	runRules(t, []ruleCase{
		{
			name: "leaves what is not named", given: []any{concert()}, when: ChangeShow{ShowID: show1, Name: &name}, then: "ShowChanged",
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Shows[show1].Name, name)
				wantEqual(t, w.states.Shows[show1].Venue, "Hall")
			},
		},
		{
			name: "moves the end of sales with its start", then: held,
			given: []any{concert(), ChangeShow{ShowID: show1, StartsAt: &later}, 50 * time.Hour}, when: place(1, "ann"),
		},
		{name: "to what it is changes nothing", given: []any{concert(), ChangeShow{ShowID: show1, Name: &name}}, when: ChangeShow{ShowID: show1, Name: &name}},
		{name: "to no name is invalid", given: []any{concert()}, when: ChangeShow{ShowID: show1, Name: &empty}, code: Invalid, field: "/name"},
		{name: "that is unknown finds nothing", when: ChangeShow{ShowID: show1}, code: NotFound},
		{name: "that is canceled is refused", given: canceled, when: ChangeShow{ShowID: show1}, code: ShowIsCanceled},
		{name: "to paused twice changes nothing", given: []any{concert(), PauseSales{show1}}, when: PauseSales{show1}},
		{name: "to selling that sells changes nothing", given: []any{concert()}, when: ResumeSales{show1}},
		{name: "to paused when canceled is refused", given: canceled, when: PauseSales{show1}, code: ShowIsCanceled},
		{name: "to selling when unknown finds nothing", when: ResumeSales{show1}, code: NotFound},
		{
			name: "to canceled keeps the reason", given: []any{concert()}, when: CancelShow{show1, "storm"}, then: "ShowCanceled",
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[ShowCanceled](w).Reason, "storm") },
		},
		{name: "to canceled twice changes nothing", given: canceled, when: CancelShow{show1, "again"}},
		{name: "to canceled when unknown finds nothing", when: CancelShow{ShowID: show1}, code: NotFound},
	})
}

func TestChangingTicketTypes(t *testing.T) {
	t.Parallel()
	change := func(edit func(*ChangeTicketType)) ChangeTicketType {
		c := ChangeTicketType{ShowID: show1, TicketTypeID: 1}
		edit(&c)
		return c
	}
	capacity := func(n int64) ChangeTicketType { return change(func(c *ChangeTicketType) { c.Capacity = &n }) }
	price := func(n int64) ChangeTicketType { return change(func(c *ChangeTicketType) { c.Price = &n }) }
	none, never := int64(0), time.Time{}
	taken := []any{concert(), place(1, "ann"), paid(order1, ""), place(1, "bob")}
	third := TicketType{TicketTypeID: 3, Name: "Box", Price: 1, Capacity: 1}
	runRules(t, []ruleCase{
		{
			name: "adds one that sells at once", given: []any{concert(), AddTicketType{show1, third}}, when: placeOf(3, 1, "ann"), then: held,
			check: func(t *testing.T, w *world) { wantEqual(t, len(lastOf[TicketsHeld](w).Totals), 3) },
		},
		{name: "adds none that exists", given: []any{concert(), AddTicketType{show1, third}}, when: AddTicketType{show1, third}, code: Exists},
		{name: "adds none that is bad", given: []any{concert()}, when: AddTicketType{show1, TicketType{TicketTypeID: 3, Name: "Box"}}, code: Invalid, field: "/price"},
		{name: "adds none to an unknown show", when: AddTicketType{show1, third}, code: NotFound},
		{name: "lets capacity go down to what is taken", given: taken, when: capacity(2), then: "TicketTypeChanged"},
		{name: "lets capacity not go below what is held and sold", given: taken, when: capacity(1), code: CapacityInUse},
		{name: "sells more when there is more", given: and(taken, capacity(6)), when: place(4, "cat"), then: held},
		{
			name: "keeps the price of placed orders", given: and(taken, price(1)), when: place(1, "cat"), then: held,
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Orders[order2].Total.Amount, 150_000)
				wantEqual(t, lastOf[OrderPlaced](w).Total.Amount, 1)
			},
		},
		{name: "to what they are changes nothing", given: []any{concert()}, when: price(150_000)},
		{name: "to a bad price is invalid", given: []any{concert()}, when: price(0), code: Invalid, field: "/price"},
		{
			name: "removes limits and windows by zero", given: []any{concert()}, then: "TicketTypeChanged",
			when: ChangeTicketType{
				ShowID: show1, TicketTypeID: 2, MaxPerOrder: &none, MaxPerCustomer: &none, SalesFrom: &never, SalesTo: &never,
			},
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Shows[show1].TicketTypes[1].MaxPerOrder, DefaultMaxPerOrder)
				wantEqual(t, w.states.Shows[show1].TicketTypes[1].MaxPerCustomer, 0)
			},
		},
		{name: "of an unknown type finds nothing", given: []any{concert()}, when: ChangeTicketType{ShowID: show1, TicketTypeID: 9}, code: NotFound},
	})
}
