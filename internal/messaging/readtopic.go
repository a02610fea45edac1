package messaging

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// readSilence is how long a reader that is not at the end waits for a message.
const readSilence = 30 * time.Second

// Bounds are where a partition's messages begin and end.
type Bounds struct {
	Claim
	Oldest int64 // of the first message that is still there
	Newest int64 // of the next message to be written
}

// TopicBounds returns the bounds of all partitions of a topic, in their order.
func TopicBounds(ctx context.Context, cfg Config, topic string) ([]Bounds, error) {
	client, err := openReader(cfg)
	if err != nil {
		return nil, err
	}
	all, err := allBounds(ctx, client, cfg, topic)
	return all, errors.Join(err, client.Close())
}

// ReadTopic calls fn with every message of the topic that is there now: partition after partition, each from
// its oldest message to what is its end when ReadTopic begins. It belongs to no group and marks nothing. The
// first error of fn ends it.
func ReadTopic(ctx context.Context, cfg Config, topic string, fn func(partition int32, msg Message) error) error {
	client, err := openReader(cfg)
	if err != nil {
		return err
	}
	err = readAll(ctx, client, cfg, topic, everything, func(in *sarama.ConsumerMessage) error {
		return fn(in.Partition, received(ctx, in))
	})
	return errors.Join(err, client.Close())
}

// everything leaves a partition's bounds as they are.
func everything(b Bounds) Bounds { return b }

func openReader(cfg Config) (sarama.Client, error) {
	s, err := cfg.reader(batchBuffer)
	if err != nil {
		return nil, err
	}
	client, err := sarama.NewClient(cfg.Brokers, s)
	if err != nil {
		return nil, fmt.Errorf("reach Kafka at %s: %w", strings.Join(cfg.Brokers, ","), err)
	}
	return client, nil
}

func allBounds(ctx context.Context, client sarama.Client, cfg Config, topic string) ([]Bounds, error) {
	partitions, err := client.Partitions(cfg.topic(topic))
	if err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	all := make([]Bounds, len(partitions))
	for i, partition := range partitions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all[i].Claim = Claim{topic, partition}
		if err := withLeader(ctx, client, cfg.topic(topic), func() (err error) {
			all[i].Oldest, all[i].Newest, err = bounds(client, cfg.topic(topic), partition)
			return err
		}); err != nil {
			return nil, fmt.Errorf("%s/%d: %w", topic, partition, err)
		}
	}
	return all, nil
}

// leaderPatience is how long a partition may have no leader that serves it: brokers tell of a new topic, and of a
// leader that has moved, before that one does.
const leaderPatience = 5 * time.Second

// withLeader tries again while the partition's leader is not ready.
func withLeader(ctx context.Context, client sarama.Client, topic string, try func() error) error {
	for until := time.Now().Add(leaderPatience); ; {
		err := try()
		moving := errors.Is(err, sarama.ErrNotLeaderForPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable)
		if !moving || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(topicPoll):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
		if err := client.RefreshMetadata(topic); err != nil {
			return fmt.Errorf("find the leaders of %s: %w", topic, err)
		}
	}
}

// readAll reads all partitions of a topic one after the other, each within the part of its bounds that is wanted.
func readAll(ctx context.Context, client sarama.Client, cfg Config, topic string, part func(Bounds) Bounds, fn func(*sarama.ConsumerMessage) error) error {
	all, err := allBounds(ctx, client, cfg, topic)
	if err != nil {
		return err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	for _, b := range all {
		if b = part(b); b.Oldest >= b.Newest {
			continue
		}
		if err := readPartition(ctx, consumer, cfg, b, fn); err != nil {
			return errors.Join(fmt.Errorf("read %s/%d: %w", topic, b.Partition, err), consumer.Close())
		}
	}
	return consumer.Close()
}

func readPartition(ctx context.Context, consumer sarama.Consumer, cfg Config, b Bounds, fn func(*sarama.ConsumerMessage) error) (err error) {
	reader, err := consumer.ConsumePartition(cfg.topic(b.Topic), b.Partition, b.Oldest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	silence := time.NewTimer(readSilence)
	defer silence.Stop()
	for {
		select {
		case in, open := <-reader.Messages():
			if !open {
				return errors.New("the broker ended the reading")
			}
			if in.Offset >= b.Newest {
				return nil
			}
			if err := fn(in); err != nil {
				return err
			}
			if in.Offset == b.Newest-1 {
				return nil
			}
			silence.Reset(readSilence)
		case err := <-reader.Errors():
			return err
		case <-silence.C:
			return fmt.Errorf("no message for %s before offset %d", readSilence, b.Newest)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
