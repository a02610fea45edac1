package messaging

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Errors of dead letters.
var (
	// ErrNoMessage: there is no message at that place, or not any more.
	ErrNoMessage = errors.New("no such message")
	// ErrNotRetryable: a dead letter can't be sent again. What it says is final.
	ErrNotRetryable = errors.New("dead letter can't be sent again")
)

// DeadLetter is a message that could not be processed, as it was, and why.
type DeadLetter struct {
	Partition  int32 // with Offset: its place in dead-letter-topic
	Offset     int64
	At         time.Time // when it became a dead letter
	Reason     string
	Group      string // who could not process it; RelayGroup: it could not be sent
	Topic      string // where it was, or should have gone, without prefix
	From       Place  // where it was; zero for the relay's
	Cut        int64  // bytes that are missing at the end of the payload,
	HeadersCut int64  // and of headers and key
	Key        string
	Message    *message.Message // without what made it a dead letter
}

// Place is where a message stands in its topic. Known is false where nobody has told.
type Place struct {
	Partition int32
	Offset    int64
	Known     bool
}

// Digest tells a letter from another one that later stands at its place, in a topic that was made anew.
func (l DeadLetter) Digest() string {
	const shown = 8 // bytes
	h := sha256.New()
	for _, part := range []string{l.Reason, l.Group, l.Topic, strconv.Itoa(int(l.From.Partition)), strconv.FormatInt(l.From.Offset, 10), l.Key} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(l.Message.Payload)
	return hex.EncodeToString(h.Sum(nil)[:shown])
}

// ReadDeadLetters calls fn with the newest letters of each partition, at most so many of each, oldest first
// within a partition. The first error of fn ends it.
func ReadDeadLetters(ctx context.Context, cfg Config, newest int64, fn func(DeadLetter) error) error {
	client, err := openReader(cfg)
	if err != nil {
		return err
	}
	err = readAll(ctx, client, cfg, DeadLetterTopic, func(b Bounds) Bounds {
		b.Oldest = max(b.Oldest, b.Newest-newest)
		return b
	}, func(in *sarama.ConsumerMessage) error { return fn(asLetter(in)) })
	return errors.Join(err, client.Close())
}

// ReadDeadLetter reads the letter at a place. Errors: ErrNoMessage.
func ReadDeadLetter(ctx context.Context, cfg Config, partition int32, offset int64) (DeadLetter, error) {
	in, err := readOne(ctx, cfg, DeadLetterTopic, partition, offset)
	if err != nil {
		return DeadLetter{}, err
	}
	return asLetter(in), nil
}

// Original is the message as it was before it became a dead letter, ready to be published on its topic again.
// What was cut is read where the message came from. Errors: ErrNotRetryable, with the reason.
func (l DeadLetter) Original(ctx context.Context, cfg Config) (*message.Message, error) {
	if !slices.Contains(Topics(), l.Topic) || l.Topic == DeadLetterTopic {
		return nil, fmt.Errorf("%w: it is not from a topic of this service but from %q", ErrNotRetryable, l.Topic)
	}
	if l.Group == RelayGroup {
		return nil, fmt.Errorf("%w: it does not fit into Kafka (%s); who reads the topics finds it in the log at position %s",
			ErrNotRetryable, l.Reason, l.Message.Metadata.Get("boxoffice_position"))
	}
	msg := message.NewMessage(l.Message.UUID, l.Message.Payload)
	msg.Metadata = maps.Clone(l.Message.Metadata)
	msg.Metadata.Set(KeyMetadata, l.Key)
	if l.Cut > 0 || l.HeadersCut > 0 {
		return l.uncut(ctx, cfg)
	}
	return msg, nil
}

// uncut reads the whole message where it came from.
func (l DeadLetter) uncut(ctx context.Context, cfg Config) (*message.Message, error) {
	missing := l.Cut + l.HeadersCut
	if !l.From.Known {
		return nil, fmt.Errorf("%w: %d bytes of it were cut, and it does not say where the whole is", ErrNotRetryable, missing)
	}
	in, err := readOne(ctx, cfg, l.Topic, l.From.Partition, l.From.Offset)
	if errors.Is(err, ErrNoMessage) {
		return nil, fmt.Errorf("%w: %d bytes of it were cut, and the whole is gone: %w", ErrNotRetryable, missing, err)
	}
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(in.Value, l.Message.Payload) || int64(len(in.Value)-len(l.Message.Payload)) != l.Cut || !strings.HasPrefix(string(in.Key), l.Key) {
		return nil, fmt.Errorf("%w: %d bytes of it were cut, and %s/%d has another message at %d", ErrNotRetryable, missing, l.Topic, l.From.Partition, l.From.Offset)
	}
	msg, _ := Marshaler{}.Unmarshal(in) // never fails
	msg.Metadata.Set(KeyMetadata, string(in.Key))
	return msg, nil
}

// asLetter takes apart what bury has put together.
func asLetter(in *sarama.ConsumerMessage) DeadLetter {
	msg, _ := Marshaler{}.Unmarshal(in) // never fails
	take := func(name string) string {
		value := msg.Metadata.Get(name)
		delete(msg.Metadata, name)
		return value
	}
	l := DeadLetter{
		Partition: in.Partition, Offset: in.Offset, At: in.Timestamp.UTC(), Key: string(in.Key), Message: msg,
		Reason: take(DeadReason), Group: take(DeadGroup), Topic: take(DeadTopic),
	}
	l.Cut, _ = strconv.ParseInt(take(DeadCut), 10, 64)
	l.HeadersCut, _ = strconv.ParseInt(take(DeadHeadersCut), 10, 64)
	partition, err := strconv.ParseInt(take(DeadPartition), 10, 32)
	offset, err2 := strconv.ParseInt(take(DeadOffset), 10, 64)
	if err == nil && err2 == nil {
		l.From = Place{int32(partition), offset, true}
	}
	return l
}

// errFound ends a reading that has what it looked for.
var errFound = errors.New("found")

// readOne reads one message. Errors: ErrNoMessage.
func readOne(ctx context.Context, cfg Config, topic string, partition int32, offset int64) (found *sarama.ConsumerMessage, err error) {
	client, err := openReader(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	err = readAll(ctx, client, cfg, topic, func(b Bounds) Bounds {
		if b.Partition != partition || offset < b.Oldest || offset >= b.Newest {
			return Bounds{}
		}
		b.Oldest, b.Newest = offset, offset+1
		return b
	}, func(in *sarama.ConsumerMessage) error {
		found = in
		return errFound
	})
	if found != nil && errors.Is(err, errFound) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %s/%d has none at offset %d", ErrNoMessage, topic, partition, offset)
}
