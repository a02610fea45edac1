package messaging

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"boxoffice/eventstore"
)

// Limits of a Gauge: whoever looks on must not wait for a broker that hangs.
const (
	gaugeTimeout = 3 * time.Second // for a connection, for an answer
	gaugeFetch   = 64 << 10        // bytes asked for to see one message
)

// Gauge looks how far readers of topics are behind, without being one of them. It keeps its connections and is
// safe for concurrent use.
type Gauge struct {
	cfg    Config
	client sarama.Client
}

// OpenGauge connects. Errors: the brokers can't be reached.
func OpenGauge(cfg Config) (*Gauge, error) {
	s, err := cfg.reader(1)
	if err != nil {
		return nil, err
	}
	s.Net.DialTimeout, s.Net.ReadTimeout, s.Net.WriteTimeout = gaugeTimeout, gaugeTimeout, gaugeTimeout
	s.Metadata.Retry.Max, s.Metadata.Timeout = 1, 2*gaugeTimeout
	s.Consumer.Fetch.Default = gaugeFetch
	client, err := sarama.NewClient(cfg.Brokers, s)
	if err != nil {
		return nil, fmt.Errorf("reach Kafka at %s: %w", strings.Join(cfg.Brokers, ","), err)
	}
	return &Gauge{cfg, client}, nil
}

// Close closes the connections.
func (g *Gauge) Close() error { return g.client.Close() }

// Bounds are where the topic's partitions begin and end. A topic that does not exist has none.
func (g *Gauge) Bounds(ctx context.Context, topic string) ([]Bounds, error) {
	all, err := allBounds(ctx, g.client, g.cfg, topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		return nil, nil
	}
	return all, err
}

// Committed is the offset that a group reads next in each partition of a topic, as far as it has committed one.
func (g *Gauge) Committed(group, topic string, bounds []Bounds) (map[Claim]int64, error) {
	partitions := make([]int32, len(bounds))
	for i, b := range bounds {
		partitions[i] = b.Partition
	}
	admin, err := sarama.NewClusterAdminFromClient(g.client) // closing it would close the client
	if err != nil {
		return nil, fmt.Errorf("offsets of %s: %w", group, err)
	}
	answer, err := admin.ListConsumerGroupOffsets(g.cfg.Group(group), map[string][]int32{g.cfg.topic(topic): partitions})
	if err == nil && answer.Err != sarama.ErrNoError {
		err = answer.Err
	}
	if errors.Is(err, sarama.ErrGroupIDNotFound) { // nobody has been in it
		return map[Claim]int64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of %s: %w", group, err)
	}
	committed := map[Claim]int64{}
	for _, partition := range partitions {
		if block := answer.GetBlock(g.cfg.topic(topic), partition); block != nil && block.Err == sarama.ErrNoError && block.Offset >= 0 {
			committed[Claim{topic, partition}] = block.Offset
		}
	}
	return committed, nil
}

// TimeAt is the time of the first message at or after an offset: its event's, where it says so, else Kafka's.
// The offset must be within the partition's bounds.
func (g *Gauge) TimeAt(ctx context.Context, claim Claim, offset int64) (at time.Time, err error) {
	consumer, err := sarama.NewConsumerFromClient(g.client)
	if err != nil {
		return at, fmt.Errorf("read %s/%d: %w", claim.Topic, claim.Partition, err)
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	reader, err := consumer.ConsumePartition(g.cfg.topic(claim.Topic), claim.Partition, offset)
	if err != nil {
		return at, fmt.Errorf("read %s/%d at %d: %w", claim.Topic, claim.Partition, offset, err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	limit := time.NewTimer(gaugeTimeout)
	defer limit.Stop()
	select {
	case in, open := <-reader.Messages():
		if !open {
			return at, fmt.Errorf("read %s/%d at %d: the broker ended the reading", claim.Topic, claim.Partition, offset)
		}
		return timeOf(in), nil
	case err := <-reader.Errors():
		return at, err
	case <-limit.C:
		return at, fmt.Errorf("read %s/%d at %d: no message within %s", claim.Topic, claim.Partition, offset, gaugeTimeout)
	case <-ctx.Done():
		return at, ctx.Err()
	}
}

func timeOf(in *sarama.ConsumerMessage) time.Time {
	for _, header := range in.Headers {
		if header == nil || string(header.Key) != eventstore.HeaderTime {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, string(header.Value)); err == nil {
			return at.UTC()
		}
	}
	return in.Timestamp.UTC()
}
