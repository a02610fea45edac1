package serve

import (
	"bytes"
	"maps"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// Route says which messages an event becomes: itself on the topic of its stream, and a notification where
// the status of an order or payment has changed. It is a pure function of the event.
func Route(e eventstore.Recorded) ([]eventstore.Routed, error) {
	topic := messaging.OrdersTopic
	kind, _ := domain.ParseStream(e.Stream)
	if kind == domain.StreamPayment || kind == domain.StreamInbox {
		topic = messaging.PaymentsTopic
	}
	own := eventstore.ToMessage(e)
	routed := []eventstore.Routed{{Topic: topic, Message: own}}
	if kind == domain.StreamOrder || kind == domain.StreamPayment {
		if n, changed := notificationOf(kind, e); changed {
			routed = append(routed, eventstore.Routed{Topic: messaging.NotificationTopic, Message: n.message(e, own)})
		}
	}
	return routed, nil
}

// Notification tells of one change of status, in the four words of an order.
type Notification struct {
	OrderID   string    `json:"orderId"`
	PaymentID string    `json:"paymentId,omitempty"` // where it is the payment that changed
	Status    string    `json:"status"`
	Previous  string    `json:"previous"`
	Reason    string    `json:"reason,omitempty"`
	ShowID    int64     `json:"showId"`
	At        time.Time `json:"at"`
	Source    string    `json:"source,omitempty"`    // where a message of commands-topic placed or canceled the order: its ce_source
	CommandID string    `json:"commandId,omitempty"` // and its ce_id
}

// statusChanged is the ce_type of all messages on notification-topic.
const statusChanged = "boxoffice.StatusChanged.v1"

// refunded is how a notification says that money has gone back: the payment is canceled.
const refunded = "REFUNDED"

func notificationOf(kind domain.StreamKind, e eventstore.Recorded) (n Notification, changed bool) {
	n = Notification{
		OrderID: picked(e.Data, "orderId"), Status: picked(e.Data, "status"), Previous: picked(e.Data, "previous"), At: e.RecordedAt,
	}
	n.ShowID, _ = strconv.ParseInt(picked(e.Data, "showId"), 10, 64)
	changed = n.Status != n.Previous
	if kind == domain.StreamOrder {
		switch e.Type {
		case domain.OrderCanceled{}.EventType():
			n.Reason = picked(e.Data, "reason")
			n.Source, n.CommandID = commandOf(e)
		case domain.OrderPlaced{}.EventType():
			n.Source, n.CommandID = commandOf(e)
		}
		return n, changed
	}
	n.PaymentID = picked(e.Data, "paymentId")
	n.Status, n.Previous = orderWord(n.Status), orderWord(n.Previous)
	if e.Type == (domain.RefundCompleted{}).EventType() {
		n.Status, n.Reason = string(domain.Canceled), refunded
		return n, true
	}
	return n, changed
}

// picked is the value of a member of an event, "" where it has none. Whole decoding costs more than publishing;
// this is right because the step of an order or payment stands first in its events, before anything that is
// nested, which the goldens hold still, and because a quote within a value is never without its backslash.
func picked(data []byte, name string) string {
	at := bytes.Index(data, []byte(`"`+name+`":`))
	if at < 0 {
		return ""
	}
	value := data[at+len(name)+len(`"":`):]
	if len(value) > 0 && value[0] == '"' {
		value = value[1:]
		return string(value[:max(bytes.IndexByte(value, '"'), 0)])
	}
	return string(value[:max(bytes.IndexAny(value, ",}"), 0)])
}

// orderWord says a payment's status in the words of an order.
func orderWord(status string) string {
	switch domain.PaymentStatus(status) {
	case domain.Requested:
		return string(domain.Pending)
	case domain.Instructed:
		return string(domain.Confirmed)
	case domain.Settled:
		return string(domain.Completed)
	case domain.Failed, domain.Expired:
		return string(domain.Canceled)
	default:
		return ""
	}
}

// message is the notification on its way: keyed by the order, with an id that follows from the event's and the
// other headers of the event's own message.
func (n Notification) message(e eventstore.Recorded, own *message.Message) *message.Message {
	msg := message.NewMessage("notification:"+e.ID(), n.encode())
	maps.Copy(msg.Metadata, own.Metadata)
	delete(msg.Metadata, "boxoffice_hash")
	msg.Metadata["ce_id"] = msg.UUID
	msg.Metadata["ce_type"] = statusChanged
	msg.Metadata[messaging.KeyMetadata] = n.OrderID
	return msg
}

// encode is json.Marshal by hand: ids and words of our own need no escaping.
func (n Notification) encode() []byte {
	const typical = 256 // bytes
	b := make([]byte, 0, typical)
	b = append(append(b, `{"orderId":"`...), n.OrderID...)
	if n.PaymentID != "" {
		b = append(append(b, `","paymentId":"`...), n.PaymentID...)
	}
	b = append(append(b, `","status":"`...), n.Status...)
	b = append(append(b, `","previous":"`...), n.Previous...)
	if n.Reason != "" {
		b = append(append(b, `","reason":"`...), n.Reason...)
	}
	b = strconv.AppendInt(append(b, `","showId":`...), n.ShowID, 10)
	b = n.At.AppendFormat(append(b, `,"at":"`...), time.RFC3339Nano)
	b = append(b, '"')
	if n.Source != "" {
		b, _ = jsontext.AppendQuote(append(b, `,"source":`...), n.Source) // never fails: it comes out of JSON
		b, _ = jsontext.AppendQuote(append(b, `,"commandId":`...), n.CommandID)
	}
	return append(b, '}')
}
