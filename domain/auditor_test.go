package domain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// auditor checks the invariants at every event with a fold of its own, which shares nothing with Evolve.
type auditor struct {
	f         failer
	versions  map[string]int64
	totals    map[string]Totals // by show/type
	types     map[string]TicketType
	holds     map[string]string // open hold → order
	ended     map[string]bool
	customers map[string]int64
	settled   map[string]int64 // by order
	refunded  map[string]int64 // by order, asked for
	tickets   map[string]int64 // by order, value of the tickets it has
	totalOf   map[string]int64
	quantity  map[string]int64
	lines     map[string][]Line // by order, as it was placed
	commands  map[string]bool   // that left an event
}

func newAuditor(f failer) *auditor {
	return &auditor{
		f: f, versions: map[string]int64{}, totals: map[string]Totals{}, types: map[string]TicketType{},
		holds: map[string]string{}, ended: map[string]bool{}, customers: map[string]int64{},
		settled: map[string]int64{}, refunded: map[string]int64{}, tickets: map[string]int64{},
		totalOf: map[string]int64{}, quantity: map[string]int64{}, lines: map[string][]Line{}, commands: map[string]bool{},
	}
}

func typeKey(showID, ticketTypeID int64) string { return fmt.Sprintf("%d/%d", showID, ticketTypeID) }

func (a *auditor) event(d Decided) {
	a.f.Helper()
	if a.versions[d.Stream]++; a.versions[d.Stream] != d.Version {
		a.f.Fatalf("%s has version %d, want %d", d.Stream, d.Version, a.versions[d.Stream])
	}
	if d.CommandID != "" {
		a.commands[d.CommandID] = true
	}
	a.show(d.Event)
	a.order(d.Event)
}

func (a *auditor) show(e Event) {
	a.f.Helper()
	switch e := e.(type) {
	case ShowCreated:
		for _, t := range e.TicketTypes {
			a.offer(e.ShowID, t)
		}
		a.compare(e.ShowID, e.Totals)
	case ShowChanged:
		a.compare(e.ShowID, e.Totals)
	case TicketTypeAdded:
		a.offer(e.ShowID, e.TicketType)
		a.compare(e.ShowID, e.Totals)
	case TicketTypeChanged:
		a.offer(e.ShowID, e.TicketType)
		a.compare(e.ShowID, e.Totals)
	case SalesPaused:
		a.compare(e.ShowID, e.Totals)
	case SalesResumed:
		a.compare(e.ShowID, e.Totals)
	case ShowCanceled:
		a.compare(e.ShowID, e.Totals)
	case TicketsHeld:
		a.move(e.Movement, 1, 0, true)
		a.limits(e.Movement)
	case HoldReacquired:
		a.move(e.Movement, 1, 0, true)
	case TicketsSold:
		a.move(e.Movement, -1, 1, false)
	case HoldsReleased:
		a.move(e.Movement, -1, 0, false)
	case HoldsExpired:
		a.move(e.Movement, -1, 0, false)
	case TicketsReturned:
		a.move(e.Movement, 0, -1, false)
	}
}

func (a *auditor) offer(showID int64, t TicketType) {
	key := typeKey(showID, t.TicketTypeID)
	total := a.totals[key]
	total.TicketTypeID, total.Capacity = t.TicketTypeID, t.Capacity
	a.totals[key], a.types[key] = total, t
}

// move counts one event's members: how held and sold move with each ticket, and whether holds begin.
func (a *auditor) move(m Movement, held, sold int64, begins bool) {
	a.f.Helper()
	if len(m.Members) == 0 || len(m.Members) > MaxMembers {
		a.f.Fatalf("a movement of %d members", len(m.Members))
	}
	for _, member := range m.Members {
		a.commands[member.CommandID] = true
		a.prices(member, sold != 0)
		switch {
		case begins && (a.holds[member.HoldID] != "" || a.ended[member.HoldID]):
			a.f.Fatalf("hold %s begins again", member.HoldID)
		case begins:
			a.holds[member.HoldID] = member.OrderID
		case held < 0 && a.holds[member.HoldID] != member.OrderID:
			a.f.Fatalf("hold %s of %s ends and is not open", member.HoldID, member.OrderID)
		case held < 0:
			delete(a.holds, member.HoldID)
			a.ended[member.HoldID] = true
		}
		for _, line := range member.Lines {
			key := typeKey(m.ShowID, line.TicketTypeID)
			total := a.totals[key]
			total.Held += held * line.Quantity
			total.Sold += sold * line.Quantity
			a.totals[key] = total
			a.customers[key+"/"+member.CustomerRef] += (held + sold) * line.Quantity
		}
	}
	a.compare(m.ShowID, m.Totals)
}

// prices checks that a member tells what was paid where tickets are sold or returned, and no price elsewhere.
func (a *auditor) prices(member Member, told bool) {
	a.f.Helper()
	placed := a.lines[member.OrderID]
	for i, line := range member.Lines {
		switch {
		case !told && line.UnitPrice != 0:
			a.f.Fatalf("%s holds at a price: %+v", member.OrderID, line)
		case told && (i >= len(placed) || Line(line) != placed[i]):
			a.f.Fatalf("%s was placed as %+v, moved as %+v", member.OrderID, placed, member.Lines)
		}
	}
}

// compare checks the totals that an event carries, and that they can be.
func (a *auditor) compare(showID int64, totals []Totals) {
	a.f.Helper()
	for _, told := range totals {
		if counted := a.totals[typeKey(showID, told.TicketTypeID)]; told != counted {
			a.f.Fatalf("show %d tells %+v, counted %+v", showID, told, counted)
		}
		if told.Held < 0 || told.Sold < 0 || told.Available() < 0 {
			a.f.Fatalf("show %d: impossible totals %+v", showID, told)
		}
	}
}

// limits checks what a placement may leave a customer with.
func (a *auditor) limits(m Movement) {
	a.f.Helper()
	for _, member := range m.Members {
		for _, line := range member.Lines {
			key := typeKey(m.ShowID, line.TicketTypeID)
			t := a.types[key]
			if line.Quantity > t.MaxPerOrder {
				a.f.Fatalf("%s holds %d of type %d, more than %d", member.OrderID, line.Quantity, line.TicketTypeID, t.MaxPerOrder)
			}
			if taken := a.customers[key+"/"+member.CustomerRef]; t.MaxPerCustomer > 0 && taken > t.MaxPerCustomer {
				a.f.Fatalf("%s has %d of type %d, more than %d", member.CustomerRef, taken, line.TicketTypeID, t.MaxPerCustomer)
			}
		}
	}
}

func (a *auditor) order(e Event) {
	switch e := e.(type) {
	case OrderPlaced:
		a.lines[e.OrderID] = e.Lines
		for _, line := range e.Lines {
			a.totalOf[e.OrderID] += line.Quantity * line.UnitPrice
			a.quantity[e.OrderID] += line.Quantity
		}
	case OrderCompleted:
		if int64(len(e.Tickets)) != a.quantity[e.OrderID] {
			a.f.Fatalf("%s has %d tickets, want %d", e.OrderID, len(e.Tickets), a.quantity[e.OrderID])
		}
		a.tickets[e.OrderID] = a.totalOf[e.OrderID]
	case OrderCanceled:
		a.tickets[e.OrderID] = 0
	case PaymentSettled:
		a.settled[e.OrderID] += e.Amount.Amount
	case RefundRequested:
		a.refunded[e.OrderID] += e.Amount.Amount
	}
}

// outcomes checks the money after a batch, and that refused commands left nothing.
func (a *auditor) outcomes(outcomes []outcome) {
	a.f.Helper()
	for orderID, settled := range a.settled {
		if settled != a.tickets[orderID]+a.refunded[orderID] {
			a.f.Fatalf("%s: settled %d, tickets %d, refunds %d", orderID, settled, a.tickets[orderID], a.refunded[orderID])
		}
	}
	for _, o := range outcomes {
		if wrote := a.commands[o.id]; wrote != (o.err == nil && o.result.Changed) {
			a.f.Fatalf("%s: wrote %v, result %+v, error %v", o.id, wrote, o.result, o.err)
		}
	}
}

// sameAsDrafts checks that folding the written events gives what the batch's drafts show.
func sameAsDrafts(f failer, b *Batch, states States) {
	f.Helper()
	for id, draft := range b.drafts.Shows {
		if got, want := snapshot(f, states.Shows[id]), snapshot(f, draft); got != want {
			f.Fatalf("show %d\n  folded %s\n draft %s", id, got, want)
		}
	}
	for id, draft := range b.drafts.Orders {
		if !reflect.DeepEqual(states.Orders[id], draft) {
			f.Fatalf("order %s\nfolded %+v\n draft %+v", id, states.Orders[id], draft)
		}
	}
	for id, draft := range b.drafts.Payments {
		if got, want := asJSON(f, states.Payments[id]), asJSON(f, draft); got != want {
			f.Fatalf("payment %s\nfolded %s\n draft %s", id, got, want)
		}
	}
	for id, draft := range b.drafts.Inboxes {
		if got, want := openItems(states.Inboxes[id]), openItems(draft); !slices.Equal(got, want) {
			f.Fatalf("inbox %s: folded %v, draft %v", id, got, want)
		}
	}
}

func snapshot(f failer, s *Show) string {
	f.Helper()
	data, err := s.Snapshot()
	if err != nil {
		f.Fatalf("snapshot: %v", err)
	}
	return string(data)
}

func asJSON(f failer, v any) string {
	f.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		f.Fatalf("marshal: %v", err)
	}
	return string(data)
}

// openItems are an inbox' version and the versions of its open items.
func openItems(i *Inbox) []int64 {
	items := []int64{i.Version}
	for v := int64(1); v <= i.Version; v++ {
		if i.Open(v) {
			items = append(items, v)
		}
	}
	return items
}
