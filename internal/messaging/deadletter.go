package messaging

import (
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
	DeadCut       = "boxoffice_dead_cut" // bytes of the payload that did not fit; the whole is where topic, partition and offset say
)

// Limits of a dead letter, so that a message of the largest size still fits with what is added.
const (
	maxReason      = 1 << 10
	maxDeadPayload = 900_000
)

func deadLetter(in *sarama.ConsumerMessage, topic, group string, reason error) *message.Message {
	msg, _ := Marshaler{}.Unmarshal(in) // never fails
	msg.Metadata.Set(KeyMetadata, string(in.Key))
	msg.Metadata.Set(DeadReason, cut(reason.Error(), maxReason))
	msg.Metadata.Set(DeadTopic, topic)
	msg.Metadata.Set(DeadGroup, group)
	msg.Metadata.Set(DeadPartition, strconv.Itoa(int(in.Partition)))
	msg.Metadata.Set(DeadOffset, strconv.FormatInt(in.Offset, 10))
	if over := len(msg.Payload) - maxDeadPayload; over > 0 {
		msg.Metadata.Set(DeadCut, strconv.Itoa(over))
		msg.Payload = msg.Payload[:maxDeadPayload]
	}
	return msg
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
