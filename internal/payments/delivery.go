package payments

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"boxoffice/internal/httpapi"
)

// Kind is what a delivery reports.
type Kind uint8

// The kinds of deliveries.
const (
	Pending Kind = iota // nothing happened yet
	Settled             // money has come
	Failed              // no money will come
)

// Delivery is what a gateway reported.
type Delivery struct {
	Gateway       string
	DeliveryID    string // the gateway's id of the delivery
	PaymentID     string // a payment's id or an order's
	Kind          Kind
	Amount        *int64 // nil: not told
	Currency      string // empty: not told
	Reference     string // the gateway's id of the money; empty: not told
	GatewayStatus string // as the gateway wrote it
	Body          []byte // as it came
}

// Limits of a delivery's fields, in characters.
const (
	maxPaymentID = 64
	maxStatus    = 64
	maxCurrency  = 16
	maxReference = 128
)

// StandardParser reads deliveries in the owner's format, signed as Standard Webhooks.
type StandardParser struct {
	Gateway  string // the name of the gateway that sends them
	Verifier *Verifier
	// AllowUnsigned takes deliveries without any of the three headers. Only for a demo on loopback.
	AllowUnsigned bool
}

// Parse checks the signature over the bytes as they came before it reads them. Fields that we do not know are
// ignored. Errors: ErrSignature; a *httpapi.Problem for what can't be read.
func (p StandardParser) Parse(body []byte, header http.Header) (Delivery, error) {
	id, err := p.verify(body, header)
	if err != nil {
		return Delivery{}, err
	}
	var sent ownerDelivery
	if err := httpapi.DecodeBytes(body, &sent, httpapi.AllowUnknown); err != nil {
		return Delivery{}, err
	}
	d := Delivery{
		Gateway: p.Gateway, DeliveryID: id, PaymentID: sent.Payload.PaymentID,
		Currency:  strings.ToUpper(sent.Payload.Currency.Value),
		Reference: sent.Payload.Reference.Value, GatewayStatus: sent.Payload.Status, Body: body,
	}
	d.Kind, _ = kindOf(d.GatewayStatus)
	if amount := sent.Payload.Amount; amount.Sent && !amount.Null {
		d.Amount = &amount.Value
	}
	return d, nil
}

func (p StandardParser) verify(body []byte, header http.Header) (string, error) {
	signed := len(header.Values(HeaderID))+len(header.Values(HeaderTimestamp))+len(header.Values(HeaderSignature)) > 0
	if p.AllowUnsigned && !signed {
		sum := sha256.Sum256(body)
		return "unsigned-" + hex.EncodeToString(sum[:16]), nil
	}
	return p.Verifier.Verify(body, header)
}

// ownerDelivery is the part of the owner's webhook body that says something.
type ownerDelivery struct {
	Payload *ownerPayload `json:"payload"`
}

type ownerPayload struct {
	PaymentID string                   `json:"paymentId"`
	Status    string                   `json:"status"`
	Amount    httpapi.Optional[int64]  `json:"amount"`
	Currency  httpapi.Optional[string] `json:"currency"`
	Reference httpapi.Optional[string] `json:"reference"`
}

// Check reports what is missing or out of bounds.
func (d *ownerDelivery) Check(c *httpapi.Checks) {
	if !c.Present("/payload", d.Payload != nil) {
		return
	}
	c.Text("/payload/paymentId", d.Payload.PaymentID, maxPaymentID)
	if d.Payload.Amount.Value < 0 {
		c.Fail("/payload/amount", "must not be negative")
	}
	c.OptionalText("/payload/currency", d.Payload.Currency.Value, maxCurrency)
	c.OptionalText("/payload/reference", d.Payload.Reference.Value, maxReference)
	if c.Present("/payload/status", d.Payload.Status != "") {
		if _, known := kindOf(d.Payload.Status); !known {
			c.Fail("/payload/status", "is not a status that is known here")
		}
	}
}

// kindOf is what a status means, whatever its case.
func kindOf(status string) (Kind, bool) {
	switch strings.ToUpper(status) {
	case "SUCCESS", "COMPLETED", "SETTLEMENT", "PAID":
		return Settled, true
	case "FAILED", "DENY", "EXPIRE", "CANCEL", "CANCELLED", "CANCELED":
		return Failed, true
	case "PENDING":
		return Pending, true
	default:
		return Pending, false
	}
}
