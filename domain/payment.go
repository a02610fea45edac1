package domain

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Payment is the state of one payment. The zero value is a payment without events.
type Payment struct {
	Version     int64
	PaymentID   string
	OrderID     string
	ShowID      int64
	Status      PaymentStatus
	Attempt     int // 1, 2, 3 … of its order
	Method      PaymentMethod
	Amount      Money // what is asked for
	ExpiresAt   time.Time
	QR          string
	URL         string
	ChargeID    string
	Settlements []Settlement
	Mismatches  []MismatchedMoney
	Refunds     []Refund
	OpenItems   map[int64]string // version of the event that opened it → its type
	Resolved    map[int64]string // open items that were resolved: version → the reason
}

// Settlement is money that came with a payment.
type Settlement struct {
	Amount    Money
	Reference string // the gateway's id of the money; may be empty
	SettledAt time.Time
}

// MismatchedMoney is money that did not fit its payment.
type MismatchedMoney struct {
	Mismatch  Mismatch
	Received  Money
	Reference string
}

// Refund is money on its way back.
type Refund struct {
	RefundID  string
	Status    RefundStatus
	Reason    RefundReason
	Amount    Money
	Reference string // the gateway's id of the money that goes back
	GatewayID string // the gateway's id of the refund
}

// Refund finds one of the payment's refunds.
func (p *Payment) Refund(refundID string) (Refund, bool) {
	for _, r := range p.Refunds {
		if r.RefundID == refundID {
			return r, true
		}
	}
	return Refund{}, false
}

// Evolve folds one event of the payment's stream. It never fails and never judges; of an event that it
// does not know it counts the version.
func (p *Payment) Evolve(e Event) {
	p.Version++
	switch e := e.(type) {
	case PaymentRequested:
		p.PaymentID, p.OrderID, p.ShowID, p.Status = e.PaymentID, e.OrderID, e.ShowID, e.Status
		p.Attempt, p.Method, p.Amount, p.ExpiresAt = e.Attempt, e.Method, e.Amount, e.ExpiresAt
	case PaymentInstructed:
		p.Status, p.QR, p.URL, p.ChargeID, p.ExpiresAt = e.Status, e.QR, e.URL, e.ChargeID, e.ExpiresAt
	case PaymentSettled:
		p.Status = e.Status
		p.Settlements = append(slices.Clip(p.Settlements), Settlement{e.Amount, e.Reference, e.SettledAt})
	case PaymentFailed:
		p.Status = e.Status
	case PaymentExpired:
		p.Status = e.Status
	case PaymentMismatched:
		p.Mismatches = append(slices.Clip(p.Mismatches), MismatchedMoney{e.Mismatch, e.Received, e.Reference})
		p.open(e.EventType())
	case RefundRequested:
		p.Refunds = append(slices.Clip(p.Refunds),
			Refund{RefundID: e.RefundID, Status: RefundDue, Reason: e.Reason, Amount: e.Amount, Reference: e.Reference})
	case RefundCompleted:
		p.endRefund(e.RefundID, RefundDone, e.GatewayID)
	case RefundFailed:
		p.endRefund(e.RefundID, RefundLost, "")
		p.open(e.EventType())
	case OpenItemResolved:
		p.resolve(itemVersion(e.Item), e.Reason)
	}
}

// open notes that the event just folded opened an item. Maps and slices are copied because drafts share them.
func (p *Payment) open(eventType string) {
	items := maps.Clone(p.OpenItems)
	if items == nil {
		items = make(map[int64]string, 1)
	}
	items[p.Version] = eventType
	p.OpenItems = items
}

func (p *Payment) resolve(version int64, reason string) {
	open, resolved := maps.Clone(p.OpenItems), maps.Clone(p.Resolved)
	delete(open, version)
	if resolved == nil {
		resolved = make(map[int64]string, 1)
	}
	resolved[version] = reason
	p.OpenItems, p.Resolved = open, resolved
}

func (p *Payment) endRefund(refundID string, status RefundStatus, gatewayID string) {
	refunds := slices.Clone(p.Refunds)
	for i := range refunds {
		if refunds[i].RefundID == refundID {
			refunds[i].Status, refunds[i].GatewayID = status, gatewayID
		}
	}
	p.Refunds = refunds
}

// summary is what the order tells of the payment.
func (p *Payment) summary() PaymentSummary {
	return PaymentSummary{
		PaymentID: p.PaymentID, Attempt: p.Attempt, Status: p.Status, Method: p.Method,
		QR: p.QR, URL: p.URL, ExpiresAt: p.ExpiresAt,
	}
}

// step begins an event of the payment that leaves it in a status.
func (p *Payment) step(status PaymentStatus) PaymentStep {
	return PaymentStep{PaymentID: p.PaymentID, OrderID: p.OrderID, ShowID: p.ShowID, Previous: p.Status, Status: status}
}

// itemID is the id of the event that opened an item.
func itemID(stream string, version int64) string {
	return stream + ":" + strconv.FormatInt(version, 10)
}

// itemVersion is the version in an item's id, or 0.
func itemVersion(item string) int64 {
	version, err := strconv.ParseInt(item[strings.LastIndexByte(item, ':')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return version
}
