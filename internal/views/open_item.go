package views

import "time"

// OpenItemKind says what an operator has to look at.
type OpenItemKind string

// The kinds of open items.
const (
	PaymentUnmatched  OpenItemKind = "PAYMENT_UNMATCHED"  // money for a payment that nobody knows
	PaymentMismatched OpenItemKind = "PAYMENT_MISMATCHED" // money that does not fit its payment
	RefundFailed      OpenItemKind = "REFUND_FAILED"      // a refund that was given up
)

// OpenItem is something about money that only a person can decide.
type OpenItem struct {
	ID         string       `json:"id"` // of the event that opened it: stream:version
	Kind       OpenItemKind `json:"kind"`
	PaymentID  string       `json:"paymentId,omitzero"`
	OrderID    string       `json:"orderId,omitzero"`
	Amount     int64        `json:"amount,omitzero"` // in the smallest unit of the currency; left out: not told
	Currency   string       `json:"currency,omitzero"`
	At         time.Time    `json:"at"`
	Detail     string       `json:"detail"` // one line in words
	Resolved   bool         `json:"resolved"`
	ResolvedAt time.Time    `json:"resolvedAt,omitzero"`
	Reason     string       `json:"reason,omitzero"` // what the operator gave when resolving it
}
