package domain

import "testing"

const sold = "TicketsSold PaymentSettled OrderCompleted"

func TestMoneyForALiveOrder(t *testing.T) {
	t.Parallel()
	live := []any{concert(), byCard(place(2, "ann")), instructed(pay1)}
	runRules(t, []ruleCase{
		{
			name: "sells the tickets", given: live, when: paid(pay1, "r1"), then: sold,
			check: func(t *testing.T, w *world) {
				done := lastOf[OrderCompleted](w)
				wantEqual(t, done.Previous, Confirmed)
				wantEqual(t, done.Late, false)
				wantEqual(t, len(done.Tickets), 2)
				wantEqual(t, done.Tickets[1], Ticket{"TICKET-20250205-00000001-2", 1})
				wantEqual(t, done.Payment.Status, Settled)
				_, total, _ := w.states.Shows[show1].TicketType(1)
				wantEqual(t, total, Totals{1, 4, 0, 2})
				wantEqual(t, w.states.Shows[show1].Due().IsZero(), true)
			},
		},
		{
			name: "tells what was paid for them, whatever they cost now", then: sold,
			given: and(live, newPrice(1)), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[TicketsSold](w).Members[0].Lines[0], HeldLine{1, 2, 150_000})
				wantEqual(t, lastOf[TicketsHeld](w).Members[0].Lines[0], HeldLine{TicketTypeID: 1, Quantity: 2})
			},
		},
		{
			name: "tells what was paid for each type of them", then: sold, when: paid(order1, "r1"),
			given: []any{concert(), ofBoth(1, 2), newPrice(1)},
			check: func(t *testing.T, w *world) {
				lines := lastOf[TicketsSold](w).Members[0].Lines
				wantEqual(t, len(lines), 2)
				wantEqual(t, lines[0], HeldLine{1, 1, 150_000})
				wantEqual(t, lines[1], HeldLine{2, 2, 300_000})
			},
		},
		{name: "may name the order", given: live, when: paid(order1, ""), then: sold},
		{name: "may come before the instruction", given: []any{concert(), place(2, "ann")}, when: paid(pay1, "r1"), then: sold},
		{name: "may tell the right amount", given: live, when: paidAmount(pay1, "r1", 300_000, "IDR"), then: sold},
		{name: "may write the currency as it likes", given: live, when: paidAmount(pay1, "r1", 300_000, "idr"), then: sold},
		{
			name: "wins in the grace after the expiry that the buyer was told", then: sold,
			given: and(live, ttl+maxGrace-1), when: paid(pay1, "r1"),
		},
		{
			name: "wins as long as no event has ended the hold", then: sold,
			given: and(live, 2*ttl), when: paid(pay1, "r1"),
		},
		{
			name: "ends the other payment that is still open", then: sold + " PaymentExpired",
			given: and(live, RequestPayment{order1, Card}), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[PaymentExpired](w).PaymentID, pay2)
				wantEqual(t, w.states.Orders[order1].PaidBy, pay1)
				wantEqual(t, w.states.Orders[order1].Payments[1].Status, Expired)
			},
		},
		{
			name: "counts though that payment had failed", then: sold,
			given: and(live, failed(pay1)), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[PaymentSettled](w).Previous, Failed) },
		},
		{
			name:  "of a canceled show goes back at once",
			given: and(live, CancelShow{ShowID: show1}), when: paid(pay1, "r1"),
			then: "HoldsReleased OrderCanceled PaymentSettled RefundRequested OrderRefunded",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[RefundRequested](w).Reason, ShowCancel)
				wantEqual(t, w.states.Orders[order1].Reason, ReasonShowCanceled)
			},
		},
	})
}

func TestMoneyForAnEndedOrder(t *testing.T) {
	t.Parallel()
	ended := []any{concert(), place(2, "ann"), 2 * ttl, EndDue{show1}}
	late := "HoldReacquired TicketsSold PaymentSettled OrderCompleted"
	refunded := "PaymentSettled RefundRequested OrderRefunded"
	runRules(t, []ruleCase{
		{
			name: "takes the tickets again", given: ended, when: paid(pay1, "r1"), then: late,
			check: func(t *testing.T, w *world) {
				done := lastOf[OrderCompleted](w)
				wantEqual(t, done.Late, true)
				wantEqual(t, done.Previous, Canceled)
				wantEqual(t, done.HoldID, "HOLD-20250205-00000001-2")
				wantEqual(t, w.states.Orders[order1].HoldNumber, 2)
				wantEqual(t, w.states.Orders[order1].Reason, "")
				wantEqual(t, lastOf[PaymentSettled](w).Previous, Expired)
			},
		},
		{
			name: "takes the tickets again at the order's price", then: late,
			given: and(ended, newPrice(1)), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[HoldReacquired](w).Members[0].Lines[0], HeldLine{TicketTypeID: 1, Quantity: 2})
				wantEqual(t, lastOf[TicketsSold](w).Members[0].Lines[0], HeldLine{1, 2, 150_000})
			},
		},
		{
			name: "takes the tickets again though sales are paused", then: late,
			given: and(ended, PauseSales{show1}), when: paid(pay1, "r1"),
		},
		{
			name: "takes the tickets again though the limit is reached", then: late,
			given: []any{concert(), placeOf(2, 1, "ann"), 2 * ttl, EndDue{show1}, placeOf(2, 2, "ann")}, when: paid(pay1, "r1"),
		},
		{
			name: "goes back when the tickets are gone", then: refunded,
			given: and(ended, place(3, "bob")), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) {
				back := lastOf[OrderRefunded](w)
				wantEqual(t, back.Reason, LateMoney)
				wantEqual(t, back.Refund, RefundDue)
				wantEqual(t, back.Status, Canceled)
				wantEqual(t, back.Amount, Money{300_000, "IDR"})
				wantEqual(t, back.RefundID, "REFUND-20250205-00000001-1-1")
				wantEqual(t, back.Reference, "r1")
				wantEqual(t, w.states.Orders[order1].Payments[0].Status, Settled)
			},
		},
		{
			name: "goes back when the show is canceled", then: refunded,
			given: and(ended, CancelShow{ShowID: show1}), when: paid(pay1, "r1"),
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[RefundRequested](w).Reason, ShowCancel) },
		},
		{
			name: "goes back when the order was completed before it ended", then: refunded,
			given: []any{concert(), place(1, "ann"), paid(pay1, "r1"), CancelOrder{OrderID: order1, ByOperator: true}},
			when:  paid(pay1, "r2"),
		},
		{name: "that was refunded is not counted again", given: and(ended, place(3, "bob"), paid(pay1, "r1")), when: paid(pay1, "r1")},
		{
			name: "takes the tickets after other money for it was refunded", then: late,
			given: and(ended, place(3, "bob"), paid(pay1, "r1"), CancelOrder{OrderID: order2}), when: paid(order1, "r2"),
		},
		{
			name: "is judged after the holds that are due have ended", then: expired + " " + late,
			given: and(ended, place(4, "bob"), 2*ttl), when: paid(pay1, "r1"),
		},
	})
}

func TestMoneyThatComesTwice(t *testing.T) {
	t.Parallel()
	paidOnce := []any{concert(), byCard(place(1, "ann")), paid(pay1, "r1")}
	unnamed := []any{concert(), byCard(place(1, "ann")), paid(pay1, "")}
	twoTries := []any{concert(), byCard(place(1, "ann")), RequestPayment{order1, Card}, paid(pay1, "r1")}
	again := "PaymentSettled RefundRequested OrderRefunded"
	runRules(t, []ruleCase{
		{name: "with the same reference is a repeat", given: paidOnce, when: paid(pay1, "r1")},
		{name: "with the same reference under the order's id is a repeat", given: paidOnce, when: paid(order1, "r1")},
		{name: "with the same reference under another payment is a repeat", given: twoTries, when: paid(pay2, "r1")},
		{name: "without a reference is a repeat", given: paidOnce, when: paid(pay1, "")},
		{name: "without a reference under the order's id is a repeat", given: unnamed, when: paid(order1, "")},
		{
			name: "with another reference goes back", given: paidOnce, when: paid(pay1, "r2"), then: again,
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[RefundRequested](w).Reason, DuplicateMoney)
				wantEqual(t, lastOf[RefundRequested](w).Reference, "r2")
				wantEqual(t, w.states.Orders[order1].Status, Completed)
			},
		},
		{
			name: "for another payment without a reference goes back", given: twoTries, when: paid(pay2, ""), then: again,
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[PaymentSettled](w).PaymentID, pay2) },
		},
		{
			name: "with a reference after money without one is an open item", given: unnamed, when: paid(pay1, "r1"), then: "PaymentMismatched",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[PaymentMismatched](w).Mismatch, UnclearReference)
				wantEqual(t, len(w.states.Payments[pay1].OpenItems), 1)
			},
		},
		{name: "with an unclear reference is one open item", given: and(unnamed, paid(pay1, "r1")), when: paid(pay1, "r1")},
		{
			name: "under the order's id is judged by the payment that bought the tickets", then: "PaymentMismatched",
			given: []any{
				concert(), byCard(place(1, "ann")), RequestPayment{order1, Card}, paid(pay2, ""), paid(pay1, "r1"),
			},
			when:  paid(order1, "r2"),
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[PaymentMismatched](w).PaymentID, pay2) },
		},
		{
			name: "gives each refund its own id", given: and(paidOnce, paid(pay1, "r2")), when: paid(pay1, "r3"), then: again,
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[RefundRequested](w).RefundID, "REFUND-20250205-00000001-1-2")
			},
		},
	})
}

func TestMoneyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	live := []any{concert(), place(1, "ann")}
	runRules(t, []ruleCase{
		{
			name: "by its amount is an open item and settles nothing", given: live, then: "PaymentMismatched",
			when: paidAmount(pay1, "r1", 149_999, "IDR"),
			check: func(t *testing.T, w *world) {
				e := lastOf[PaymentMismatched](w)
				wantEqual(t, e.Mismatch, WrongAmount)
				wantEqual(t, e.Expected, Money{150_000, "IDR"})
				wantEqual(t, e.Received, Money{149_999, "IDR"})
				wantEqual(t, e.Status, Requested)
				wantEqual(t, w.states.Orders[order1].Status, Pending)
			},
		},
		{
			name: "by its currency is an open item", given: live, then: "PaymentMismatched",
			when:  paidAmount(pay1, "r1", 150_000, "USD"),
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[PaymentMismatched](w).Mismatch, WrongCurrency) },
		},
		{name: "is one item for one reference", given: and(live, paidAmount(pay1, "r1", 1, "IDR")), when: paidAmount(pay1, "r1", 1, "IDR")},
		{name: "is one item for one amount without a reference", given: and(live, paidAmount(pay1, "", 1, "IDR")), when: paidAmount(pay1, "", 1, "IDR")},
		{
			name: "is another item for another amount", then: "PaymentMismatched",
			given: and(live, paidAmount(pay1, "", 1, "IDR")), when: paidAmount(pay1, "", 2, "IDR"),
		},
		{name: "does not stand in the way of the right money", given: and(live, paidAmount(pay1, "r1", 1, "IDR")), when: paid(pay1, "r2"), then: sold},
	})
}

func TestDeliveriesThatMatchNothing(t *testing.T) {
	t.Parallel()
	runRules(t, []ruleCase{
		{
			name: "are open items of the month", when: paidAmount("ORDER-20250205-0badcafe", "r1", 5, "IDR"), then: "PaymentUnmatched",
			check: func(t *testing.T, w *world) {
				e := lastOf[PaymentUnmatched](w)
				wantEqual(t, e.Amount, Money{5, "IDR"})
				wantEqual(t, e.ReceivedAt, begin)
				wantEqual(t, w.states.Inboxes[inbox1].Open(1), true)
			},
		},
		{name: "may have any id", when: paid("' OR 1=1", ""), then: "PaymentUnmatched"},
		{name: "may name a payment that was never asked for", given: []any{concert(), place(1, "ann")}, when: paid(pay2, ""), then: "PaymentUnmatched"},
		{name: "may tell of failures", when: failed(pay1), then: "PaymentUnmatched"},
		{name: "are one item when repeated", given: []any{paid(pay1, "r1")}, when: paid(pay1, "r1")},
		{name: "are another item with another reference", given: []any{paid(pay1, "r1")}, when: paid(pay1, "r2"), then: "PaymentUnmatched"},
		{name: "are another item with another status", given: []any{paid(pay1, "r1")}, when: failed(pay1), then: "PaymentUnmatched"},
	})
}

func TestADeliveryThatMatchesNothingIsOneItemInOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run([]Command{paid(pay1, "r1"), paid(pay1, "r1"), failed(pay1), paid(pay1, "r2")})
	wantEqual(t, w.since(0), "PaymentUnmatched PaymentUnmatched PaymentUnmatched")
}

func TestTheFirstReasonOfAnOpenItemCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(concert(), place(1, "ann"), paidAmount(pay1, "r1", 1, "IDR"), paid("x", ""))
	for _, item := range []ResolveOpenItem{{Stream: PaymentStream(pay1), Version: 2}, {Stream: inbox1, Version: 1}} {
		first, second := item, item
		first.Reason, second.Reason = "paid by hand", "again"
		wantEqual(t, w.run(first).result.Reason, "paid by hand")
		wantEqual(t, w.run(second).result.Reason, "paid by hand")
		together := w.batch(second, second)
		wantEqual(t, together[1].result.Reason, "paid by hand")
	}
}

func TestOpenItems(t *testing.T) {
	t.Parallel()
	mismatch := []any{concert(), place(1, "ann"), paidAmount(pay1, "r1", 1, "IDR")}
	resolve := func(stream string, version int64) ResolveOpenItem {
		return ResolveOpenItem{stream, version, "paid by hand"}
	}
	runRules(t, []ruleCase{
		{
			name: "of a payment are resolved in its stream", given: mismatch, when: resolve(PaymentStream(pay1), 2), then: "OpenItemResolved",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[OpenItemResolved](w).Item, PaymentStream(pay1)+":2")
				wantEqual(t, len(w.states.Payments[pay1].OpenItems), 0)
			},
		},
		{name: "of the inbox are resolved there", given: []any{paid("x", "")}, when: resolve(inbox1, 1), then: "OpenItemResolved"},
		{name: "of the inbox are resolved once", given: []any{paid("x", ""), resolve(inbox1, 1)}, when: resolve(inbox1, 1)},
		{name: "of a payment are resolved once", given: and(mismatch, resolve(PaymentStream(pay1), 2)), when: resolve(PaymentStream(pay1), 2)},
		{name: "are only what opened one", given: mismatch, when: resolve(PaymentStream(pay1), 1), code: NotFound},
		{name: "stay known after they were resolved", given: []any{paid("x", ""), resolve(inbox1, 1)}, when: paid("x", "")},
		{name: "are not every event", given: mismatch, when: resolve(PaymentStream(pay1), 1), code: NotFound},
		{name: "are not in any stream", given: mismatch, when: resolve("elsewhere", 1), code: NotFound},
		{name: "need a reason", given: mismatch, when: ResolveOpenItem{PaymentStream(pay1), 2, " "}, code: Invalid, field: "/reason"},
	})
}
