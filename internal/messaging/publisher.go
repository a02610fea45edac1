package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// ErrPublisherEnded: an earlier Publish failed, or the publisher is closed. Open a new one.
var ErrPublisherEnded = errors.New("publisher has ended")

// UnconfirmedError says which messages of a Publish are not known to be written. They may be; those that
// are not named here are.
type UnconfirmedError struct {
	Topic    string
	Messages []*message.Message // in the order they were given
	Err      error
}

func (e *UnconfirmedError) Error() string {
	return fmt.Sprintf("%d messages for %s are not confirmed: %v", len(e.Messages), e.Topic, e.Err)
}

func (e *UnconfirmedError) Unwrap() error { return e.Err }

// Publisher is a message.Publisher that sends each call's messages as one batch, idempotent and
// acknowledged by all replicas. The first failure ends it: nothing after the first unconfirmed message of a
// partition is sent, so whoever re-sends from there on a new Publisher keeps the order of every key.
//
// Sarama's own SyncProducer does not keep it: when it gives a batch up, it starts a new producer epoch and
// sends the batches that wait behind it.
type Publisher struct {
	cfg       Config
	marshaler Marshaler

	mu       sync.Mutex
	producer *producer
	ended    error
}

// Open connects to the brokers and returns a new Publisher.
func Open(cfg Config) (*Publisher, error) {
	s, err := cfg.producer()
	if err != nil {
		return nil, err
	}
	p, err := newProducer(cfg.Brokers, s)
	if err != nil {
		return nil, fmt.Errorf("open publisher: %w", err)
	}
	return &Publisher{cfg: cfg, producer: p}, nil
}

// Publish returns when all messages are written. Otherwise the error is an *UnconfirmedError, or about a
// message that can't be sent at all (ErrNoKey, too large), and then nothing was sent. The context of the
// first message counts for all of them.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	if len(messages) == 0 {
		return nil
	}
	out := make([]*sarama.ProducerMessage, len(messages))
	for i, msg := range messages {
		m, err := p.marshaler.Marshal(p.cfg.topic(topic), msg)
		if err != nil {
			return err
		}
		if err := checkSize(m, msg.UUID, topic); err != nil {
			return err
		}
		m.Metadata = msg
		out[i] = m
	}
	return p.send(messages[0].Context(), topic, out)
}

func (p *Publisher) send(ctx context.Context, topic string, out []*sarama.ProducerMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return fmt.Errorf("%w: %w", ErrPublisherEnded, p.ended)
	}
	unconfirmed, err := p.producer.send(ctx, p.cfg.topic(topic), out)
	if err == nil {
		return nil
	}
	p.ended = err
	failed := &UnconfirmedError{Topic: topic, Err: err, Messages: make([]*message.Message, len(unconfirmed))}
	for i, m := range unconfirmed {
		failed.Messages[i], _ = m.Metadata.(*message.Message)
	}
	return failed
}

// Close disconnects, after a Publish that is still running.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = errors.New("closed")
	}
	if p.producer == nil {
		return nil
	}
	err := p.producer.close()
	p.producer = nil
	if err != nil {
		return fmt.Errorf("close publisher: %w", err)
	}
	return nil
}
