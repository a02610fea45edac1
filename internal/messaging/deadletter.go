package messaging

import (
	"fmt"
	"maps"
	"strconv"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// Metadata of a dead letter besides the message's own. Reason, topic and group use the names of Watermill's poison queue.
const (
	DeadReason    = middleware.ReasonForPoisonedKey
	DeadTopic     = middleware.PoisonedTopicKey
	DeadGroup     = middleware.PoisonedSubscriberKey
	DeadPartition = "boxoffice_dead_partition"
	DeadOffset    = "boxoffice_dead_offset"
	DeadCut       = "boxoffice_dead_cut" // bytes of the payload that were left out; the whole is where topic, partition and offset say
)

// RelayGroup is the DeadGroup of letters that the relay writes: they never were in a topic, and stand in the log.
const RelayGroup = "relay"

// Limits of a dead letter, so that a message of the largest size still fits with what is added.
const (
	maxReason      = 1 << 10
	maxDeadPayload = 900_000
)

func deadLetter(in *sarama.ConsumerMessage, topic, group string, reason error) *message.Message {
	msg, _ := Marshaler{}.Unmarshal(in) // never fails
	msg.Metadata.Set(KeyMetadata, string(in.Key))
	fitHeaders(msg.Metadata, topic)
	msg.Metadata.Set(DeadPartition, strconv.Itoa(int(in.Partition)))
	msg.Metadata.Set(DeadOffset, strconv.FormatInt(in.Offset, 10))
	bury(msg, topic, group, reason)
	return msg
}

// bury adds to a message what makes it a dead letter, and cuts its payload where it would not fit. Of a command
// nothing is kept: it may name its buyer, and people are named in no other topic.
func bury(msg *message.Message, topic, group string, reason error) {
	msg.Metadata.Set(DeadReason, cut(reason.Error(), maxReason))
	msg.Metadata.Set(DeadTopic, topic)
	msg.Metadata.Set(DeadGroup, group)
	keep := maxDeadPayload
	if topic == CommandsTopic {
		keep = 0
	}
	if over := len(msg.Payload) - keep; over > 0 {
		msg.Metadata.Set(DeadCut, strconv.Itoa(over))
		msg.Payload = msg.Payload[:keep]
	}
}

// Unsent is the dead letter of a message that can't be published on a topic, see CheckSize. It fits itself,
// because whatever is long in it is cut.
func Unsent(msg *message.Message, topic, group string, reason error) *message.Message {
	letter := message.NewMessage(msg.UUID, msg.Payload)
	letter.Metadata = maps.Clone(msg.Metadata)
	if _, given := letter.Metadata[KeyMetadata]; !given {
		letter.Metadata.Set(KeyMetadata, letter.Metadata[subjectMetadata]) // an empty subject is no key, but no reason to stop
	}
	fitHeaders(letter.Metadata, topic)
	bury(letter, topic, group, reason)
	return letter
}

// surelyFits is what a message without its overhead may have so that nothing has to be counted exactly.
const surelyFits = maxMessageBytes / 2

// CheckSize returns why a message can't be published on a topic, whoever tries it how often: ErrNoKey, or it is
// larger than what is sent at once. nil if it can.
func CheckSize(topic string, msg *message.Message) error {
	size := len(msg.Payload)
	for name, value := range msg.Metadata {
		size += len(name) + len(value)
	}
	if _, given := msg.Metadata[KeyMetadata]; size < surelyFits && (given || msg.Metadata[subjectMetadata] != "") {
		return nil
	}
	m, err := Marshaler{}.Marshal(topic, msg)
	if err != nil {
		return err
	}
	return checkSize(m, msg.UUID, topic)
}

func checkSize(m *sarama.ProducerMessage, id, topic string) error {
	if size := m.ByteSize(recordVersion); size > maxMessageBytes {
		return fmt.Errorf("message %s for %s: %w (%d bytes, at most %d)", id, topic, sarama.ErrMessageSizeTooLarge, size, maxMessageBytes)
	}
	return nil
}

// cut shortens text to at most n bytes without splitting a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
