package projections

import (
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
)

func TestEveryEventHasWords(t *testing.T) {
	t.Parallel()
	id := orderNumber(1)
	of := paymentStep(id)
	again, tooLate := payment(id, 2, domain.Requested), completed(id, 2)
	tooLate.Late = true
	byOperator := canceled(id, domain.Completed, domain.ReasonOperator)
	byOperator.Note = "asked by phone"
	vip := ticketType(2, 20)
	vip.SalesFrom, vip.SalesTo = noon, noon.Add(time.Hour)
	crowd := domain.Movement{ShowID: 1, Totals: totals(100, 8, 4)}
	for n := range 4 {
		crowd.Members = append(crowd.Members, domain.Member{OrderID: orderNumber(n), Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: 2}}})
	}
	one := domain.Movement{ShowID: 1, Members: crowd.Members[1:2], Totals: append(totals(100, 8, 4), domain.Totals{TicketTypeID: 2, Capacity: 20, Held: 1})}
	for _, c := range []struct {
		ev   domain.Event
		want string
	}{
		{placed(id, 2), "Order placed: 2 tickets for 300000 IDR, held until 12:15:00"},
		{confirmed(id), "Waiting for payment PAY-1 by QRIS, until 12:14:00"},
		{domain.OrderPaymentChanged{Payment: again}, "One more payment is asked for: PAY-20250205-00000001-2 by QRIS, attempt 2"},
		{domain.OrderPaymentChanged{Payment: payment(id, 1, domain.Failed)}, "Payment PAY-1 by QRIS failed; another one may be asked for, until 12:14:00"},
		{domain.OrderPaymentChanged{Payment: payment(id, 1, domain.Expired)}, "Payment PAY-1 by QRIS is expired"},
		{completed(id, 1), "Order completed: 1 ticket issued"},
		{tooLate, "Order completed after it had ended, because its money came late and its tickets were still there: 2 tickets issued"},
		{canceled(id, domain.Confirmed, domain.ReasonHoldExpired), "Order canceled: its hold had expired unpaid; ended at 13:00:00"},
		{canceled(id, domain.Confirmed, domain.ReasonPaymentFailed), "Order canceled: the payment by QRIS failed and can't be tried again"},
		{canceled(id, domain.Confirmed, domain.ReasonCustomer), "Order canceled: by the customer"},
		{canceled(id, domain.Completed, domain.ReasonShowCanceled), "Order canceled: the show was canceled"},
		{canceled(id, domain.Completed, "WEATHER"), "Order canceled: WEATHER"},
		{byOperator, "Order canceled: by an operator: asked by phone"},
		{refunded(id, 1, domain.RefundDue, 7), "Refund of 7 IDR is on its way: the order was canceled"},
		{refunded(id, 1, domain.RefundLost, 7), "Refund of 7 IDR is given up, an operator looks at it: the order was canceled"},

		{domain.PaymentRequested{PaymentStep: of, Attempt: 1, Method: domain.Card, Amount: rupiah(7), ExpiresAt: noon}, "7 IDR asked for by CARD, attempt 1, until 12:00:00"},
		{domain.PaymentInstructed{PaymentStep: of, ExpiresAt: noon}, "The gateway said how to pay, until 12:00:00"},
		{domain.PaymentSettled{PaymentStep: of, Amount: domain.Money{Amount: 1250, Currency: "EUR"}, Reference: "m"}, "12.50 EUR received, reference m"},
		{domain.PaymentFailed{PaymentStep: of, GatewayStatus: "DENY", Detail: "no funds"}, "The gateway will take no money for this payment, status DENY (no funds)"},
		{domain.PaymentExpired{PaymentStep: of}, "This payment is not needed any more and is voided at the gateway"},
		{
			domain.PaymentMismatched{PaymentStep: of, Mismatch: domain.WrongAmount, Expected: rupiah(9), Received: rupiah(7), ReceivedAt: noon},
			"7 IDR received at 12:00:00 where 9 IDR was asked for, kept for an operator",
		},
		{
			domain.PaymentMismatched{PaymentStep: of, Mismatch: domain.UnclearReference, Received: rupiah(7), Reference: "m", ReceivedAt: noon},
			`7 IDR reported at 12:00:00 with the reference "m" may be what had come without one, or more, kept for an operator`,
		},
		{domain.RefundRequested{PaymentStep: of, Reason: domain.DuplicateMoney, Amount: rupiah(7), Reference: "m"}, "Refund of 7 IDR asked for: the order had been paid already, reference m"},
		{domain.RefundCompleted{PaymentStep: of, Amount: rupiah(7)}, "7 IDR sent back"},
		{domain.RefundFailed{PaymentStep: of, Amount: rupiah(7), Attempts: 16, Detail: "closed"}, "Refund of 7 IDR was given up after 16 tries, an operator has to look: closed"},
		{
			domain.PaymentUnmatched{Gateway: "simulator", PaymentID: "X", GatewayStatus: "PAID", Amount: rupiah(7)},
			`7 IDR reported as PAID by simulator for "X", which nobody knows here: kept for an operator`,
		},
		{domain.OpenItemResolved{Item: "inbox-202502:1", Reason: "spam"}, "An operator resolved inbox-202502:1: spam"},
		{domain.StreamDiscarded{Projection: "p", Stream: "s", Version: 3, Reason: "broken"}, "An operator gave up s for p from version 3 on: broken"},

		{domain.ShowCreated{ShowID: 1, Name: "Gala", Venue: "Hall", StartsAt: noon, Currency: "IDR", TicketTypes: []domain.TicketType{ticketType(1, 9), vip}}, `Show 1 is "Gala" at Hall, begins 12:00:00: 1 "Standard" at 150000 IDR, capacity 9; 2 "Standard" at 150000 IDR, capacity 20, sold from 12:00:00, sold to 13:00:00`},
		{domain.ShowChanged{ShowID: 1, Name: "Gala", StartsAt: noon}, `Show 1 is "Gala" now, begins 12:00:00`},
		{domain.TicketTypeAdded{TicketType: ticketType(1, 9)}, `Ticket type added: 1 "Standard" at 150000, capacity 9`},
		{domain.TicketTypeChanged{TicketType: ticketType(1, 9), Totals: totals(9, 1, 2)}, `Ticket type changed: 1 "Standard" at 150000, capacity 9, of which 1 held and 2 sold`},
		{domain.SalesPaused{}, "Sales paused"},
		{domain.SalesResumed{}, "Sales go on"},
		{domain.ShowCanceled{Reason: "storm"}, "Show canceled: storm"},
		{domain.TicketsHeld{Movement: crowd}, "8 tickets held for 4 orders; then 8 held, 4 sold of 100"},
		{domain.TicketsSold{Movement: one}, "2 tickets sold for " + id + "; then 9 held, 4 sold of 120"},
		{domain.HoldsReleased{Movement: one}, "2 tickets no longer held for " + id + "; then 9 held, 4 sold of 120"},
		{domain.HoldsExpired{Movement: one}, "2 tickets no longer held, because nobody paid in time, for " + id + "; then 9 held, 4 sold of 120"},
		{domain.HoldReacquired{Movement: one}, "2 tickets held again, because the money came late, for " + id + "; then 9 held, 4 sold of 120"},
		{domain.TicketsReturned{Movement: one}, "2 tickets given back for " + id + "; then 9 held, 4 sold of 120"},
	} {
		short := strings.NewReplacer(noon.Format("2006-01-02 "), "", " UTC", "", domain.PaymentID(id, 1), "PAY-1")
		if got := short.Replace(Describe(stored(t, "s", 1, c.ev))); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.ev.EventType(), got, c.want)
		}
	}
	unread := stored(t, "s", 1, placed(id, 1))
	unread.Type = "OrderDanced"
	if got := Describe(unread); got != "OrderDanced" {
		t.Errorf("of what nobody knows it says %s", got)
	}
}
