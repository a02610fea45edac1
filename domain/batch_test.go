package domain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// stadium is a show with plenty of tickets of one type.
func stadium(capacity int64) CreateShow {
	c := concert()
	c.TicketTypes = []TicketType{{TicketTypeID: 1, Name: "Standing", Price: 150_000, Capacity: capacity, MaxPerOrder: 10}}
	return c
}

func placements(n int) []Command {
	commands := make([]Command, n)
	for i := range commands {
		commands[i] = place(1, fmt.Sprintf("customer-%d", i))
	}
	return commands
}

func TestWhatABatchWrites(t *testing.T) {
	t.Parallel()
	t.Run("gathers what moves tickets of a show", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(100))
		w.run([]Command{place(1, "ann"), place(2, "bob")})
		e := lastOf[TicketsHeld](w)
		wantEqual(t, len(e.Members), 2)
		wantEqual(t, e.Totals[0], Totals{1, 100, 3, 0})
		wantEqual(t, w.since(1), "TicketsHeld OrderPlaced PaymentRequested OrderPlaced PaymentRequested")
		wantEqual(t, w.log[1].CommandID, "")
		wantEqual(t, w.log[2].CommandID, e.Members[0].CommandID)
	})
	t.Run("writes the phases in their order, whatever the order of the commands", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(4), []Command{place(1, "ann"), place(1, "bob")}, place(1, "cat"), place(1, "dan"))
		w.run(CancelOrder{OrderID: OrderID(begin, 4)}, time.Minute)
		late := paid(OrderID(begin, 4), "late")
		n := len(w.log)
		w.run([]Command{place(1, "eve"), PauseSales{show1}, late, CancelOrder{OrderID: order2}, paid(order1, "r1")})
		want := sold + " HoldsReleased PaymentExpired OrderCanceled HoldReacquired " + sold + " SalesPaused"
		wantEqual(t, w.since(n), want)
	})
	t.Run("cuts an event at its greatest number of members", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(2000))
		w.run(placements(MaxMembers + 1))
		wantEqual(t, strings.Count(w.since(0), "TicketsHeld"), 2)
		wantEqual(t, len(lastOf[TicketsHeld](w).Members), 1)
		wantEqual(t, lastOf[TicketsHeld](w).Totals[0].Held, MaxMembers+1)
	})
	t.Run("cuts an event at its greatest size", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(2000))
		commands := placements(300)
		for i := range commands {
			commands[i] = place(1, strings.Repeat("\x01", 400)+fmt.Sprint(i))
		}
		w.run(commands)
		if n := strings.Count(w.since(0), "TicketsHeld"); n < 2 {
			t.Fatalf("%d events", n)
		}
	})
}

func TestABatch(t *testing.T) {
	t.Parallel()
	t.Run("lets a command on its own order wait", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(10))
		b := NewBatch(w.at, w.states)
		c := place(1, "ann")
		c.OrderID = order1
		if _, err := b.Decide("c1", c); err != nil {
			t.Fatal(err)
		}
		for _, c := range []Command{CancelOrder{OrderID: order1}, paid(pay1, ""), instructed(pay1), ResolveOpenItem{PaymentStream(pay1), 1, "x"}} {
			if _, err := b.Decide("c2", c); !errors.Is(err, ErrWait) {
				t.Errorf("%T: %v", c, err)
			}
		}
	})
	t.Run("shows its drafts and leaves the states alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(10), place(1, "ann"))
		before := snapshot(t, w.states.Shows[show1])
		b := NewBatch(w.at, w.states)
		if _, err := b.Decide("c", CancelOrder{OrderID: order1}); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, b.Order(order1).Status, Canceled)
		wantEqual(t, b.Payment(pay1).Status, Expired)
		wantEqual(t, b.Show(show1).Totals()[0].Held, 0)
		wantEqual(t, b.Show(show1).Due().IsZero(), true)
		wantEqual(t, w.states.Orders[order1].Status, Pending)
		wantEqual(t, snapshot(t, w.states.Shows[show1]), before)
	})
	t.Run("has no events without decisions", func(t *testing.T) {
		t.Parallel()
		wantEqual(t, len(NewBatch(begin, States{}).Events()), 0)
	})
}

func TestHoldsThatAreDueAreNotLeftBehind(t *testing.T) {
	t.Parallel()
	const orders = MaxDuePerBatch + 100
	sellOut := func(t *testing.T) *world {
		w := newWorld(t)
		w.run(stadium(orders))
		w.run(placements(orders))
		w.run(2 * ttl)
		return w
	}
	t.Run("so many end in one batch, the others in the next", func(t *testing.T) {
		t.Parallel()
		w := sellOut(t)
		w.run(EndDue{show1})
		wantEqual(t, len(lastOf[HoldsExpired](w).Members), MaxDuePerBatch)
		w.run(EndDue{show1})
		wantEqual(t, len(lastOf[HoldsExpired](w).Members), 100)
		wantEqual(t, w.states.Shows[show1].Due().IsZero(), true)
	})
	t.Run("nobody is told sold out meanwhile", func(t *testing.T) {
		t.Parallel()
		w := sellOut(t)
		commands := make([]Command, 60)
		for i := range commands {
			commands[i] = place(10, "ann")
		}
		outcomes := w.batch(commands...)
		for i, o := range outcomes {
			if o.err != nil && !errors.Is(o.err, ErrWait) || o.err != nil && i < MaxDuePerBatch/10 {
				t.Fatalf("placement %d: %v", i, o.err)
			}
		}
		if last := outcomes[len(outcomes)-1]; !errors.Is(last.err, ErrWait) {
			t.Fatalf("the last got %v", last.err)
		}
		if o := w.run(place(10, "bob")); o.err != nil {
			t.Fatal(o.err)
		}
	})
	t.Run("late money waits for them too", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		show := stadium(orders)
		show.TicketTypes[0].MaxPerOrder = orders
		w.run(show, place(MaxDuePerBatch+1, "late"), CancelOrder{OrderID: order1})
		w.run(placements(orders))
		if o := w.run(2*ttl, paid(order1, "r1")); !errors.Is(o.err, ErrWait) {
			t.Fatalf("got %+v", o)
		}
		w.run(paid(order1, "r1"))
		wantEqual(t, w.states.Orders[order1].Status, Completed)
	})
	t.Run("a hold whose order can't be found keeps nobody waiting", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(1), place(1, "ann"), 2*ttl)
		delete(w.states.Orders, order1)
		wantEqual(t, w.run(place(1, "bob")).rejected().Code, SoldOut)
	})
	t.Run("a canceled show ends so many holds a step", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(stadium(1000))
		w.run(placements(MaxCanceledPerBatch + 50))
		w.run(CancelShow{ShowID: show1}, EndDue{show1})
		wantEqual(t, len(lastOf[HoldsReleased](w).Members), MaxCanceledPerBatch)
		wantEqual(t, w.states.Shows[show1].Due().IsZero(), false)
		w.run(EndDue{show1})
		wantEqual(t, w.states.Shows[show1].Due().IsZero(), true)
	})
}

func TestWhatIsNotLoadedIsAFault(t *testing.T) {
	t.Parallel()
	for _, c := range []Command{
		paid(pay1, ""), failed(pay1), instructed(pay1), CancelOrder{OrderID: order1}, RequestPayment{order1, QRIS},
	} {
		for _, missing := range []string{"payment", "show"} {
			w := newWorld(t)
			w.run(concert(), place(1, "ann"))
			if missing == "payment" {
				delete(w.states.Payments, pay1)
			} else {
				delete(w.states.Shows, show1)
			}
			b := NewBatch(w.at, w.states)
			_, err := b.Decide("c", c)
			var r *Rejection
			if errors.As(err, &r) || errors.Is(err, ErrWait) {
				t.Errorf("%T without its %s: %v", c, missing, err)
			}
			if err != nil && len(b.Events()) > 0 {
				t.Errorf("%T without its %s left events", c, missing)
			}
		}
	}
}

func TestWhatIsNoCommandIsAFault(t *testing.T) {
	t.Parallel()
	b := NewBatch(begin, NewStates())
	for _, c := range []Command{nil, (*PlaceOrder)(nil), &PlaceOrder{}} {
		if _, err := b.Decide("c", c); err == nil {
			t.Errorf("%T was decided", c)
		}
	}
}
