package messaging

import (
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata keys that this package reads or sets.
const (
	// KeyMetadata gives a message another key than its subject. It is not published.
	KeyMetadata = "boxoffice_key"
	// subjectMetadata is the CloudEvents subject: the stream, and the key unless KeyMetadata is there.
	subjectMetadata = "ce_subject"
	// undecodableMetadata says why a received message could not be decoded.
	undecodableMetadata = "boxoffice_undecodable"
)

// ErrNoKey: a message has neither a subject nor KeyMetadata. Without a key its place in the order is lost.
var ErrNoKey = errors.New("message without a key")

// Marshaler turns messages into Kafka's and back in the form of watermill-kafka: the payload is the value,
// metadata are headers. The key is KeyMetadata (where it is empty, none) or else the subject.
type Marshaler struct {
	inner kafka.MarshalerUnmarshaler // nil: watermill-kafka's
}

func (m Marshaler) form() kafka.MarshalerUnmarshaler {
	if m.inner == nil {
		return kafka.DefaultMarshaler{}
	}
	return m.inner
}

// Marshal returns the message for Kafka. ErrNoKey where it has no key.
func (m Marshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	key, given := msg.Metadata[KeyMetadata]
	if !given {
		if key = msg.Metadata[subjectMetadata]; key == "" {
			return nil, fmt.Errorf("message %s for %s: %w", msg.UUID, topic, ErrNoKey)
		}
	}
	out, err := m.form().Marshal(topic, msg)
	if err != nil {
		return nil, fmt.Errorf("message %s for %s: %w", msg.UUID, topic, err)
	}
	if given {
		out.Headers = slices.DeleteFunc(out.Headers, func(h sarama.RecordHeader) bool { return string(h.Key) == KeyMetadata })
	}
	if key != "" {
		out.Key = sarama.StringEncoder(key)
	}
	return out, nil
}

// Unmarshal never fails, because a subscriber that can't decode a message stays at it for ever: the message
// is handed over with its raw value, and Undecodable says why.
func (m Marshaler) Unmarshal(in *sarama.ConsumerMessage) (*message.Message, error) {
	msg, err := m.form().Unmarshal(in)
	if err != nil {
		msg = message.NewMessage("", in.Value)
		msg.Metadata.Set(undecodableMetadata, err.Error())
		return msg, nil
	}
	delete(msg.Metadata, undecodableMetadata) // ours to set, not the sender's
	return msg, nil
}

// Undecodable returns why a received message could not be decoded, nil if it could. The error is permanent.
func Undecodable(msg *message.Message) error {
	if reason := msg.Metadata.Get(undecodableMetadata); reason != "" {
		return Permanent(errors.New(reason))
	}
	return nil
}
