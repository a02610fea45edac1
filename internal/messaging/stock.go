package messaging

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// OpenSingle returns watermill-kafka's publisher: one round trip per message, many callers at once, and it
// goes on after errors. It is for dead letters and refusals, which are few and have no order among them.
func OpenSingle(cfg Config, logger watermill.LoggerAdapter) (message.Publisher, error) {
	s, err := cfg.producer()
	if err != nil {
		return nil, err
	}
	p, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: cfg.Brokers, Marshaler: prefixed{prefix: cfg.TopicPrefix}, OverwriteSaramaConfig: s,
	}, logger)
	if err != nil {
		return nil, fmt.Errorf("open publisher: %w", err)
	}
	return p, nil
}

// prefixed puts the prefix before the topic, which watermill-kafka's publisher has no place for.
type prefixed struct {
	Marshaler
	prefix string
}

func (p prefixed) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	return p.Marshaler.Marshal(p.prefix+topic, msg)
}

// OpenSerial returns watermill-kafka's subscriber for one handler: one message at a time and partition, so
// that throughput is partitions over the handler's latency. A nacked message is repeated for ever.
func OpenSerial(cfg Config, group string, logger watermill.LoggerAdapter) (message.Subscriber, error) {
	s, err := cfg.member(cfg.Group(group), windowBuffer)
	if err != nil {
		return nil, err
	}
	sub, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: cfg.Brokers, ConsumerGroup: cfg.Group(group), Unmarshaler: Marshaler{}, OverwriteSaramaConfig: s,
	}, logger)
	if err != nil {
		return nil, fmt.Errorf("open subscriber %s: %w", group, err)
	}
	return &serial{Subscriber: sub, cfg: cfg}, nil
}

type serial struct {
	*kafka.Subscriber
	cfg Config
}

// Subscribe subscribes to the topic of that name behind the prefix.
func (s *serial) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	return s.Subscriber.Subscribe(ctx, s.cfg.topic(topic))
}
