package notifications

import (
	"strings"
	"time"
	"unicode"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

// cancelWords says why an order ended, after "because".
func cancelWords(reason domain.CancelReason) string {
	switch reason {
	case domain.ReasonHoldExpired:
		return "it was not paid in time"
	case domain.ReasonPaymentFailed:
		return "its payment failed"
	case domain.ReasonCustomer:
		return "you canceled it"
	case domain.ReasonOperator:
		return "the organiser canceled it"
	case domain.ReasonShowCanceled:
		return "the show was canceled"
	default:
		return "it could not be kept"
	}
}

// refundWords says what becomes of money that goes back.
func refundWords(r domain.OrderRefund) string {
	switch r.Status {
	case domain.RefundDone:
		return views.Price(r.Amount) + " went back the way you paid."
	case domain.RefundLost:
		return views.Price(r.Amount) + " is owed to you and could not be sent back by itself; our staff take care of it."
	default:
		return views.Price(r.Amount) + " goes back the way you paid; we write again when it is done."
	}
}

// refundReasonWords says why money went back, after "because".
func refundReasonWords(reason domain.RefundReason) string {
	switch reason {
	case domain.LateMoney:
		return "it came after the order had ended and its tickets were gone"
	case domain.DuplicateMoney:
		return "the order was paid already"
	case domain.OrderCancel:
		return "the order was canceled"
	case domain.ShowCancel:
		return "the show was canceled"
	default:
		return ""
	}
}

func methodName(method domain.PaymentMethod) string {
	if method == domain.Card {
		return "card"
	}
	return string(method)
}

// zone is a show's time zone, or UTC where the machine does not know it.
func zone(name string) *time.Location {
	if at, err := time.LoadLocation(name); err == nil {
		return at
	}
	return time.UTC
}

// clock writes a time as the venue's clock shows it, and names its zone.
func clock(t time.Time, at *time.Location) string {
	return t.In(at).Format("Mon 2 Jan 2006, 15:04 MST")
}

// oneLine makes a text that people wrote safe to stand in a line: whatever could end it becomes a space.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
}
