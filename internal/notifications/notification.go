package notifications

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// StatusChanged is the ce_type of the messages that are understood here.
const StatusChanged = "boxoffice.StatusChanged.v1"

// Words of a notification beside an order's statuses and reasons.
const (
	Rejected = "REJECTED" // the status of a message of commands-topic that was refused; Code says why
	Refunded = "REFUNDED" // the reason of a payment whose money has gone back
)

// Limits of a message.
const (
	maxID      = 255      // bytes
	maxPayload = 64 << 10 // bytes
)

// errUnreadable: a message is not news of ours. Repeating will not help.
var errUnreadable = errors.New("not a notification")

// Notification is one change of status of an order or payment. It has no personal data.
type Notification struct {
	ID        string    `json:"id"`                  // the same however often it is published
	Stream    string    `json:"stream,omitempty"`    // of the event behind it
	Version   int64     `json:"version,omitempty"`   // of the event behind it; 0: there is none
	OrderID   string    `json:"orderId,omitempty"`   // empty: no order came of it
	PaymentID string    `json:"paymentId,omitempty"` // where it is the payment that changed
	Status    string    `json:"status"`
	Previous  string    `json:"previous,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Code      string    `json:"code,omitempty"` // of a refusal
	ShowID    int64     `json:"showId,omitempty"`
	At        time.Time `json:"at"`
	Source    string    `json:"source,omitempty"`    // of the message of commands-topic that it answers
	CommandID string    `json:"commandId,omitempty"` // of the same
}

// Is reports whether it tells that an order itself has come to a status.
func (n Notification) Is(status domain.OrderStatus) bool {
	return n.OrderID != "" && n.PaymentID == "" && n.Status == string(status)
}

// IsRefund reports whether it tells that money has gone back.
func (n Notification) IsRefund() bool { return n.PaymentID != "" && n.Reason == Refunded }

// Parse reads a message of notification-topic. Members that it does not know are ignored: newer programs may add some.
func Parse(msg *message.Message) (Notification, error) {
	if kind := msg.Metadata[eventstore.HeaderType]; kind != StatusChanged {
		return Notification{}, fmt.Errorf("%w: %s is %q", errUnreadable, eventstore.HeaderType, kind)
	}
	if len(msg.Payload) > maxPayload {
		return Notification{}, fmt.Errorf("%w: it has %d bytes", errUnreadable, len(msg.Payload))
	}
	var n Notification
	if err := json.Unmarshal(msg.Payload, &n); err != nil {
		return Notification{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	n.ID, n.Stream = msg.Metadata[eventstore.HeaderID], msg.Metadata[eventstore.HeaderSubject]
	n.Version = 0
	if version := msg.Metadata[eventstore.HeaderVersion]; version != "" {
		var err error
		if n.Version, err = strconv.ParseInt(version, 10, 64); err != nil {
			return Notification{}, fmt.Errorf("%w: %s is %q", errUnreadable, eventstore.HeaderVersion, version)
		}
	}
	switch {
	case n.ID == "" || len(n.ID) > maxID || !printable(n.ID):
		return Notification{}, fmt.Errorf("%w: %s is %q", errUnreadable, eventstore.HeaderID, n.ID)
	case n.Status == "":
		return Notification{}, fmt.Errorf("%w: it has no status", errUnreadable)
	case n.At.IsZero() || n.At.Year() > lastYear:
		return Notification{}, fmt.Errorf("%w: at is %s", errUnreadable, n.At)
	}
	return n, nil
}

// lastYear is the last that a time of ours may have: both JSON and Postgres know it.
const lastYear = 9999

// printable reports whether a text can be stored and shown as it is.
func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}
