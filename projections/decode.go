package projections

import (
	"encoding/json"
	"fmt"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// What a fold does not look at is not decoded: its event only moves the row's version. A type that nobody here
// knows is another matter: it may have changed the row, so its stream is parked until a program reads it that
// does. Only where rows are sparse, and most events of a stream feed none, such types are passed over.

func decodeOrder(e eventstore.Recorded) (domain.Event, error) {
	switch e.Type {
	case "OrderPlaced", "OrderConfirmed", "OrderPaymentChanged", "OrderCompleted", "OrderCanceled", "OrderRefunded":
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

// movementSchema is the schema version of movements that moved reads; others are upcast by the domain.
const movementSchema = 1

func decodeMovement(e eventstore.Recorded) (domain.Event, error) {
	if e.SchemaVersion == movementSchema {
		var m moved
		if err := json.Unmarshal(e.Data, &m); err != nil {
			return nil, fmt.Errorf("decode %s: %w", e.Type, err)
		}
		return m, nil
	}
	ev, err := decode(e)
	if err != nil {
		return nil, err
	}
	switch ev := ev.(type) {
	case domain.TicketsHeld:
		return moved{ev.Totals}, nil
	case domain.HoldsReleased:
		return moved{ev.Totals}, nil
	case domain.HoldsExpired:
		return moved{ev.Totals}, nil
	case domain.HoldReacquired:
		return moved{ev.Totals}, nil
	case domain.TicketsSold:
		return moved{ev.Totals}, nil
	case domain.TicketsReturned:
		return moved{ev.Totals}, nil
	default:
		return nil, fmt.Errorf("decode %s: it became %T", e.Type, ev)
	}
}

func decode(e eventstore.Recorded) (domain.Event, error) {
	return domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
}
