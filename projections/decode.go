package projections

import (
	"bytes"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// What a fold does not look at is not decoded: its event only moves the row's version. A type that nobody here
// knows is another matter: it may have changed the row, so its stream is parked until a program reads it that
// does. Only where rows are sparse, and most events of a stream feed none, such types are passed over.

func decodeOrder(e eventstore.Recorded) (domain.Event, error) {
	switch e.Type {
	case "OrderPlaced", "OrderConfirmed", "OrderPaymentChanged", "OrderCompleted", "OrderCanceled":
		return decodeOrderStep(e)
	case "OrderRefunded":
		return decode(e)
	default:
		return nil, readable(e)
	}
}

func decodeItem(e eventstore.Recorded) (domain.Event, error) {
	switch e.Type {
	case "PaymentMismatched", "PaymentUnmatched", "RefundFailed", "OpenItemResolved":
		return decode(e)
	default:
		return nil, nil
	}
}

func decodeShow(e eventstore.Recorded) (domain.Event, error) {
	switch e.Type {
	case "TicketsHeld", "HoldsReleased", "HoldsExpired", "HoldReacquired", "TicketsSold", "TicketsReturned":
		return decodeMovement(e)
	case "ShowCreated", "ShowChanged", "TicketTypeAdded", "TicketTypeChanged", "SalesPaused", "SalesResumed", "ShowCanceled":
		return decode(e)
	default:
		return nil, readable(e)
	}
}

// readable is the error of an event of a type that this program does not know.
func readable(e eventstore.Recorded) error {
	if !domain.Known(e.Type) {
		return fmt.Errorf("decode %s: %w", e.Type, domain.ErrUnknownType)
	}
	return nil
}

// moved is what availability needs of an event that moves tickets: the totals after it. Its up to 500
// members are passed over without being built, because such events are most of a show's stream.
type moved struct {
	Totals []domain.Totals `json:"totals"`
}

// EventType makes moved an event of the fold; it is never stored.
func (moved) EventType() string { return "moved" }

// totalsMember begins the totals, which are the last member of a movement. Nothing within a string looks like it,
// because its quotes would be escaped.
const totalsMember = `,"totals":`

func decodeMovement(e eventstore.Recorded) (domain.Event, error) {
	if at := bytes.LastIndex(e.Data, []byte(totalsMember)); at > 0 && e.SchemaVersion == quickSchema {
		var m moved
		if last, ok := bytes.CutSuffix(e.Data[at+len(totalsMember):], []byte("}")); ok && json.Unmarshal(last, &m.Totals) == nil {
			return m, nil
		}
	}
	return quickly[moved](e)
}

// rawJSON is JSON as an event or a column has it.
type rawJSON = jsontext.Value

// orderStep is what order_status needs of most of an order's events: what the row has in the same form stays as it is.
type orderStep struct {
	name        string // the event's type
	orderID     string
	showID      int64
	status      domain.OrderStatus
	reason      domain.CancelReason
	customerRef string
	total       domain.Money
	placedAt    time.Time
	expiresAt   time.Time
	lines       rawJSON
	payment     rawJSON
	tickets     rawJSON
}

// EventType makes orderStep an event of the fold; it is never stored.
func (s *orderStep) EventType() string { return s.name }

func decodeOrderStep(e eventstore.Recorded) (domain.Event, error) {
	data, err := currentForm(e)
	if err != nil {
		return nil, err
	}
	s := &orderStep{name: e.Type}
	if err := members(data, s.member); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return s, nil
}

func (s *orderStep) member(name []byte, value rawJSON) error {
	switch string(name) {
	case "orderId":
		return textOf(value, &s.orderID)
	case "showId":
		return numberOf(value, &s.showID)
	case "status":
		return statusOf(value, &s.status)
	case "reason":
		return textOf(value, &s.reason)
	case "customerRef":
		return textOf(value, &s.customerRef)
	case "total":
		return moneyOf(value, &s.total)
	case "placedAt":
		return timeOf(value, &s.placedAt)
	case "expiresAt":
		return timeOf(value, &s.expiresAt)
	// Cloned, because the event's data lies in a page of many.
	case "lines":
		s.lines = value.Clone()
	case "payment":
		s.payment = value.Clone()
	case "tickets":
		s.tickets = value.Clone()
	}
	return nil
}

// quickSchema is the schema version of events as this program knows them; older ones are upcast by the domain.
const quickSchema = 1

// currentForm is an event's data in the form that this program knows.
func currentForm(e eventstore.Recorded) ([]byte, error) {
	if e.SchemaVersion == quickSchema {
		return e.Data, nil
	}
	ev, err := decode(e)
	if err != nil {
		return nil, err
	}
	return domain.Encode(ev)
}

// quickly decodes of an event what a T has of it. The domain stays on the standard library, whose decoder takes two to
// five times as long.
func quickly[T domain.Event](e eventstore.Recorded) (domain.Event, error) {
	data, err := currentForm(e)
	if err != nil {
		return nil, err
	}
	var ev T
	if err := json.Unmarshal(data, &ev); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return ev, nil
}

func decode(e eventstore.Recorded) (domain.Event, error) {
	return domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
}
