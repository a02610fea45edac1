// Package payments is where money meets the outside: the gateway that takes it, the webhook that reports it,
// and the process that asks for it when the log says so.
//
// A gateway knows every charge and refund by our ids, so asking twice is asking once.
package payments

import (
	"context"
	"errors"
	"net/http"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// ChargeRequest asks a gateway to take money for an order.
type ChargeRequest struct {
	PaymentID string // the gateway keeps one charge for it, however often it is asked
	OrderID   string
	Method    domain.PaymentMethod
	Amount    domain.Money
	ExpiresAt time.Time // the gateway should take no money after it
}

// Instruction is how a buyer can pay: a code to be scanned, a page, or both.
type Instruction struct {
	ChargeID  string // the gateway's id of the charge
	QR        string // EMVCo payload
	URL       string
	ExpiresAt time.Time
}

// Charger takes money. Its errors are transient unless errors.Is(err, ErrPermanent).
type Charger interface {
	// Charge begins a payment, or answers with the instruction of one that was begun before.
	Charge(ctx context.Context, request ChargeRequest) (Instruction, error)
	// Void ends a payment so that no money comes with it. One that is unknown or has ended is left as it is.
	Void(ctx context.Context, paymentID string) error
	// Status tells what became of a payment.
	Status(ctx context.Context, paymentID string) (Status, error)
}

// State is where a payment stands at the gateway.
type State string

// The states of a payment at the gateway.
const (
	Unknown  State = "UNKNOWN" // it was never charged
	Open     State = "OPEN"    // the money is awaited
	Paid     State = "PAID"
	Declined State = "DECLINED" // failed or expired
	Voided   State = "VOIDED"
	Refunded State = "REFUNDED"
)

// Status is what a gateway knows of a payment.
type Status struct {
	State     State
	Amount    domain.Money
	Reference string // the gateway's id of the money, once it came
}

// RefundRequest asks a gateway to send money back.
type RefundRequest struct {
	RefundID  string // the gateway sends it back once, however often it is asked
	PaymentID string
	Reference string // the gateway's id of the money; empty: the money that came with the payment
	Amount    domain.Money
}

// RefundReceipt says that money is on its way back.
type RefundReceipt struct {
	GatewayID string // the gateway's id of the refund
}

// Refunder sends money back. Its errors are transient unless errors.Is(err, ErrPermanent).
type Refunder interface {
	// Refund sends the money back, or answers with the receipt of a refund that was made before.
	Refund(ctx context.Context, request RefundRequest) (RefundReceipt, error)
}

// Parser reads one gateway's deliveries.
type Parser interface {
	// Parse checks that a delivery comes from the gateway, and then reads it. Errors: ErrSignature; a
	// *httpapi.Problem for what can't be read.
	Parse(body []byte, header http.Header) (Delivery, error)
}

// Gateway is a gateway with all that it brings.
type Gateway struct {
	Name     string // as PAYMENT_GATEWAY says it
	Charger  Charger
	Refunder Refunder
	Parser   Parser                      // of deliveries in its own format, at /webhooks/payment/NAME; nil: it sends the owner's
	Routes   []httpapi.Route             // pages of its own; may be empty
	Run      func(context.Context) error // work of its own beside HTTP, until the context ends; may be nil
}

// Sender gives a command to the command bus. It returns once the command's outcome is durable: nil, a
// *domain.Rejection, ErrUnmatched for a delivery, or a fault after which the command must be sent again.
type Sender func(ctx context.Context, command domain.Command, origin Origin) error

// Origin says who sends a command and why. It goes into the metadata of what the command causes.
type Origin struct {
	Actor     string    // gateway:NAME, or system for the process
	Causation string    // id of the event that the process acts on; else empty
	Delivery  *Received // the delivery that the command repeats; nil for the process
}

// Received is a gateway's delivery as it is kept beside the event that judged it.
type Received struct {
	Gateway    string
	DeliveryID string
	ReceivedAt time.Time
	Body       []byte // as it came
}

// ErrPermanent is in the tree of every error that repeating the call will not cure.
var ErrPermanent = errors.New("refused for good")

// Permanent marks an error as one that repeating the call will not cure.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// permanent has a method Permanent for transports, which send such a message to the dead letters.
type permanent struct{ error }

// Permanent says that repeating will not help.
func (permanent) Permanent() bool { return true }

// Unwrap makes the cause and ErrPermanent findable.
func (p permanent) Unwrap() []error { return []error{p.error, ErrPermanent} }
