package payments

import (
	"errors"

	"boxoffice/domain"
)

// WebhookResult is what became of a delivery.
type WebhookResult string

// The results of deliveries.
const (
	WebhookAccepted    WebhookResult = "accepted"    // judged; repeated and late ones too
	WebhookUnmatched   WebhookResult = "unmatched"   // matches no payment: an open item
	WebhookRefused     WebhookResult = "refused"     // judged, and refused by a rule
	WebhookIrrelevant  WebhookResult = "irrelevant"  // reports nothing that changes anything
	WebhookForged      WebhookResult = "forged"      // without a valid signature
	WebhookUnreadable  WebhookResult = "unreadable"  // not in the gateway's format
	WebhookUnavailable WebhookResult = "unavailable" // could not be stored; the gateway has to send it again
)

// WebhookResults are all of them.
func WebhookResults() []WebhookResult {
	return []WebhookResult{
		WebhookAccepted, WebhookUnmatched, WebhookRefused, WebhookIrrelevant, WebhookForged, WebhookUnreadable, WebhookUnavailable,
	}
}

// ErrUnmatched is what a Sender returns for a delivery that matches no payment. It is stored as an open item, so
// the delivery is done with.
var ErrUnmatched = errors.New("the delivery matches no payment and is an open item")

// resultOf is what a Sender's answer means. A refusal is a judgment too: the delivery was read and changes nothing.
func resultOf(err error) WebhookResult {
	_, refused := errors.AsType[*domain.Rejection](err)
	switch {
	case err == nil:
		return WebhookAccepted
	case errors.Is(err, ErrUnmatched):
		return WebhookUnmatched
	case refused:
		return WebhookRefused
	default:
		return WebhookUnavailable
	}
}
