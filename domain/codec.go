package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrUnknownType is returned for an event type that this program does not know.
var ErrUnknownType = errors.New("unknown event type")

// ErrSchemaVersion is returned for data written by a newer program than this.
var ErrSchemaVersion = errors.New("unknown schema version")

// SchemaVersion is the version of a type's data that Encode writes. All types are in their first version.
func SchemaVersion(string) int { return 1 }

// EventTypes are the event types that this program knows, grouped by their streams: show, order, payment, inbox.
func EventTypes() []string {
	return []string{
		"ShowCreated", "ShowChanged", "TicketTypeAdded", "TicketTypeChanged", "SalesPaused", "SalesResumed", "ShowCanceled",
		"TicketsHeld", "HoldsReleased", "HoldsExpired", "HoldReacquired", "TicketsSold", "TicketsReturned",
		"OrderPlaced", "OrderConfirmed", "OrderPaymentChanged", "OrderCompleted", "OrderCanceled", "OrderRefunded",
		"PaymentRequested", "PaymentInstructed", "PaymentSettled", "PaymentFailed", "PaymentExpired", "PaymentMismatched",
		"RefundRequested", "RefundCompleted", "RefundFailed",
		"PaymentUnmatched", "OpenItemResolved", "StreamDiscarded",
	}
}

// Known reports whether this program knows an event type.
func Known(eventType string) bool {
	_, err := decode(eventType, []byte("{}"))
	return !errors.Is(err, ErrUnknownType)
}

// Encode is an event's data as it is stored: JSON whose fields stand in the order of the type's. Errors:
// a value that JSON has no form for.
func Encode(e Event) ([]byte, error) {
	if e == nil {
		return nil, fmt.Errorf("encode: %w", ErrUnknownType)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // pages' addresses stay readable
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.EventType(), err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Decode reads an event's stored data, of this or an older schema version. Errors: ErrUnknownType,
// ErrSchemaVersion, or what is wrong with the data.
func Decode(eventType string, schemaVersion int, data []byte) (Event, error) {
	data, err := upcast(eventType, schemaVersion, data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", eventType, err)
	}
	e, err := decode(eventType, data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", eventType, err)
	}
	return e, nil
}

// upcast turns data of an older schema version into that of today. Each step of a type will be a case
// here; as yet there is one version of every type.
func upcast(eventType string, schemaVersion int, data []byte) ([]byte, error) {
	if schemaVersion < 1 || schemaVersion > SchemaVersion(eventType) {
		return nil, fmt.Errorf("%w %d", ErrSchemaVersion, schemaVersion)
	}
	return data, nil
}

func decode(eventType string, data []byte) (Event, error) {
	switch eventType {
	case "ShowCreated":
		return as[ShowCreated](data)
	case "ShowChanged":
		return as[ShowChanged](data)
	case "TicketTypeAdded":
		return as[TicketTypeAdded](data)
	case "TicketTypeChanged":
		return as[TicketTypeChanged](data)
	case "SalesPaused":
		return as[SalesPaused](data)
	case "SalesResumed":
		return as[SalesResumed](data)
	case "ShowCanceled":
		return as[ShowCanceled](data)
	case "TicketsHeld":
		return as[TicketsHeld](data)
	case "HoldsReleased":
		return as[HoldsReleased](data)
	case "HoldsExpired":
		return as[HoldsExpired](data)
	case "HoldReacquired":
		return as[HoldReacquired](data)
	case "TicketsSold":
		return as[TicketsSold](data)
	case "TicketsReturned":
		return as[TicketsReturned](data)
	default:
		return decodeOrder(eventType, data)
	}
}

func decodeOrder(eventType string, data []byte) (Event, error) {
	switch eventType {
	case "OrderPlaced":
		return as[OrderPlaced](data)
	case "OrderConfirmed":
		return as[OrderConfirmed](data)
	case "OrderPaymentChanged":
		return as[OrderPaymentChanged](data)
	case "OrderCompleted":
		return as[OrderCompleted](data)
	case "OrderCanceled":
		return as[OrderCanceled](data)
	case "OrderRefunded":
		return as[OrderRefunded](data)
	default:
		return decodePayment(eventType, data)
	}
}

func decodePayment(eventType string, data []byte) (Event, error) {
	switch eventType {
	case "PaymentRequested":
		return as[PaymentRequested](data)
	case "PaymentInstructed":
		return as[PaymentInstructed](data)
	case "PaymentSettled":
		return as[PaymentSettled](data)
	case "PaymentFailed":
		return as[PaymentFailed](data)
	case "PaymentExpired":
		return as[PaymentExpired](data)
	case "PaymentMismatched":
		return as[PaymentMismatched](data)
	case "RefundRequested":
		return as[RefundRequested](data)
	case "RefundCompleted":
		return as[RefundCompleted](data)
	case "RefundFailed":
		return as[RefundFailed](data)
	case "PaymentUnmatched":
		return as[PaymentUnmatched](data)
	case "OpenItemResolved":
		return as[OpenItemResolved](data)
	case "StreamDiscarded":
		return as[StreamDiscarded](data)
	default:
		return nil, ErrUnknownType
	}
}

// as reads data as one type. Fields that the type does not have are ignored: newer programs may add some.
func as[T Event](data []byte) (Event, error) {
	var e T
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	return e, nil
}
