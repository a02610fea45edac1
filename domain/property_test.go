package domain

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The auditor of a world checks at every event and after every batch: capacity, that a hold ends once, the
// limits, the money, that refused commands leave nothing, and that folding gives what the drafts show.
func TestWhateverIsAskedTheRulesHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.run(smallShow(t, 1), smallShow(t, 2))
		delivered := make(map[string]bool)
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			w.at = w.at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			dropped(t, w, rapid.SliceOfN(anyCommand(w), 0, 4).Draw(t, "dropped"))
			commands := rapid.SliceOfN(anyCommand(w), 1, 8).Draw(t, "commands")
			for i, o := range w.batch(commands...) {
				if money, ok := commands[i].(SettlePayment); ok && money.Reference != "" && !errors.Is(o.err, ErrWait) {
					delivered[money.Reference] = true
				}
			}
			checkAnswers(t, w)
		}
		for reference := range delivered {
			if !inTheLog(w, reference) {
				t.Fatalf("money %s vanished", reference)
			}
		}
		restored(t, w)
		called(t, w)
	})
}

// dropped decides a batch that is never stored, and checks that it leaves the states as they were.
func dropped(t *rapid.T, w *world, commands []Command) {
	before := everything(t, w.states)
	b, _ := w.decide(w.states, commands)
	b.Events()
	if after := everything(t, w.states); after != before {
		t.Fatalf("a batch that was dropped left a trace\nbefore %s\n after %s", before, after)
	}
}

// everything is all there is to see of states.
func everything(t *rapid.T, states States) string {
	var all strings.Builder
	all.WriteString(asJSON(t, states.Orders) + asJSON(t, states.Payments))
	for _, id := range slices.Sorted(maps.Keys(states.Shows)) {
		all.WriteString(snapshot(t, states.Shows[id]))
	}
	for _, stream := range slices.Sorted(maps.Keys(states.Inboxes)) {
		fmt.Fprint(&all, openItems(states.Inboxes[stream]))
	}
	return all.String()
}

// smallShow has few tickets, so that every edge is near.
func smallShow(t *rapid.T, id int64) CreateShow {
	c := concert()
	c.ShowID = id
	for i := range c.TicketTypes {
		c.TicketTypes[i].Capacity = rapid.Int64Range(0, 6).Draw(t, "capacity")
		c.TicketTypes[i].MaxPerOrder = rapid.Int64Range(1, 4).Draw(t, "maxPerOrder")
		c.TicketTypes[i].MaxPerCustomer = rapid.Int64Range(0, 4).Draw(t, "maxPerCustomer")
	}
	return c
}

// anyCommand draws commands on what the world holds and, now and then, on what it does not.
func anyCommand(w *world) *rapid.Generator[Command] {
	return rapid.Custom(func(t *rapid.T) Command {
		orders := append(slices.Sorted(maps.Keys(w.states.Orders)), OrderID(begin, 0xffff))
		payments := append(slices.Sorted(maps.Keys(w.states.Payments)), "PAY-unknown")
		orderID := rapid.SampledFrom(orders).Draw(t, "order")
		paymentID := rapid.SampledFrom(payments).Draw(t, "payment")
		named := rapid.SampledFrom([]string{orderID, paymentID}).Draw(t, "named")
		showID := rapid.SampledFrom([]int64{1, 1, 1, 2, 3}).Draw(t, "show")
		switch rapid.IntRange(0, 16).Draw(t, "kind") {
		case 0, 1, 2, 3:
			return anyPlacement(t, showID)
		case 4, 5, 6:
			return anyMoney(t, named)
		case 7:
			return FailPayment{PaymentID: named, GatewayStatus: "DENY"}
		case 8:
			return CancelOrder{OrderID: orderID, ByOperator: rapid.Bool().Draw(t, "operator")}
		case 9:
			return RequestPayment{orderID, anyMethod(t)}
		case 10, 11:
			return RecordInstruction{PaymentID: paymentID, URL: "https://pay"}
		case 12:
			return RecordRefund{PaymentID: paymentID, RefundID: RefundID(paymentID, 1), Failed: rapid.Bool().Draw(t, "failed")}
		case 13:
			streams := []string{PaymentStream(paymentID), InboxStream(w.at)}
			return ResolveOpenItem{rapid.SampledFrom(streams).Draw(t, "stream"), rapid.Int64Range(1, 5).Draw(t, "version"), "done"}
		case 14:
			return EndDue{showID}
		case 15:
			return ReturnTickets{showID, []string{orderID, orders[0], orderID}}
		default:
			return anyChange(t, showID)
		}
	})
}

func anyMethod(t *rapid.T) PaymentMethod {
	return rapid.SampledFrom([]PaymentMethod{QRIS, Card, Card}).Draw(t, "method")
}

func anyPlacement(t *rapid.T, showID int64) Command {
	c := PlaceOrder{
		ShowID: showID, CustomerRef: rapid.SampledFrom([]string{"ann", "bob", "cat"}).Draw(t, "customer"),
		Method: anyMethod(t), TTL: time.Duration(rapid.IntRange(1, 900).Draw(t, "ttl")) * time.Second,
	}
	for ticketType := range int64(2) {
		if n := rapid.Int64Range(0, 4).Draw(t, "quantity"); n > 0 {
			c.Lines = append(c.Lines, HeldLine{ticketType + 1, n, 7}) // a price that is not the show's
		}
	}
	return c
}

func anyMoney(t *rapid.T, named string) Command {
	c := SettlePayment{
		PaymentID: named, GatewayStatus: "PAID",
		// A reference is one order's, as a gateway gives them.
		Reference: rapid.SampledFrom([]string{"", "-a", "-b", "-c"}).Draw(t, "reference"),
	}
	if orderID, ok := OrderOf(named); ok && c.Reference != "" {
		c.Reference = orderID + c.Reference
	}
	if rapid.IntRange(0, 5).Draw(t, "wrong") == 0 {
		amount := rapid.Int64Range(0, 3).Draw(t, "amount")
		c.Amount, c.Currency = &amount, "IDR"
	}
	return c
}

func anyChange(t *rapid.T, showID int64) Command {
	ticketType := rapid.Int64Range(1, 4).Draw(t, "type")
	n := rapid.Int64Range(0, 8).Draw(t, "n")
	name := fmt.Sprintf("name %d", n)
	switch rapid.IntRange(0, 12).Draw(t, "change") {
	case 0, 1, 2:
		return ChangeTicketType{ShowID: showID, TicketTypeID: ticketType, Capacity: &n}
	case 3:
		return ChangeTicketType{ShowID: showID, TicketTypeID: ticketType, Price: &n}
	case 4:
		return ChangeTicketType{ShowID: showID, TicketTypeID: ticketType, Price: &n, MaxPerCustomer: &n}
	case 5:
		return PauseSales{showID}
	case 6, 7, 8:
		return ResumeSales{showID}
	case 9:
		return ChangeShow{ShowID: showID, Name: &name}
	case 10:
		return AddTicketType{showID, TicketType{TicketTypeID: ticketType, Name: name, Price: 1, Capacity: n}}
	case 11:
		c := concert()
		c.ShowID = showID
		return c
	default:
		return CancelShow{ShowID: showID}
	}
}

// checkAnswers compares what shows, orders and payments say of each other.
func checkAnswers(t *rapid.T, w *world) {
	held, sold := make(map[int64]int), make(map[int64]int)
	for _, o := range w.states.Orders {
		switch {
		case o.Status.Live():
			held[o.ShowID]++
		case o.Status == Completed:
			sold[o.ShowID]++
		}
		open := 0
		for _, summary := range o.Payments {
			p := w.states.Payments[summary.PaymentID]
			if p.Status != summary.Status {
				t.Fatalf("%s is %s, its order says %s", p.PaymentID, p.Status, summary.Status)
			}
			if p.Status.Open() {
				open++
			}
		}
		if open > 1 || open == 1 && !o.Status.Live() {
			t.Fatalf("%s is %s with %d open payments", o.OrderID, o.Status, open)
		}
	}
	for id, s := range w.states.Shows {
		if open := s.DueOrders(w.at.Add(MaxTTL), 1_000_000); len(open) != held[id] {
			t.Fatalf("show %d has %d holds, %d orders are live", id, len(open), held[id])
		}
		if s.Due().IsZero() != (held[id] == 0 && (!s.Canceled || sold[id] == 0)) {
			t.Fatalf("show %d, canceled %v, is due at %s with %d holds and %d sold orders", id, s.Canceled, s.Due(), held[id], sold[id])
		}
	}
}

// inTheLog reports whether money with a reference stands in the log.
func inTheLog(w *world, reference string) bool {
	return slices.ContainsFunc(w.log, func(d Decided) bool {
		switch e := d.Event.(type) {
		case PaymentSettled:
			return e.Reference == reference
		case PaymentMismatched:
			return e.Reference == reference
		case PaymentUnmatched:
			return e.Reference == reference
		default:
			return false
		}
	})
}

// restored checks that a show goes on from its snapshot as from its events.
func restored(t *rapid.T, w *world) {
	for id, show := range w.states.Shows {
		data, err := show.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again, err := RestoreShow(data)
		if err != nil {
			t.Fatal(err)
		}
		if snapshot(t, again) != string(data) || !again.Due().Equal(show.Due()) {
			t.Fatalf("show %d differs after its snapshot", id)
		}
		w.states.Shows[id] = again
	}
	w.run(anyPlacement(t, 1), time.Hour, EndDue{1}, EndDue{2})
}

// A batch decides the same whether its commands come together or in two halves, stored one after the other.
func TestABatchInTwoHalvesComesToTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, two := newWorld(t), newWorld(t)
		first := smallShow(t, 1)
		one.run(first)
		two.run(first)
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			commands := rapid.SliceOfN(anyCommand(one), 1, 6).Draw(t, "before")
			one.batch(commands...)
			two.batch(commands...)
		}
		one.at = one.at.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
		two.at = one.at
		commands := ordered(one, rapid.SliceOfN(anyCommand(one), 1, 10).Draw(t, "commands"))
		cut := rapid.IntRange(0, len(commands)).Draw(t, "cut")
		together := decideAll(one, commands)
		apart := append(decideAll(two, commands[:cut]), decideAll(two, commands[cut:])...)
		for i := range together {
			if errors.Is(together[i], ErrWait) || errors.Is(apart[i], ErrWait) {
				return // only a batch of its own may wait
			}
			if fmt.Sprint(together[i]) != fmt.Sprint(apart[i]) {
				t.Fatalf("%T: %v together, %v apart", commands[i], together[i], apart[i])
			}
		}
		sameStates(t, one.states, two.states)
	})
}

// ordered gives placements their ids and puts commands into the order of their phases.
func ordered(w *world, commands []Command) []Command {
	b := NewBatch(w.at, w.states)
	for i, c := range commands {
		if c, ok := c.(PlaceOrder); ok {
			c.OrderID = OrderID(begin, uint32(1000+i))
			commands[i] = c
		}
	}
	slices.SortStableFunc(commands, func(x, y Command) int { return b.Phase(x) - b.Phase(y) })
	return commands
}

// decideAll decides commands in one batch, in the order given, and stores it.
func decideAll(w *world, commands []Command) []error {
	b := NewBatch(w.at, w.states)
	errs := make([]error, len(commands))
	for i, c := range commands {
		_, errs[i] = b.Decide(fmt.Sprintf("half-%d", i), c)
	}
	w.store(b)
	return errs
}

// sameStates compares two worlds, but for the versions of shows: gathering decides how many events those have.
func sameStates(t *rapid.T, a, b States) {
	for id := range a.Shows {
		x, y := *a.Shows[id], *b.Shows[id]
		x.Version, y.Version = 0, 0
		if snapshot(t, &x) != snapshot(t, &y) {
			t.Fatalf("show %d\n%s\n%s", id, snapshot(t, &x), snapshot(t, &y))
		}
	}
	for id := range a.Orders {
		if asJSON(t, a.Orders[id]) != asJSON(t, b.Orders[id]) {
			t.Fatalf("order %s\n%s\n%s", id, asJSON(t, a.Orders[id]), asJSON(t, b.Orders[id]))
		}
	}
	for id := range a.Payments {
		if asJSON(t, a.Payments[id]) != asJSON(t, b.Payments[id]) {
			t.Fatalf("payment %s\n%s\n%s", id, asJSON(t, a.Payments[id]), asJSON(t, b.Payments[id]))
		}
	}
}
