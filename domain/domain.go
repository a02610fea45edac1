// Package domain holds the rules of ticket sales: what may happen to a show, an order and a payment.
//
// It is pure. Decide and Evolve take no context, clock, id, log or I/O: time and ids arrive in the
// command, and whoever runs the rules stores what they decided.
package domain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is a fact in the log, named in the past tense.
type Event interface {
	// EventType is the stored name of the event. It is a literal and never changes.
	EventType() string
}

// OrderStatus is where an order stands.
type OrderStatus string

// The four states of an order, in the words of the owner's format.
const (
	Pending   OrderStatus = "PENDING"   // tickets are held, the payment is being prepared
	Confirmed OrderStatus = "CONFIRMED" // a payment instruction exists, the money is awaited
	Completed OrderStatus = "COMPLETED" // paid, tickets issued
	Canceled  OrderStatus = "CANCELED"  // ended, see its CancelReason
)

// Live reports whether an order in this state has a hold.
func (s OrderStatus) Live() bool { return s == Pending || s == Confirmed }

// CancelReason says why an order was canceled.
type CancelReason string

// Why orders end without tickets.
const (
	ReasonHoldExpired   CancelReason = "HOLD_EXPIRED"
	ReasonPaymentFailed CancelReason = "PAYMENT_FAILED"
	ReasonCustomer      CancelReason = "CUSTOMER"
	ReasonOperator      CancelReason = "OPERATOR"
	ReasonShowCanceled  CancelReason = "SHOW_CANCELED"
)

// PaymentStatus is where one attempt to be paid stands.
type PaymentStatus string

// The states of a payment.
const (
	Requested  PaymentStatus = "REQUESTED"
	Instructed PaymentStatus = "INSTRUCTED"
	Settled    PaymentStatus = "SETTLED"
	Failed     PaymentStatus = "FAILED"
	Expired    PaymentStatus = "EXPIRED"
)

// Open reports whether money may still be asked for with this payment.
func (s PaymentStatus) Open() bool { return s == Requested || s == Instructed }

// RefundStatus is where a refund stands.
type RefundStatus string

// The states of a refund.
const (
	RefundDue  RefundStatus = "DUE"
	RefundDone RefundStatus = "DONE"
	RefundLost RefundStatus = "FAILED"
)

// RefundReason says why money goes back.
type RefundReason string

// Why money goes back.
const (
	LateMoney      RefundReason = "LATE"      // the order had ended and its tickets were gone
	DuplicateMoney RefundReason = "DUPLICATE" // the order was paid already
	OrderCancel    RefundReason = "ORDER_CANCELED"
	ShowCancel     RefundReason = "SHOW_CANCELED"
)

// PaymentMethod is a way to pay: QRIS or CARD.
type PaymentMethod string

// The payment methods.
const (
	QRIS PaymentMethod = "QRIS" // a code to be scanned; IDR only; one try, a failure ends the order
	Card PaymentMethod = "CARD" // a page of the gateway; may be tried again while the hold lives
)

// Limits of what one command may ask for.
const (
	MaxQuantity         = 1_000_000 // tickets of one line, whatever a show allows
	MaxLines            = 20        // ticket types in one order
	MaxTicketTypes      = 200       // ticket types of one show
	MaxCapacity         = 10_000_000
	MaxPrice            = 1_000_000_000_000
	MaxPaymentAttempts  = 10 // payments of one order
	DefaultMaxPerOrder  = 10
	MaxMembers          = 500       // members of one coalesced event
	MaxEventBytes       = 512 << 10 // size of one event's data
	MaxDuePerBatch      = 500       // due holds that end in one batch
	MaxCanceledPerBatch = 200       // orders of a canceled show that end in one step
)

// ShowStream names the stream of a show: show-42.
func ShowStream(showID int64) string { return showStreamPrefix + strconv.FormatInt(showID, 10) }

// OrderStream names the stream of an order: order-ORDER-20250205-338aa78d.
func OrderStream(orderID string) string { return orderStreamPrefix + orderID }

// PaymentStream names the stream of a payment: payment-PAY-20250205-338aa78d-1.
func PaymentStream(paymentID string) string { return paymentStreamPrefix + paymentID }

// InboxStream names the stream of deliveries that match nothing, one a month: inbox-202502.
func InboxStream(at time.Time) string { return inboxStreamPrefix + at.UTC().Format("200601") }

// OrderID is the id of the n-th order of a day (UTC): ORDER-20250205-338aa78d.
func OrderID(day time.Time, n uint32) string {
	return fmt.Sprintf("ORDER-%s-%08x", day.UTC().Format("20060102"), n)
}

const (
	orderPrefix   = "ORDER-"
	paymentPrefix = "PAY-"
)

// PaymentID is the id of an order's payment by its attempt, 1, 2, 3 …: PAY-20250205-338aa78d-1.
func PaymentID(orderID string, attempt int) string {
	return paymentPrefix + strings.TrimPrefix(orderID, orderPrefix) + "-" + strconv.Itoa(attempt)
}

// HoldID is the id of an order's hold, 1 for the first, 2 for one that was taken again.
func HoldID(orderID string, n int) string {
	return "HOLD-" + strings.TrimPrefix(orderID, orderPrefix) + "-" + strconv.Itoa(n)
}

// TicketID is the id of an order's n-th ticket, counted from 1.
func TicketID(orderID string, n int) string {
	return "TICKET-" + strings.TrimPrefix(orderID, orderPrefix) + "-" + strconv.Itoa(n)
}

// RefundID is the id of a payment's n-th refund, counted from 1.
func RefundID(paymentID string, n int) string {
	return "REFUND-" + strings.TrimPrefix(paymentID, paymentPrefix) + "-" + strconv.Itoa(n)
}
