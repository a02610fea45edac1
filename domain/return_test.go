package domain

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const returned = "TicketsReturned OrderCanceled RefundRequested OrderRefunded"

func TestReturningTicketsOfACanceledShow(t *testing.T) {
	t.Parallel()
	sold := []any{concert(), place(2, "ann"), paid(order1, "r1")}
	canceled := and(sold, CancelShow{ShowID: show1})
	giveBack := ReturnTickets{show1, []string{order1}}
	runRules(t, []ruleCase{
		{
			name: "sends the money back", given: canceled, when: giveBack, then: returned,
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[OrderCanceled](w).Reason, ReasonShowCanceled)
				wantEqual(t, lastOf[RefundRequested](w).Reason, ShowCancel)
				wantEqual(t, lastOf[RefundRequested](w).Reference, "r1")
				wantEqual(t, len(w.states.Orders[order1].Tickets), 0)
				_, total, _ := w.states.Shows[show1].TicketType(1)
				wantEqual(t, total.Sold, 0)
				wantEqual(t, w.states.Shows[show1].Due().IsZero(), true)
			},
		},
		{
			name: "tells what was paid for them, whatever they cost now", then: returned,
			given: and(sold, newPrice(1), CancelShow{ShowID: show1}), when: giveBack,
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[TicketsReturned](w).Members[0].Lines[0], HeldLine{1, 2, 150_000})
			},
		},
		{name: "happens once", given: and(canceled, giveBack), when: giveBack},
		{name: "happens once in one command", given: canceled, when: ReturnTickets{show1, []string{order1, order1}}, then: returned},
		{name: "leaves a show alone that goes on", given: sold, when: giveBack},
		{name: "leaves orders of another show alone", given: canceled, when: ReturnTickets{show1 + 1, []string{order1}}},
		{name: "of an unknown order changes nothing", given: canceled, when: ReturnTickets{show1, []string{order2, ""}}},
		{name: "of an unknown show changes nothing", when: giveBack},
		{
			name: "comes before a second payment's money, which goes back too", given: and(canceled, giveBack), when: paid(pay1, "r2"),
			then: "PaymentSettled RefundRequested OrderRefunded",
		},
	})
	t.Run("happens once beside an operator's cancellation", func(t *testing.T) {
		t.Parallel()
		for _, both := range [][]Command{
			{giveBack, CancelOrder{OrderID: order1, ByOperator: true}}, {CancelOrder{OrderID: order1, ByOperator: true}, giveBack},
		} {
			w := newWorld(t)
			w.run(canceled...)
			n := len(w.log)
			out := w.batch(both...)
			wantEqual(t, w.since(n), returned)
			wantEqual(t, out[0].result.Changed && !out[1].result.Changed && out[1].err == nil, true)
			wantEqual(t, len(w.states.Orders[order1].Refunds), 1)
		}
	})
	t.Run("is for so many orders at a time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(canceled...)
		out := w.run(ReturnTickets{show1, make([]string, MaxCanceledPerBatch+1)})
		var r *Rejection
		if out.err == nil || errors.As(out.err, &r) {
			t.Errorf("got %v", out.err)
		}
	})
	t.Run("without their payments is a fault", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(canceled...)
		delete(w.states.Payments, pay1)
		if out := w.run(giveBack); out.err == nil || out.result.Changed {
			t.Errorf("got %+v", out)
		}
	})
}

func TestACanceledShowIsDueUntilNothingIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const orders = MaxCanceledPerBatch + 50
	w.run(stadium(2*orders), placements(orders))
	ids := slices.Sorted(maps.Keys(w.states.Orders))
	var money []Command
	for _, id := range ids[:orders-10] {
		money = append(money, paid(id, "r-"+id))
	}
	w.run(money)
	show := func() *Show { return w.states.Shows[show1] }
	w.run(CancelShow{ShowID: show1})
	wantEqual(t, show().Due(), dueAtOnce)
	w.run(EndDue{show1})
	wantEqual(t, show().Due(), dueAtOnce)
	w.run(ReturnTickets{show1, ids[:MaxCanceledPerBatch]})
	wantEqual(t, show().Due(), dueAtOnce)
	wantEqual(t, len(lastOf[TicketsReturned](w).Members), MaxCanceledPerBatch)
	data, err := show().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := RestoreShow(data)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, again.Due(), dueAtOnce)
	w.run(ReturnTickets{show1, ids[MaxCanceledPerBatch:]})
	wantEqual(t, show().Due().IsZero(), true)
}

// called calls all shows of a world off and takes the steps after it, in any order and with what else comes at
// the same time. In the end nothing is taken, and whoever had tickets got the money for them back once.
func called(t *rapid.T, w *world) {
	var bought []*Order
	for _, id := range slices.Sorted(maps.Keys(w.states.Orders)) {
		if o := w.states.Orders[id]; o.Status == Completed {
			as := *o
			bought = append(bought, &as)
		}
	}
	var calls []Command
	for _, showID := range slices.Sorted(maps.Keys(w.states.Shows)) {
		calls = append(calls, CancelShow{ShowID: showID})
	}
	w.batch(append(calls, rapid.SliceOfN(anyCommand(w), 0, 3).Draw(t, "at the same time")...)...)
	orders := slices.Sorted(maps.Keys(w.states.Orders))
	for len(orders) > 0 {
		step := rapid.IntRange(1, len(orders)).Draw(t, "step")
		var commands []Command
		for _, showID := range slices.Sorted(maps.Keys(w.states.Shows)) {
			commands = append(commands, EndDue{showID}, ReturnTickets{showID, orders[:step]})
		}
		for _, beside := range rapid.SliceOfN(anyCommand(w), 0, 3).Draw(t, "beside") {
			commands = slices.Insert(commands, rapid.IntRange(0, len(commands)).Draw(t, "place"), beside)
		}
		w.batch(commands...)
		orders = orders[step:]
	}
	for id, show := range w.states.Shows {
		for _, total := range show.Totals() {
			if show.Canceled && (total.Held != 0 || total.Sold != 0) {
				t.Fatalf("show %d is called off with %+v", id, total)
			}
		}
	}
	for _, before := range bought {
		now, n := w.states.Orders[before.OrderID], 0
		for _, refund := range now.Refunds {
			if refund.PaymentID == before.PaidBy && refund.Reference == before.PaidReference &&
				(refund.Reason == ShowCancel || refund.Reason == OrderCancel) {
				n++
			}
		}
		if now.Status != Canceled || n != 1 {
			t.Fatalf("%s is %s with %d refunds of what bought its tickets: %s", now.OrderID, now.Status, n, fmt.Sprintf("%+v", now.Refunds))
		}
	}
}
