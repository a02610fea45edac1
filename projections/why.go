package projections

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// why says in one line where an order stands and what brought it there, from its events and those of its payments
// in the order of the log, as far as they go. It is empty where the order is not there yet.
func why(events []eventstore.Recorded) string {
	s := story{payments: map[string]*domain.Payment{}, at: map[string]time.Time{}, resolved: map[string]string{}}
	for _, e := range events {
		s.add(e)
	}
	var stands string
	switch s.order.Status {
	case "":
		return ""
	case domain.Completed:
		stands = s.completed()
	case domain.Canceled:
		stands = "canceled: " + s.ended()
	default:
		stands = s.waits()
	}
	return strings.Join(append([]string{stands}, s.money()...), "; ")
}

// story is an order with its payments, and what their states leave out: when things happened, and the open items.
type story struct {
	order    domain.Order
	payments map[string]*domain.Payment
	end      domain.OrderCanceled // the last; also one that a late completion followed
	endedIn  string               // the append that it came with
	oddThen  int                  // how much money that does not fit had come by then
	paidThen bool                 // money that fits came with it: it ended the order of a canceled show
	failures []failure            // of attempts to pay, oldest first
	at       map[string]time.Time // when refunds were done, by their ids
	odd      []mismatched
	lost     []lostRefund
	resolved map[string]string // open items that were resolved → the reason
}

// failure is an attempt to pay that failed.
type failure struct {
	domain.PaymentFailed
	method domain.PaymentMethod
}

// mismatched is money that does not fit, as an open item.
type mismatched struct {
	domain.PaymentMismatched
	item string
}

// lostRefund is a refund that was given up, as an open item.
type lostRefund struct {
	domain.RefundFailed
	item string
}

// add folds an event. One that can't be read counts as a version and no more.
func (s *story) add(e eventstore.Recorded) {
	ev, err := decode(e)
	if err != nil {
		ev = moved{}
	}
	kind, id := domain.ParseStream(e.Stream)
	if kind == domain.StreamOrder {
		s.order.Evolve(ev)
		if canceled, ok := ev.(domain.OrderCanceled); ok {
			s.end, s.endedIn, s.oddThen, s.paidThen = canceled, appendOf(e), len(s.odd), canceled.Payment.Status == domain.Settled
		}
		return
	}
	p := s.payments[id]
	if p == nil {
		p = &domain.Payment{}
		s.payments[id] = p
	}
	p.Evolve(ev)
	switch ev := ev.(type) {
	case domain.PaymentSettled: // its payment need not be the newest, which alone the order's end names
		s.paidThen = s.paidThen || s.end.Reason == domain.ReasonShowCanceled && ev.SettledAt.Equal(s.end.CanceledAt) && appendOf(e) == s.endedIn
	case domain.PaymentFailed:
		s.failures = append(s.failures, failure{ev, p.Method})
	case domain.PaymentMismatched:
		s.odd = append(s.odd, mismatched{ev, e.ID()})
	case domain.RefundCompleted:
		s.at[ev.RefundID] = ev.CompletedAt
	case domain.RefundFailed:
		s.lost = append(s.lost, lostRefund{ev, e.ID()})
	case domain.OpenItemResolved:
		s.resolved[ev.Item] = ev.Reason
	}
}

// appendOf is the append that an event came with; empty if that can't be read.
func appendOf(e eventstore.Recorded) string {
	var m eventstore.Metadata
	if err := json.Unmarshal(e.Metadata, &m); err != nil {
		return ""
	}
	return m.Batch
}

// waits says what an order waits for that has not ended.
func (s *story) waits() string {
	stands := strings.ToLower(string(s.order.Status)) + ": "
	held := fmt.Sprintf("%s held until %s", tickets(s.order.Lines), clock(s.order.ExpiresAt))
	for _, p := range s.payments {
		if len(p.Settlements) > 0 {
			return stands + held // the money is told of beside it; the tickets come with the next events
		}
	}
	var p domain.PaymentSummary
	if newest := s.order.Newest(); newest != nil {
		p = *newest
	}
	// The payment's own stream may be ahead of the order's by an event.
	if own := s.payments[p.PaymentID]; own != nil {
		p.Status = own.Status
	}
	switch p.Status {
	case domain.Requested:
		return stands + fmt.Sprintf("the gateway is asked how to pay %s by %s, ", money(s.order.Total), p.Method) + held + s.failed()
	case domain.Instructed:
		return stands + fmt.Sprintf("waits for %s by %s until %s, ", money(s.order.Total), p.Method, clock(p.ExpiresAt)) + held + s.failed()
	case domain.Failed:
		again := "; it may be tried again until " + clock(p.ExpiresAt)
		if p.Method == domain.QRIS {
			again = "" // it ends with the next event
		}
		return stands + held + s.failed() + again
	default:
		return stands + held + ", no payment is open" + s.failed()
	}
}

// failed tells of attempts to pay that failed.
func (s *story) failed() string {
	n := len(s.failures)
	if n == 0 {
		return ""
	}
	last := s.failures[n-1]
	end := "at " + clock(last.FailedAt) + remark(cmp.Or(last.Detail, last.GatewayStatus))
	if n == 1 {
		return fmt.Sprintf("; the payment by %s failed %s", last.method, end)
	}
	return fmt.Sprintf("; %s to pay failed, the last by %s %s", count(int64(n), "attempt"), last.method, end)
}

func (s *story) completed() string {
	by := ""
	if p := s.order.Payment(s.order.PaidBy); p != nil {
		by = " by " + string(p.Method)
	}
	text := fmt.Sprintf("completed: %s received at %s%s, %s issued", money(s.order.Total), clock(s.order.CompletedAt), by,
		count(int64(len(s.order.Tickets)), "ticket"))
	if s.order.Late {
		text += fmt.Sprintf("; the money came after the order had been canceled: %s; its tickets were still there", s.ended())
	}
	return text
}

// ended says how the order ended the last time.
func (s *story) ended() string {
	unpaid := ""
	switch {
	case !s.end.Previous.Live():
	case s.paidThen:
		unpaid = s.failed()
	case s.oddThen > 0:
		unpaid = ", no money had come that fits" + s.failed()
	default:
		unpaid = ", nobody had paid" + s.failed()
	}
	at := clock(s.end.CanceledAt)
	switch s.end.Reason {
	case domain.ReasonHoldExpired:
		return "the hold expired at " + clock(s.order.ExpiresAt) + unpaid
	case domain.ReasonPaymentFailed:
		return strings.TrimPrefix(s.failed(), "; ")
	case domain.ReasonCustomer:
		return "by the customer at " + at + unpaid
	case domain.ReasonOperator:
		return "by an operator at " + at + remark(s.end.Note) + unpaid
	case domain.ReasonShowCanceled:
		return "the show was canceled, the order ended with it at " + at + unpaid
	default:
		return "at " + at + remark(string(s.end.Reason)) + unpaid
	}
}

// money tells of all money that came, but for what bought the tickets that the order has now.
func (s *story) money() []string {
	var told []string
	for _, summary := range s.order.Payments {
		p := s.payments[summary.PaymentID]
		if p == nil {
			continue
		}
		for _, came := range p.Settlements {
			bought := p.PaymentID == s.order.PaidBy && came.Reference == s.order.PaidReference
			if refund, ok := refundOf(p, came); ok {
				told = append(told, s.refunded(refund, came, bought))
			} else if !bought || s.order.Status != domain.Completed {
				told = append(told, fmt.Sprintf("%s received at %s", money(came.Amount), clock(came.SettledAt)))
			}
		}
	}
	for _, m := range s.odd {
		told = append(told, misfit(m.PaymentMismatched)+", "+s.openItem(m.item))
	}
	return told
}

// refundOf is the refund of money that came. Two that came with one payment have different references.
func refundOf(p *domain.Payment, came domain.Settlement) (domain.Refund, bool) {
	for _, refund := range p.Refunds {
		if refund.Reference == came.Reference {
			return refund, true
		}
	}
	return domain.Refund{}, false
}

// refunded tells of money that goes back: why, and how far that is.
func (s *story) refunded(refund domain.Refund, came domain.Settlement, bought bool) string {
	when := ", received at " + clock(came.SettledAt)
	switch {
	case refund.Reason == domain.DuplicateMoney:
		when = " more" + when
	case refund.Reason == domain.LateMoney && s.order.EverCompleted:
		when += " after the order had ended"
	case refund.Reason == domain.LateMoney:
		when += " after the order had ended and its tickets were gone"
	case refund.Reason == domain.ShowCancel && !bought:
		when += " after the show was canceled"
	}
	return money(came.Amount) + when + ", " + s.back(refund)
}

// back says how far a refund is.
func (s *story) back(refund domain.Refund) string {
	switch refund.Status {
	case domain.RefundDone:
		return "sent back at " + clock(s.at[refund.RefundID])
	case domain.RefundDue:
		return "on its way back"
	}
	for _, lost := range s.lost {
		if lost.RefundID == refund.RefundID {
			return fmt.Sprintf("could not be sent back: given up at %s after %s", clock(lost.FailedAt), count(int64(lost.Attempts), "try")) +
				remark(lost.Detail) + ", " + s.openItem(lost.item)
		}
	}
	return "could not be sent back"
}

// openItem tells what became of an open item.
func (s *story) openItem(item string) string {
	if reason, ok := s.resolved[item]; ok {
		return fmt.Sprintf("an operator resolved %s", item) + remark(reason)
	}
	return "kept for an operator as " + item
}
