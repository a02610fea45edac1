package projections

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"boxoffice/domain"
)

func TestWhyAnOrderIsWhereItIs(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	id := orderNumber(1)
	qris, card := place1(1, 2, domain.QRIS), place1(1, 2, domain.Card)
	retry := domain.RequestPayment{OrderID: id, Method: domain.Card}
	byOperator := domain.CancelOrder{OrderID: id, ByOperator: true, Note: "asked by phone"}
	closing := domain.CancelShow{ShowID: 1, Reason: "storm"}
	short := strings.NewReplacer(noon.Format("2006-01-02 "), "", " UTC", "", domain.PaymentID(id, 1), "PAY-1")
	for _, c := range []struct {
		name string
		when []any
		want string
	}{
		{
			"it was just placed",
			[]any{qris},
			"pending: the gateway is asked how to pay 300000 IDR by QRIS, 2 tickets held until 12:15:00",
		},
		{
			"it was told how to pay",
			[]any{qris, instruct(1)},
			"confirmed: waits for 300000 IDR by QRIS until 12:14:00, 2 tickets held until 12:15:00",
		},
		{
			"the gateway refused the first charge",
			[]any{card, fail(1)},
			"pending: 2 tickets held until 12:15:00; " +
				"the payment by CARD failed at 12:00:00 (no funds); " +
				"it may be tried again until 12:14:00",
		},
		{
			"a card failed",
			[]any{card, instruct(1), minute, fail(1)},
			"confirmed: 2 tickets held until 12:15:00; " +
				"the payment by CARD failed at 12:01:00 (no funds); " +
				"it may be tried again until 12:14:00",
		},
		{
			"a second attempt is asked for",
			[]any{card, instruct(1), minute, fail(1), minute, retry},
			"confirmed: the gateway is asked how to pay 300000 IDR by CARD, 2 tickets held until 12:15:00; " +
				"the payment by CARD failed at 12:01:00 (no funds)",
		},
		{
			"a second attempt waits",
			[]any{card, instruct(1), minute, fail(1), minute, retry, instruct(2)},
			"confirmed: waits for 300000 IDR by CARD until 12:14:00, 2 tickets held until 12:15:00; " +
				"the payment by CARD failed at 12:01:00 (no funds)",
		},
		{
			"two attempts failed",
			[]any{card, instruct(1), fail(1), minute, retry, instruct(2), minute, fail(2)},
			"confirmed: 2 tickets held until 12:15:00; " +
				"2 attempts to pay failed, the last by CARD at 12:02:00 (no funds); " +
				"it may be tried again until 12:14:00",
		},
		{
			"money of another amount came",
			[]any{qris, instruct(1), minute, settleWith(100_000, "m")},
			"confirmed: waits for 300000 IDR by QRIS until 12:14:00, 2 tickets held until 12:15:00; " +
				"100000 IDR received at 12:01:00 where 300000 IDR was asked for, kept for an operator as payment-PAY-1:3",
		},
		{
			"it was paid",
			[]any{qris, instruct(1), minute, settle(1, "m")},
			"completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued",
		},
		{
			"it was paid before it was told how",
			[]any{qris, minute, settle(1, "")},
			"completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued",
		},
		{
			"the second attempt was paid",
			[]any{card, instruct(1), fail(1), minute, retry, instruct(2), minute, settle(2, "m")},
			"completed: 300000 IDR received at 12:02:00 by CARD, 2 tickets issued",
		},
		{
			"an older attempt was paid",
			[]any{card, instruct(1), minute, retry, instruct(2), minute, settle(1, "m")},
			"completed: 300000 IDR received at 12:02:00 by CARD, 2 tickets issued",
		},
		{
			"it was paid in the grace after its hold",
			[]any{qris, instruct(1), 15*minute + 30*time.Second, settle(1, "m")},
			"completed: 300000 IDR received at 12:15:30 by QRIS, 2 tickets issued",
		},
		{
			"it was paid twice",
			[]any{qris, instruct(1), minute, settle(1, "m"), minute, settle(1, "n")},
			"completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued; " +
				"300000 IDR more, received at 12:02:00, on its way back",
		},
		{
			"it was paid twice, once sent back",
			[]any{qris, instruct(1), minute, settle(1, "m"), minute, settle(1, "n"), minute, giveBack(1, false)},
			"completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued; " +
				"300000 IDR more, received at 12:02:00, sent back at 12:03:00",
		},
		{
			"it may have been paid twice",
			[]any{qris, instruct(1), minute, settle(1, ""), minute, settle(1, "n")},
			`completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued; ` +
				`300000 IDR reported at 12:02:00 with the reference "n" may be what had come without one, or more, kept for an operator as payment-PAY-1:4`,
		},
		{"it may have been paid twice, and somebody looked", []any{
			qris, instruct(1), minute, settle(1, ""), minute, settle(1, "n"),
			domain.ResolveOpenItem{Stream: domain.PaymentStream(domain.PaymentID(id, 1)), Version: 4, Reason: "the same"},
		}, `completed: 300000 IDR received at 12:01:00 by QRIS, 2 tickets issued; ` +
			`300000 IDR reported at 12:02:00 with the reference "n" may be what had come without one, or more, an operator resolved payment-PAY-1:4 (the same)`},
		{
			"nobody paid",
			[]any{qris, instruct(1), 20 * minute, domain.EndDue{ShowID: 1}},
			"canceled: the hold expired at 12:15:00, nobody had paid",
		},
		{
			"nobody paid, and the card had failed",
			[]any{card, instruct(1), minute, fail(1), 20 * minute, domain.EndDue{ShowID: 1}},
			"canceled: the hold expired at 12:15:00, nobody had paid; " +
				"the payment by CARD failed at 12:01:00 (no funds)",
		},
		{
			"only money that does not fit came",
			[]any{qris, instruct(1), minute, settleWith(1, "m"), 20 * minute, domain.EndDue{ShowID: 1}},
			"canceled: the hold expired at 12:15:00, no money had come that fits; " +
				"1 IDR received at 12:01:00 where 300000 IDR was asked for, kept for an operator as payment-PAY-1:3",
		},
		{
			"a code failed",
			[]any{qris, instruct(1), minute, fail(1)},
			"canceled: the payment by QRIS failed at 12:01:00 (no funds)",
		},
		{
			"its customer canceled it",
			[]any{qris, instruct(1), minute, domain.CancelOrder{OrderID: id}},
			"canceled: by the customer at 12:01:00, nobody had paid",
		},
		{
			"an operator canceled it",
			[]any{qris, minute, byOperator},
			"canceled: by an operator at 12:01:00 (asked by phone), nobody had paid",
		},
		{
			"an operator canceled it, paid",
			[]any{qris, instruct(1), minute, settle(1, "m"), minute, byOperator},
			"canceled: by an operator at 12:02:00 (asked by phone); " +
				"300000 IDR, received at 12:01:00, on its way back",
		},
		{
			"an operator canceled it, paid and sent back",
			[]any{qris, instruct(1), minute, settle(1, "m"), minute, byOperator, minute, giveBack(1, false)},
			"canceled: by an operator at 12:02:00 (asked by phone); " +
				"300000 IDR, received at 12:01:00, sent back at 12:03:00",
		},
		{
			"its refund was given up",
			[]any{qris, instruct(1), minute, settle(1, "m"), minute, byOperator, minute, giveBack(1, true)},
			"canceled: by an operator at 12:02:00 (asked by phone); " +
				"300000 IDR, received at 12:01:00, could not be sent back: given up at 12:03:00 after 16 tries (closed account), kept for an operator as payment-PAY-1:5",
		},
		{"its refund was given up, and somebody looked", []any{
			qris, instruct(1), minute, settle(1, "m"), minute, byOperator, minute, giveBack(1, true),
			domain.ResolveOpenItem{Stream: domain.PaymentStream(domain.PaymentID(id, 1)), Version: 5, Reason: "paid in cash"},
		}, "canceled: by an operator at 12:02:00 (asked by phone); " +
			"300000 IDR, received at 12:01:00, could not be sent back: given up at 12:03:00 after 16 tries (closed account), an operator resolved payment-PAY-1:5 (paid in cash)"},
		{
			"money came after an operator had canceled it",
			[]any{qris, instruct(1), minute, settle(1, "m"), byOperator, minute, settle(1, "n")},
			"canceled: by an operator at 12:01:00 (asked by phone); " +
				"300000 IDR, received at 12:01:00, on its way back; " +
				"300000 IDR, received at 12:02:00 after the order had ended, on its way back",
		},
		{
			"money came late, and the tickets were there",
			[]any{qris, instruct(1), 20 * minute, domain.EndDue{ShowID: 1}, minute, settle(1, "m")},
			"completed: 300000 IDR received at 12:21:00 by QRIS, 2 tickets issued; " +
				"the money came after the order had been canceled: the hold expired at 12:15:00, nobody had paid; " +
				"its tickets were still there",
		},
		{
			"money came late and by itself",
			[]any{qris, instruct(1), 20 * minute, settle(1, "m")},
			"completed: 300000 IDR received at 12:20:00 by QRIS, 2 tickets issued",
		},
		{
			"money came after the code had failed",
			[]any{qris, instruct(1), minute, fail(1), minute, settle(1, "m")},
			"completed: 300000 IDR received at 12:02:00 by QRIS, 2 tickets issued; " +
				"the money came after the order had been canceled: the payment by QRIS failed at 12:01:00 (no funds); " +
				"its tickets were still there",
		},
		{
			"money came late, then an operator canceled it",
			[]any{qris, 20 * minute, domain.EndDue{ShowID: 1}, settle(1, "m"), minute, byOperator},
			"canceled: by an operator at 12:21:00 (asked by phone); " +
				"300000 IDR, received at 12:20:00, on its way back",
		},
		{
			"money came late, and the tickets were gone",
			[]any{qris, 20 * minute, place1(2, 4, domain.QRIS), minute, settle(1, "m"), minute, giveBack(1, false)},
			"canceled: the hold expired at 12:15:00, nobody had paid; " +
				"300000 IDR, received at 12:21:00 after the order had ended and its tickets were gone, sent back at 12:22:00",
		},
		{
			"late money twice",
			[]any{qris, 20 * minute, place1(2, 4, domain.QRIS), minute, settle(1, "m"), settle(1, "n"), minute, giveBack(2, false)},
			"canceled: the hold expired at 12:15:00, nobody had paid; " +
				"300000 IDR, received at 12:21:00 after the order had ended and its tickets were gone, on its way back; " +
				"300000 IDR, received at 12:21:00 after the order had ended and its tickets were gone, sent back at 12:22:00",
		},
		{
			"its show was canceled",
			[]any{qris, instruct(1), minute, closing, domain.EndDue{ShowID: 1}},
			"canceled: the show was canceled, the order ended with it at 12:01:00, nobody had paid",
		},
		{
			"money came for a canceled show",
			[]any{qris, instruct(1), minute, closing, domain.EndDue{ShowID: 1}, minute, settle(1, "m")},
			"canceled: the show was canceled, the order ended with it at 12:01:00, nobody had paid; " +
				"300000 IDR, received at 12:02:00 after the show was canceled, on its way back",
		},
		{
			"money came between the show's end and its own",
			[]any{qris, instruct(1), minute, closing, settle(1, "m")},
			"canceled: the show was canceled, the order ended with it at 12:01:00; " +
				"300000 IDR, received at 12:01:00 after the show was canceled, on its way back",
		},
		{
			"money for an older attempt came between the show's end and its own",
			[]any{card, instruct(1), minute, retry, instruct(2), minute, closing, settle(1, "m")},
			"canceled: the show was canceled, the order ended with it at 12:02:00; " +
				"300000 IDR, received at 12:02:00 after the show was canceled, on its way back",
		},
		{"its show was canceled, paid", []any{
			qris, instruct(1), minute, settle(1, "m"), minute, closing, minute, domain.ReturnTickets{ShowID: 1, OrderIDs: []string{id}}, minute, giveBack(1, false),
		}, "canceled: the show was canceled, the order ended with it at 12:03:00; " +
			"300000 IDR, received at 12:01:00, sent back at 12:04:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 4)
			s.run(c.when...)
			if got := short.Replace(why(s.of(id))); got != c.want {
				t.Errorf("it says\n%s, want\n%s", got, c.want)
			}
			checkWhy(t, s, id)
		})
	}
}

// checkWhy holds what was known of an order after each of its events against its row and its open items then.
func checkWhy(t interface {
	Helper()
	Errorf(format string, args ...any)
}, s *stage, id string,
) {
	t.Helper()
	events, states := s.of(id), domain.NewStates()
	for n, e := range events {
		text := why(events[:n+1])
		row, err := foldRow(OrderStatus(), id, ofStream(events[:n+1], domain.OrderStream(id)))
		if err != nil {
			t.Errorf("%v", err)
		}
		if !strings.HasPrefix(text, strings.ToLower(string(row.State.Status))+": ") || strings.Contains(text, "0001-01-01") {
			t.Errorf("after %s it is %s, but %q", e.ID(), row.State.Status, text)
		}
		ev, err := decode(e)
		if err != nil {
			t.Errorf("%v", err)
		}
		states.Evolve(e.Stream, e.Version, ev)
		for paymentID, p := range states.Payments {
			for version := range p.OpenItems {
				if item := fmt.Sprintf("kept for an operator as %s:%d", domain.PaymentStream(paymentID), version); !strings.Contains(text, item) {
					t.Errorf("after %s there is the open item %d, but %q", e.ID(), version, text)
				}
			}
			if due, told := countRefundsDue(p), strings.Count(text, "on its way back"); len(states.Payments) == 1 && due != told {
				t.Errorf("after %s %d refunds are due, but %q", e.ID(), due, text)
			}
		}
	}
}

func countRefundsDue(p *domain.Payment) (n int) {
	for _, r := range p.Refunds {
		if r.Status == domain.RefundDue {
			n++
		}
	}
	return n
}

func TestWhyHoldsHoweverAnOrderGoes(t *testing.T) {
	t.Parallel()
	id := orderNumber(1)
	rapid.Check(t, func(rt *rapid.T) {
		s := newStage(t, 4)
		s.run(place1(1, 2, rapid.SampledFrom([]domain.PaymentMethod{domain.QRIS, domain.Card}).Draw(rt, "method")))
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			attempt, ref := rapid.IntRange(1, 3).Draw(rt, "attempt"), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(rt, "reference")
			s.run(rapid.SampledFrom([]any{
				instruct(attempt), fail(attempt), settle(attempt, ref), settleWith(7, ref), giveBack(attempt, ref == ""), time.Minute, 20 * time.Minute,
				domain.RequestPayment{OrderID: id, Method: domain.Card},
				domain.CancelOrder{OrderID: id},
				place1(2+len(s.log), 4, domain.QRIS),
				domain.CancelOrder{OrderID: id, ByOperator: true, Note: ref},
				domain.EndDue{ShowID: 1},
				domain.CancelShow{ShowID: 1},
				domain.ReturnTickets{ShowID: 1, OrderIDs: []string{id}},
			}).Draw(rt, "step"))
		}
		checkWhy(rt, s, id)
	})
}

func TestWhyPassesOverWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newStage(t, 4)
	s.run(place1(1, 2, domain.QRIS), instruct(1), time.Minute)
	for i := range s.log {
		if s.log[i].Type == "PaymentInstructed" {
			s.log[i].Type = "PaymentDanced"
		}
	}
	s.run(settle(1, "a"), settle(1, "b"), giveBack(1, true))
	if got := why(s.of(orderNumber(1))); !strings.HasPrefix(got, "completed: ") || !strings.Contains(got, domain.PaymentID(orderNumber(1), 1)+":6") {
		t.Errorf("it says %q", got)
	}
	if got := why(nil); got != "" {
		t.Errorf("of nothing it says %q", got)
	}
}
