package domain

import "time"

// PaymentStep is in every event of a payment: which payment of which order, and its status before and after.
type PaymentStep struct {
	PaymentID string        `json:"paymentId"`
	OrderID   string        `json:"orderId"`
	ShowID    int64         `json:"showId"`
	Previous  PaymentStatus `json:"previous,omitempty"` // empty on the first event
	Status    PaymentStatus `json:"status"`
}

// PaymentRequested asks for an order to be paid through the gateway.
type PaymentRequested struct {
	PaymentStep
	Attempt   int           `json:"attempt"` // 1, 2, 3 … of its order
	Method    PaymentMethod `json:"method"`
	Amount    Money         `json:"amount"`
	ExpiresAt time.Time     `json:"expiresAt"` // the gateway should take no money after it
}

// PaymentInstructed says how to pay: a code, a page, or both.
type PaymentInstructed struct {
	PaymentStep
	QR        string    `json:"qr,omitempty"`
	URL       string    `json:"url,omitempty"`
	ChargeID  string    `json:"chargeId,omitempty"` // the gateway's id of the charge
	ExpiresAt time.Time `json:"expiresAt"`
}

// PaymentSettled says that money has come. A payment may be settled more than once: what is too much is refunded.
type PaymentSettled struct {
	PaymentStep
	Amount        Money     `json:"amount"`
	Reference     string    `json:"reference,omitempty"`     // the gateway's id of the money
	GatewayStatus string    `json:"gatewayStatus,omitempty"` // as the gateway wrote it
	SettledAt     time.Time `json:"settledAt"`
}

// PaymentFailed says that the gateway will take no money for a payment.
type PaymentFailed struct {
	PaymentStep
	GatewayStatus string    `json:"gatewayStatus,omitempty"`
	Detail        string    `json:"detail,omitempty"`
	FailedAt      time.Time `json:"failedAt"`
}

// PaymentExpired ends a payment that nobody needs any more; the gateway is asked to void it.
type PaymentExpired struct {
	PaymentStep
	ExpiredAt time.Time `json:"expiredAt"`
}

// Mismatch says what was wrong with money that fits no payment as it stands.
type Mismatch string

// What can be wrong with money.
const (
	WrongAmount      Mismatch = "AMOUNT"
	WrongCurrency    Mismatch = "CURRENCY"
	UnclearReference Mismatch = "REFERENCE" // settled once without a reference, then with one: the same money or more?
)

// PaymentMismatched keeps money that does not fit. It is an open item until an operator resolves it.
type PaymentMismatched struct {
	PaymentStep
	Mismatch      Mismatch  `json:"mismatch"`
	Expected      Money     `json:"expected"`
	Received      Money     `json:"received"`
	Reference     string    `json:"reference,omitempty"`
	GatewayStatus string    `json:"gatewayStatus,omitempty"`
	ReceivedAt    time.Time `json:"receivedAt"`
}

// RefundRequested asks for money to be sent back.
type RefundRequested struct {
	PaymentStep
	RefundID  string       `json:"refundId"`
	Reason    RefundReason `json:"reason"`
	Amount    Money        `json:"amount"`
	Reference string       `json:"reference,omitempty"` // the gateway's id of the money that goes back
}

// RefundCompleted says that the gateway has sent money back.
type RefundCompleted struct {
	PaymentStep
	RefundID    string    `json:"refundId"`
	Amount      Money     `json:"amount"`
	GatewayID   string    `json:"gatewayId,omitempty"` // the gateway's id of the refund
	CompletedAt time.Time `json:"completedAt"`
}

// RefundFailed says that a refund was given up. It is an open item until an operator resolves it.
type RefundFailed struct {
	PaymentStep
	RefundID string    `json:"refundId"`
	Amount   Money     `json:"amount"`
	Attempts int       `json:"attempts"`
	Detail   string    `json:"detail,omitempty"`
	FailedAt time.Time `json:"failedAt"`
}

// PaymentUnmatched keeps a delivery for a payment that nobody knows. It is an open item until an operator resolves it.
type PaymentUnmatched struct {
	Gateway       string    `json:"gateway"`
	PaymentID     string    `json:"paymentId"` // as delivered
	Amount        Money     `json:"amount,omitzero"`
	Reference     string    `json:"reference,omitempty"`
	GatewayStatus string    `json:"gatewayStatus"`
	ReceivedAt    time.Time `json:"receivedAt"`
}

// OpenItemResolved closes an open item. It is written to the stream in which the item was opened.
type OpenItemResolved struct {
	Item       string    `json:"item"` // the id of the event that opened it, stream:version
	Reason     string    `json:"reason"`
	ResolvedAt time.Time `json:"resolvedAt"`
}

// EventType names the event in the log.
func (PaymentRequested) EventType() string { return "PaymentRequested" }

// EventType names the event in the log.
func (PaymentInstructed) EventType() string { return "PaymentInstructed" }

// EventType names the event in the log.
func (PaymentSettled) EventType() string { return "PaymentSettled" }

// EventType names the event in the log.
func (PaymentFailed) EventType() string { return "PaymentFailed" }

// EventType names the event in the log.
func (PaymentExpired) EventType() string { return "PaymentExpired" }

// EventType names the event in the log.
func (PaymentMismatched) EventType() string { return "PaymentMismatched" }

// EventType names the event in the log.
func (RefundRequested) EventType() string { return "RefundRequested" }

// EventType names the event in the log.
func (RefundCompleted) EventType() string { return "RefundCompleted" }

// EventType names the event in the log.
func (RefundFailed) EventType() string { return "RefundFailed" }

// EventType names the event in the log.
func (PaymentUnmatched) EventType() string { return "PaymentUnmatched" }

// EventType names the event in the log.
func (OpenItemResolved) EventType() string { return "OpenItemResolved" }
