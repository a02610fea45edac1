package projections

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// OpenItems is the read model of what an operator has to look at: one row per item, which the event that
// opened it and the one that resolved it feed, both of one stream. Its rows are sparse: most events of a
// payment feed none, and a row for every payment only to see gaps would cost more than it tells.
func OpenItems() *Model[ItemState] {
	items := itemTable()
	return &Model[ItemState]{
		Def: Definition{
			Name: "open_items", Number: 1, Topic: PaymentTopic, Tables: []string{"open_items"},
			Types: []string{"PaymentMismatched", "PaymentUnmatched", "RefundFailed", "OpenItemResolved"},
		},
		KeyOf:  itemKey,
		Sparse: true,
		Decode: decodeItem,
		Apply:  applyItem,
		Load:   loadItems,
		Fill:   func(rows []Row[ItemState]) []Filled { return []Filled{items.with(rows)} },
	}
}

// ItemState is an open item as its events tell it.
type ItemState struct {
	views.OpenItem
	Opened int64 // position of the event that opened it; the order of the list
}

// errUnopened: an item was resolved that was never seen to open.
var errUnopened = errors.New("the resolved item was never opened")

func itemKey(e eventstore.Recorded) (string, bool, error) {
	if !strings.HasPrefix(e.Stream, "payment-") && !strings.HasPrefix(e.Stream, "inbox-") {
		return "", false, nil
	}
	switch e.Type {
	case "PaymentMismatched", "PaymentUnmatched", "RefundFailed":
		return e.ID(), true, nil
	case "OpenItemResolved":
		ev, err := decodeItem(e)
		if err != nil {
			return "", false, fmt.Errorf("%w: %s: %w", ErrPoison, e.ID(), err)
		}
		return ev.(domain.OpenItemResolved).Item, true, nil
	default:
		return "", false, nil
	}
}

func applyItem(s *ItemState, e eventstore.Recorded, ev domain.Event) error {
	switch ev := ev.(type) {
	case domain.PaymentMismatched:
		s.open(e, views.PaymentMismatched, ev.PaymentID, ev.OrderID, ev.Received, ev.ReceivedAt)
		s.Detail = mismatchText(ev)
	case domain.PaymentUnmatched:
		s.open(e, views.PaymentUnmatched, ev.PaymentID, "", ev.Amount, ev.ReceivedAt)
		s.Detail = fmt.Sprintf("%s reported %s for %q, which nobody knows here", ev.Gateway, ev.GatewayStatus, ev.PaymentID)
	case domain.RefundFailed:
		s.open(e, views.RefundFailed, ev.PaymentID, ev.OrderID, ev.Amount, ev.FailedAt)
		s.Detail = fmt.Sprintf("refund %s was given up after %d tries", ev.RefundID, ev.Attempts)
		if ev.Detail != "" {
			s.Detail += ": " + ev.Detail
		}
	case domain.OpenItemResolved:
		if s.ID == "" {
			return errUnopened
		}
		s.Resolved, s.ResolvedAt, s.Reason = true, ev.ResolvedAt, ev.Reason
	}
	return nil
}

func (s *ItemState) open(e eventstore.Recorded, kind views.OpenItemKind, payment, order string, money domain.Money, at time.Time) {
	s.OpenItem = views.OpenItem{
		ID: e.ID(), Kind: kind, PaymentID: payment, OrderID: order,
		Amount: money.Amount, Currency: money.Currency, At: at.UTC(),
	}
	s.Opened = e.Position
}

// mismatchText says in words why money does not fit.
func mismatchText(ev domain.PaymentMismatched) string {
	switch ev.Mismatch {
	case domain.UnclearReference:
		return fmt.Sprintf("money with the reference %q may be the same that was settled without one, or more", ev.Reference)
	default:
		return fmt.Sprintf("%d %s came where %d %s was asked for",
			ev.Received.Amount, ev.Received.Currency, ev.Expected.Amount, ev.Expected.Currency)
	}
}
