package domain

import (
	"strings"
	"testing"
	"time"
)

const (
	released = "HoldsReleased PaymentExpired OrderCanceled"
	expired  = "HoldsExpired PaymentExpired OrderCanceled"
)

func TestCancelingAnOrder(t *testing.T) {
	t.Parallel()
	live := []any{concert(), place(2, "ann")}
	done := and(live, paid(order1, "r1"))
	byOperator := CancelOrder{OrderID: order1, ByOperator: true, Note: "asked by phone"}
	runRules(t, []ruleCase{
		{
			name: "gives the tickets back", given: live, when: CancelOrder{OrderID: order1}, then: released,
			check: func(t *testing.T, w *world) {
				e := lastOf[OrderCanceled](w)
				wantEqual(t, e.Reason, ReasonCustomer)
				wantEqual(t, e.Payment.Status, Expired)
				_, total, _ := w.states.Shows[show1].TicketType(1)
				wantEqual(t, total.Available(), 4)
			},
		},
		{
			name: "by an operator keeps what was noted", given: live, when: byOperator, then: released,
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Orders[order1].Reason, ReasonOperator)
				wantEqual(t, w.states.Orders[order1].Note, "asked by phone")
			},
		},
		{name: "twice changes nothing", given: and(live, CancelOrder{OrderID: order1}), when: CancelOrder{OrderID: order1}},
		{name: "that is paid is not for its customer", given: done, when: CancelOrder{OrderID: order1}, code: NotCancelable},
		{
			name: "that is paid sends the money back", given: done, when: byOperator,
			then: "TicketsReturned OrderCanceled RefundRequested OrderRefunded",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[RefundRequested](w).Reason, OrderCancel)
				wantEqual(t, lastOf[RefundRequested](w).Reference, "r1")
				wantEqual(t, lastOf[OrderRefunded](w).Status, Canceled)
				wantEqual(t, len(w.states.Orders[order1].Tickets), 0)
				wantEqual(t, w.states.Shows[show1].Taken("ann", 1), 0)
			},
		},
		{
			name: "that is paid returns the tickets at the order's price", given: and(done, newPrice(1)), when: byOperator,
			then: "TicketsReturned OrderCanceled RefundRequested OrderRefunded",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[TicketsReturned](w).Members[0].Lines[0], HeldLine{1, 2, 150_000})
			},
		},
		{name: "that nobody knows finds nothing", given: live, when: CancelOrder{OrderID: order2}, code: NotFound},
		{
			name: "takes no novel for a reason", given: live, code: Invalid, field: "/reason",
			when: CancelOrder{OrderID: order1, ByOperator: true, Note: strings.Repeat("x", MaxReason+1)},
		},
	})
}

func TestAFailedPayment(t *testing.T) {
	t.Parallel()
	byCode := []any{concert(), place(1, "ann")}
	card := []any{concert(), byCard(place(1, "ann"))}
	runRules(t, []ruleCase{
		{
			name: "by QRIS ends the order", given: byCode, when: failed(pay1), then: "HoldsReleased PaymentFailed OrderCanceled",
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Orders[order1].Reason, ReasonPaymentFailed)
				wantEqual(t, lastOf[OrderCanceled](w).Payment.Status, Failed)
			},
		},
		{
			name: "by card leaves the hold", given: card, when: failed(order1), then: "PaymentFailed OrderPaymentChanged",
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Orders[order1].Status, Pending)
				wantEqual(t, w.states.Orders[order1].Newest().Status, Failed)
			},
		},
		{name: "by card lets the hold expire in the end", given: and(card, failed(pay1), 2*ttl), when: EndDue{show1}, then: "HoldsExpired OrderCanceled"},
		{name: "fails once", given: and(card, failed(pay1)), when: failed(pay1)},
		{name: "that was voided for another changes nothing", given: and(card, RequestPayment{order1, QRIS}), when: failed(pay1)},
		{name: "does not undo money", given: and(byCode, paid(pay1, "r1")), when: failed(pay1)},
	})
}

func TestAskingForAnotherPayment(t *testing.T) {
	t.Parallel()
	card := []any{concert(), byCard(place(1, "ann"))}
	again := RequestPayment{order1, Card}
	tenth := card[:2:2]
	for range MaxPaymentAttempts - 1 {
		tenth = append(tenth, again)
	}
	runRules(t, []ruleCase{
		{
			name: "voids the open one", given: card, when: again, then: "PaymentExpired PaymentRequested OrderPaymentChanged",
			check: func(t *testing.T, w *world) {
				o := w.states.Orders[order1]
				wantEqual(t, o.Payments[0].Status, Expired)
				wantEqual(t, o.Newest().PaymentID, pay2)
				wantEqual(t, w.states.Payments[pay2].Attempt, 2)
				wantEqual(t, w.states.Payments[pay2].Amount, o.Total)
				wantEqual(t, w.states.Payments[pay2].ExpiresAt, begin.Add(9*time.Minute))
			},
		},
		{name: "after a failed one", given: and(card, failed(pay1)), when: again, then: "PaymentRequested OrderPaymentChanged"},
		{name: "is possible until the payment would have expired", given: and(card, 9*time.Minute-1), when: again, then: "PaymentExpired PaymentRequested OrderPaymentChanged"},
		{name: "is too late when the payment would be expired", given: and(card, 9*time.Minute), when: again, code: HoldEnded},
		{name: "of an ended order is refused", given: and(card, CancelOrder{OrderID: order1}), when: again, code: HoldEnded},
		{name: "of a paid order is refused", given: and(card, paid(pay1, "")), when: again, code: HoldEnded},
		{name: "by a method that the show does not take is invalid", given: card, when: RequestPayment{order1, "CASH"}, code: Invalid, field: "/method"},
		{name: "has an end", given: tenth, when: again, code: LimitReached},
		{name: "of an unknown order finds nothing", when: again, code: NotFound},
		{name: "when the show is canceled is refused", given: and(card, CancelShow{ShowID: show1}), when: again, then: released, code: HoldEnded},
	})
}

func TestAnInstruction(t *testing.T) {
	t.Parallel()
	card := []any{concert(), byCard(place(1, "ann"))}
	confirmed := "PaymentInstructed OrderConfirmed"
	runRules(t, []ruleCase{
		{
			name: "confirms the order", given: card, when: instructed(pay1), then: confirmed,
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Orders[order1].Status, Confirmed)
				wantEqual(t, w.states.Orders[order1].Newest().QR, "0002")
			},
		},
		{
			name: "of a later payment confirms it again", then: confirmed,
			given: and(card, instructed(pay1), RequestPayment{order1, Card}), when: instructed(pay2),
			check: func(t *testing.T, w *world) { wantEqual(t, lastOf[OrderConfirmed](w).Previous, Confirmed) },
		},
		{name: "counts once", given: and(card, instructed(pay1)), when: instructed(pay1)},
		{name: "of a voided payment changes nothing", given: and(card, RequestPayment{order1, Card}), when: instructed(pay1)},
		{name: "of an ended order changes nothing", given: and(card, CancelOrder{OrderID: order1}), when: instructed(pay1)},
		{name: "of an unknown payment changes nothing", when: instructed(pay1)},
		{name: "must name the payment", given: card, when: instructed(order1)},
		{
			name: "without an expiry keeps the payment's", given: card, when: RecordInstruction{PaymentID: pay1}, then: confirmed,
			check: func(t *testing.T, w *world) {
				wantEqual(t, w.states.Payments[pay1].ExpiresAt, begin.Add(9*time.Minute))
			},
		},
	})
}

func TestHoldsThatAreDue(t *testing.T) {
	t.Parallel()
	two := []any{concert(), []Command{place(1, "ann"), placeOf(2, 1, "bob")}}
	runRules(t, []ruleCase{
		{name: "are not due in the grace", given: and(two, ttl+maxGrace-1), when: EndDue{show1}},
		{
			name: "end in one event of the show", given: and(two, ttl+maxGrace), when: EndDue{show1},
			then: "HoldsExpired PaymentExpired OrderCanceled PaymentExpired OrderCanceled",
			check: func(t *testing.T, w *world) {
				wantEqual(t, len(lastOf[HoldsExpired](w).Members), 2)
				wantEqual(t, w.states.Orders[order1].Reason, ReasonHoldExpired)
				wantEqual(t, w.states.Shows[show1].Due().IsZero(), true)
			},
		},
		{name: "end first thing in a batch of the show", given: and(two, 2*ttl), when: place(4, "cat"), then: "HoldsExpired PaymentExpired OrderCanceled PaymentExpired OrderCanceled " + held},
		{name: "end once", given: and(two, 2*ttl, EndDue{show1}), when: EndDue{show1}},
		{name: "of an unknown show are none", when: EndDue{show1}},
		{
			name: "of a canceled show are all", given: and(two, CancelShow{ShowID: show1}), when: EndDue{show1},
			then:  "HoldsReleased PaymentExpired OrderCanceled PaymentExpired OrderCanceled",
			check: func(t *testing.T, w *world) { wantEqual(t, w.states.Orders[order1].Reason, ReasonShowCanceled) },
		},
	})
}

func TestADueTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := place(1, "bob")
	short.TTL = 10 * time.Second
	w.run(concert(), place(1, "ann"), short)
	show := w.states.Shows[show1]
	wantEqual(t, show.Due(), begin.Add(12*time.Second))
	wantEqual(t, strings.Join(show.DueOrders(begin.Add(time.Hour), 9), " "), order2+" "+order1)
	wantEqual(t, strings.Join(show.DueOrders(begin.Add(time.Hour), 1), " "), order2)
	wantEqual(t, len(show.DueOrders(begin, 9)), 0)
	w.run(CancelOrder{OrderID: order2})
	wantEqual(t, show.Due(), begin.Add(11*time.Minute))
	w.run(CancelShow{ShowID: show1})
	wantEqual(t, show.Due().After(begin) || show.Due().IsZero(), false)
	wantEqual(t, len(show.DueOrders(begin, 9)), 1)
}

func TestARefund(t *testing.T) {
	t.Parallel()
	due := []any{concert(), place(1, "ann"), paid(pay1, "r1"), paid(pay1, "r2")}
	refund := RefundID(pay1, 1)
	ok := RecordRefund{PaymentID: pay1, RefundID: refund, GatewayID: "g1"}
	gaveUp := RecordRefund{PaymentID: pay1, RefundID: refund, Failed: true, Attempts: 8, Detail: "closed account"}
	runRules(t, []ruleCase{
		{
			name: "that was sent is done", given: due, when: ok, then: "RefundCompleted OrderRefunded",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[OrderRefunded](w).Refund, RefundDone)
				wantEqual(t, w.states.Orders[order1].Refunds[0].Status, RefundDone)
				wantEqual(t, w.states.Payments[pay1].Refunds[0].GatewayID, "g1")
			},
		},
		{
			name: "that was given up is an open item", given: due, when: gaveUp, then: "RefundFailed OrderRefunded",
			check: func(t *testing.T, w *world) {
				wantEqual(t, lastOf[OrderRefunded](w).Refund, RefundLost)
				wantEqual(t, w.states.Payments[pay1].OpenItems[w.states.Payments[pay1].Version], "RefundFailed")
			},
		},
		{name: "is recorded once", given: and(due, ok), when: gaveUp},
		{name: "that nobody asked for changes nothing", given: due, when: RecordRefund{PaymentID: pay1, RefundID: "x"}},
		{name: "of an unknown payment changes nothing", when: ok},
	})
}
