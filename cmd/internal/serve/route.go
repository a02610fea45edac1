package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

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
	routed := []eventstore.Routed{{Topic: topic, Message: eventstore.ToMessage(e)}}
	if kind != domain.StreamOrder && kind != domain.StreamPayment {
		return routed, nil
	}
	n, changed, err := notificationOf(kind, e)
	if err != nil || !changed {
		return routed, err
	}
	msg, err := n.message(e)
	if err != nil {
		return nil, err
	}
	return append(routed, eventstore.Routed{Topic: messaging.NotificationTopic, Message: msg}), nil
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
}

// step is what the events of orders and payments have in common.
type step struct {
	OrderID   string `json:"orderId"`
	PaymentID string `json:"paymentId"`
	ShowID    int64  `json:"showId"`
	Previous  string `json:"previous"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
}

// refunded is how a notification says that money has gone back: the payment is canceled.
const refunded = "REFUNDED"

func notificationOf(kind domain.StreamKind, e eventstore.Recorded) (n Notification, changed bool, err error) {
	var s step
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return n, false, fmt.Errorf("decode %s: %w", e.ID(), err)
	}
	n = Notification{OrderID: s.OrderID, Status: s.Status, Previous: s.Previous, Reason: s.Reason, ShowID: s.ShowID, At: e.RecordedAt}
	if kind == domain.StreamOrder {
		return n, s.Status != s.Previous, nil
	}
	n.PaymentID, n.Reason = s.PaymentID, ""
	n.Status, n.Previous = orderWord(s.Status), orderWord(s.Previous)
	if e.Type == (domain.RefundCompleted{}).EventType() {
		n.Status, n.Reason = string(domain.Canceled), refunded
		return n, true, nil
	}
	return n, s.Status != s.Previous, nil
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

// message is the notification on its way: keyed by the order, with an id that follows from the event's.
func (n Notification) message(e eventstore.Recorded) (*message.Message, error) {
	data, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encode the notification of %s: %w", e.ID(), err)
	}
	msg := message.NewMessage("notification:"+e.ID(), data)
	event := eventstore.ToMessage(e)
	maps.Copy(msg.Metadata, event.Metadata)
	delete(msg.Metadata, "boxoffice_hash")
	msg.Metadata["ce_id"] = msg.UUID
	msg.Metadata["ce_type"] = "boxoffice.StatusChanged.v1"
	msg.Metadata[messaging.KeyMetadata] = n.OrderID
	return msg, nil
}
