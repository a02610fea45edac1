package messaging

import (
	"context"
	"errors"

	"github.com/IBM/sarama"
)

// ReadNewest calls fn with the newest messages of each partition of a topic, at most so many of each, oldest first
// within a partition. Like ReadTopic it belongs to no group. A topic that does not exist has none. The first error
// of fn ends it.
func ReadNewest(ctx context.Context, cfg Config, topic string, newest int64, fn func(partition int32, msg Message) error) error {
	client, err := openReader(cfg)
	if err != nil {
		return err
	}
	err = readAll(ctx, client, cfg, topic, func(b Bounds) Bounds {
		b.Oldest = max(b.Oldest, b.Newest-newest)
		return b
	}, func(in *sarama.ConsumerMessage) error { return fn(in.Partition, received(ctx, in)) })
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = nil
	}
	return errors.Join(err, client.Close())
}
