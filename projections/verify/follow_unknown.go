package verify

import (
	"slices"

	"github.com/go-json-experiment/json"

	"boxoffice/eventstore"
)

// movements are the types of events that move tickets of a show.
func movements() []string {
	return []string{"TicketsHeld", "HoldReacquired", "HoldsReleased", "HoldsExpired", "TicketsSold", "TicketsReturned"}
}

// knows reports whether this program knows what an event says. A newer one may write beside it: what that does is
// not to be judged by older rules.
func knows(e *eventstore.Recorded) bool {
	if e.SchemaVersion != latestSchema {
		return false
	}
	switch kind, _ := split(e.Stream); kind {
	case showPrefix:
		switch e.Type {
		case "ShowCreated", "ShowChanged", "TicketTypeAdded", "TicketTypeChanged", "SalesPaused", "SalesResumed", "ShowCanceled":
			return true
		}
		return slices.Contains(movements(), e.Type)
	case orderPrefix:
		switch e.Type {
		case "OrderPlaced", "OrderConfirmed", "OrderPaymentChanged", "OrderCompleted", "OrderCanceled", "OrderRefunded", "TicketAdmitted":
			return knowsWords(e, statuses())
		}
	case paymentPrefix:
		switch e.Type {
		case "PaymentRequested", "PaymentInstructed", "PaymentSettled", "PaymentFailed", "PaymentExpired", "PaymentMismatched",
			"RefundRequested", "RefundCompleted", "RefundFailed", "OpenItemResolved":
			return knowsWords(e, paymentStatuses())
		}
	case inboxPrefix:
		return e.Type == "PaymentUnmatched" || e.Type == "OpenItemResolved" || e.Type == "StreamDiscarded"
	}
	return false
}

// knowsWords reports whether an event's words are of those that this program knows: a newer one may have more of them
// in the same schema version. What can't be read at all is known to be wrong.
func knowsWords(e *eventstore.Recorded, statuses []string) bool {
	var said struct {
		Previous string `json:"previous"`
		Status   string `json:"status"`
		Reason   string `json:"reason"`
		Payment  struct {
			Status string `json:"status"`
		} `json:"payment"`
	}
	if json.Unmarshal(e.Data, &said) != nil {
		return true
	}
	return slices.Contains(statuses, said.Previous) && slices.Contains(statuses, said.Status) &&
		(e.Type != "OrderCanceled" || slices.Contains(reasons(), said.Reason)) && slices.Contains(paymentStatuses(), said.Payment.Status)
}

// unknown counts an event that this program does not know.
func (a *Auditor) unknown(e *eventstore.Recorded) {
	a.blind(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Unknown++
}

// blind makes the order or show of such an event one of which only the log's form is judged, as long as it is in
// memory.
func (a *Auditor) blind(e *eventstore.Recorded) {
	f, about := a.pass.fold, subjectsOf(e)
	switch kind, id := split(e.Stream); kind {
	case showPrefix:
		a.opaque[e.Stream] = struct{}{}
		a.touched = queue{} // rows of its orders may be among them
		clear(a.pass.awaited)
	case orderPrefix:
		a.blindOrder(id)
	case paymentPrefix:
		if about.OrderID != "" {
			a.blindOrder(about.OrderID)
		} else if _, p := f.payments.find(id); p != nil {
			a.blindOrder(f.orders.id(p.order))
		}
	default:
		a.opaque[e.Stream] = struct{}{}
	}
}

func (a *Auditor) blindOrder(id string) {
	a.opaque[orderPrefix+id] = struct{}{}
	_, o := a.pass.fold.orders.open(id)
	o.flags |= unjudged
}

// judges reports whether what an event says is judged.
func (a *Auditor) judges(e *eventstore.Recorded) bool {
	if !knows(e) {
		return false
	}
	if len(a.opaque) == 0 {
		return true
	}
	if a.isOpaque(e.Stream) {
		return false
	}
	switch kind, _ := split(e.Stream); kind {
	case orderPrefix, paymentPrefix:
		about := subjectsOf(e)
		if !a.isOpaque(showStream(about.ShowID)) && !a.isOpaque(orderPrefix+about.OrderID) {
			return true
		}
		a.opaque[e.Stream] = struct{}{} // not all events of a payment say whose it is
		return false
	default:
		return true
	}
}

func (a *Auditor) isOpaque(stream string) bool {
	_, is := a.opaque[stream]
	return is
}
