package projections

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// Describe tells an event in one line of words; one that can't be read by its type alone. What people typed is in
// it as they typed it.
func Describe(e eventstore.Recorded) string {
	ev, err := decode(e)
	if err != nil {
		return e.Type
	}
	switch ev := ev.(type) {
	case domain.OrderPlaced:
		return fmt.Sprintf("Order placed: %s for %s, held until %s", tickets(ev.Lines), money(ev.Total), clock(ev.ExpiresAt))
	case domain.OrderConfirmed:
		return fmt.Sprintf("Waiting for payment %s by %s", ev.Payment.PaymentID, ev.Payment.Method) + until(ev.Payment.ExpiresAt)
	case domain.OrderPaymentChanged:
		return paymentChanged(ev.Payment)
	case domain.OrderCompleted:
		late := ""
		if ev.Late {
			late = " after it had ended, because its money came late and its tickets were still there"
		}
		return fmt.Sprintf("Order completed%s: %s issued", late, count(int64(len(ev.Tickets)), "ticket"))
	case domain.OrderCanceled:
		return "Order canceled: " + canceledBecause(ev)
	case domain.OrderRefunded:
		return fmt.Sprintf("Refund of %s is %s: %s", money(ev.Amount), refundIs(ev.Refund), refundBecause(ev.Reason))
	default:
		return describePayment(e.Type, ev)
	}
}

func describePayment(name string, ev domain.Event) string {
	switch ev := ev.(type) {
	case domain.PaymentRequested:
		return fmt.Sprintf("%s asked for by %s, attempt %d", money(ev.Amount), ev.Method, ev.Attempt) + until(ev.ExpiresAt)
	case domain.PaymentInstructed:
		return fmt.Sprintf("The gateway said how to pay, until %s", clock(ev.ExpiresAt))
	case domain.PaymentSettled:
		return fmt.Sprintf("%s received", money(ev.Amount)) + reference(ev.Reference)
	case domain.PaymentFailed:
		return "The gateway will take no money for this payment" + after(", status ", ev.GatewayStatus) + remark(ev.Detail)
	case domain.PaymentExpired:
		return "This payment is not needed any more and is voided at the gateway"
	case domain.PaymentMismatched:
		return misfit(ev) + ", kept for an operator"
	case domain.RefundRequested:
		return fmt.Sprintf("Refund of %s asked for: %s", money(ev.Amount), refundBecause(ev.Reason)) + reference(ev.Reference)
	case domain.RefundCompleted:
		return fmt.Sprintf("%s sent back", money(ev.Amount))
	case domain.RefundFailed:
		return fmt.Sprintf("Refund of %s was given up after %s, an operator has to look", money(ev.Amount), count(int64(ev.Attempts), "try")) +
			after(": ", ev.Detail)
	default:
		return describeInbox(name, ev)
	}
}

func describeInbox(name string, ev domain.Event) string {
	switch ev := ev.(type) {
	case domain.PaymentUnmatched:
		amount := "Money"
		if ev.Amount.Currency != "" {
			amount = money(ev.Amount)
		}
		return fmt.Sprintf("%s reported as %s by %s for %q, which nobody knows here: kept for an operator",
			amount, ev.GatewayStatus, ev.Gateway, ev.PaymentID)
	case domain.OpenItemResolved:
		return "An operator resolved " + ev.Item + after(": ", ev.Reason)
	case domain.StreamDiscarded:
		return "An operator gave up " + given(ev) + after(": ", ev.Reason)
	default:
		return describeShow(name, ev)
	}
}

// paymentChanged tells of a payment that changed while its order's status did not.
func paymentChanged(p domain.PaymentSummary) string {
	switch p.Status {
	case domain.Requested:
		return fmt.Sprintf("One more payment is asked for: %s by %s, attempt %d", p.PaymentID, p.Method, p.Attempt)
	case domain.Failed:
		return fmt.Sprintf("Payment %s by %s failed; another one may be asked for", p.PaymentID, p.Method) + until(p.ExpiresAt)
	default:
		return fmt.Sprintf("Payment %s by %s is %s", p.PaymentID, p.Method, strings.ToLower(string(p.Status)))
	}
}

func given(ev domain.StreamDiscarded) string {
	if ev.Letter != nil {
		return fmt.Sprintf("dead letter %d/%d of %s", ev.Letter.Partition, ev.Letter.Offset, ev.Letter.Topic)
	}
	return fmt.Sprintf("%s for %s from version %d on", ev.Stream, ev.Projection, ev.Version)
}

func canceledBecause(ev domain.OrderCanceled) string {
	switch ev.Reason {
	case domain.ReasonHoldExpired:
		return "its hold had expired unpaid; ended at " + clock(ev.CanceledAt)
	case domain.ReasonPaymentFailed:
		return fmt.Sprintf("the payment by %s failed and can't be tried again", ev.Payment.Method)
	case domain.ReasonCustomer:
		return "by the customer"
	case domain.ReasonOperator:
		return "by an operator" + after(": ", ev.Note)
	case domain.ReasonShowCanceled:
		return "the show was canceled"
	default:
		return string(ev.Reason)
	}
}

func refundBecause(reason domain.RefundReason) string {
	switch reason {
	case domain.LateMoney:
		return "the money came after the order had ended"
	case domain.DuplicateMoney:
		return "the order had been paid already"
	case domain.OrderCancel:
		return "the order was canceled"
	case domain.ShowCancel:
		return "the show was canceled"
	default:
		return string(reason)
	}
}

func refundIs(status domain.RefundStatus) string {
	switch status {
	case domain.RefundDue:
		return "on its way"
	case domain.RefundDone:
		return "done"
	default:
		return "given up, an operator looks at it"
	}
}

func tickets(lines []domain.Line) string {
	var n int64
	for _, line := range lines {
		n += line.Quantity
	}
	return count(n, "ticket")
}

// count is a number with its noun: 1 ticket, 2 tickets, 3 tries.
func count(n int64, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "y"); ok {
			noun = stem + "ies"
		} else {
			noun += "s"
		}
	}
	return strconv.FormatInt(n, 10) + " " + noun
}

// money is an amount as people write it: 150000 IDR, 12.50 EUR.
func money(m domain.Money) string {
	decimals, _ := domain.Exponent(m.Currency)
	digits := strconv.FormatInt(m.Amount, 10)
	if decimals > 0 && m.Amount >= 0 {
		digits = fmt.Sprintf("%0*d", decimals+1, m.Amount)
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	return digits + " " + m.Currency
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// until is by when, or nothing where no time was given.
func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + clock(t)
}

// misfit tells of money that does not fit.
func misfit(ev domain.PaymentMismatched) string {
	if ev.Mismatch == domain.UnclearReference {
		return fmt.Sprintf("%s reported at %s with the reference %q may be what had come without one, or more",
			money(ev.Received), clock(ev.ReceivedAt), ev.Reference)
	}
	return fmt.Sprintf("%s received at %s where %s was asked for", money(ev.Received), clock(ev.ReceivedAt), money(ev.Expected))
}

// remark is what somebody said about it, in brackets, or nothing.
func remark(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func reference(id string) string { return after(", reference ", id) }

// after is a text behind what leads to it, or nothing.
func after(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}
