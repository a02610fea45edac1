package domain

import "time"

// Line is what an order asks for of one ticket type, at the price of the moment it was placed.
type Line struct {
	TicketTypeID int64 `json:"ticketTypeId"`
	Quantity     int64 `json:"quantity"`
	UnitPrice    int64 `json:"unitPrice"`
}

// OrderStep is in every event of an order: which order, and its status before and after.
type OrderStep struct {
	OrderID  string      `json:"orderId"`
	ShowID   int64       `json:"showId"`
	Previous OrderStatus `json:"previous,omitempty"` // empty on the first event
	Status   OrderStatus `json:"status"`
}

// PaymentSummary is what an order tells of one of its payments.
type PaymentSummary struct {
	PaymentID string        `json:"paymentId"`
	Attempt   int           `json:"attempt"`
	Status    PaymentStatus `json:"status"`
	Method    PaymentMethod `json:"method"`
	QR        string        `json:"qr,omitempty"`  // EMVCo payload
	URL       string        `json:"url,omitempty"` // the gateway's page
	ExpiresAt time.Time     `json:"expiresAt,omitzero"`
}

// Ticket is one admission. Its code is derived from the secrets when read and never stored.
type Ticket struct {
	TicketID     string `json:"ticketId"`
	TicketTypeID int64  `json:"ticketTypeId"`
}

// OrderPlaced begins an order; its hold is in TicketsHeld of the same append.
type OrderPlaced struct {
	OrderStep
	CustomerRef string         `json:"customerRef"`
	Lines       []Line         `json:"lines"`
	Total       Money          `json:"total"`
	HoldID      string         `json:"holdId"`
	PlacedAt    time.Time      `json:"placedAt"`
	ExpiresAt   time.Time      `json:"expiresAt"`
	ReleaseAt   time.Time      `json:"releaseAt"`
	RequestedAt time.Time      `json:"requestedAt,omitzero"` // requestDS of the owner's format: kept, never judged
	Payment     PaymentSummary `json:"payment"`
}

// OrderConfirmed says how to pay. It comes once for each payment that was instructed.
type OrderConfirmed struct {
	OrderStep
	Payment PaymentSummary `json:"payment"`
}

// OrderPaymentChanged tells of a payment that changed while the order's status did not: one that
// failed and may be tried again, or the next one that was requested.
type OrderPaymentChanged struct {
	OrderStep
	Payment PaymentSummary `json:"payment"`
}

// OrderCompleted issues the tickets of a paid order. Late means the order had ended before.
type OrderCompleted struct {
	OrderStep
	Late        bool           `json:"late,omitempty"`
	HoldID      string         `json:"holdId"`
	CompletedAt time.Time      `json:"completedAt"`
	Reference   string         `json:"reference,omitempty"` // the gateway's id of the money
	Payment     PaymentSummary `json:"payment"`
	Tickets     []Ticket       `json:"tickets"`
}

// OrderCanceled ends an order. Note is what an operator gave as a reason.
type OrderCanceled struct {
	OrderStep
	Reason     CancelReason   `json:"reason"`
	Note       string         `json:"note,omitempty"`
	CanceledAt time.Time      `json:"canceledAt"`
	Payment    PaymentSummary `json:"payment"` // the newest payment, as it ended
}

// OrderRefunded tells how far a refund of an order is; the order's status does not move.
type OrderRefunded struct {
	OrderStep
	RefundID  string       `json:"refundId"`
	PaymentID string       `json:"paymentId"`
	Refund    RefundStatus `json:"refund"`
	Reason    RefundReason `json:"reason"`
	Amount    Money        `json:"amount"`
	Reference string       `json:"reference,omitempty"` // the gateway's id of the money that goes back
}

// EventType names the event in the log.
func (OrderPlaced) EventType() string { return "OrderPlaced" }

// EventType names the event in the log.
func (OrderConfirmed) EventType() string { return "OrderConfirmed" }

// EventType names the event in the log.
func (OrderPaymentChanged) EventType() string { return "OrderPaymentChanged" }

// EventType names the event in the log.
func (OrderCompleted) EventType() string { return "OrderCompleted" }

// EventType names the event in the log.
func (OrderCanceled) EventType() string { return "OrderCanceled" }

// EventType names the event in the log.
func (OrderRefunded) EventType() string { return "OrderRefunded" }
