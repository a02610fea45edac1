package messaging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Topics, as the outside contract names them. On the brokers the configured prefix stands before them;
// everything this package takes or hands over is without it.
const (
	OrdersTopic       = "orders-topic"
	PaymentsTopic     = "payment-settlement-topic"
	NotificationTopic = "notification-topic"
	CommandsTopic     = "commands-topic"
	DeadLetterTopic   = "dead-letter-topic"
)

// CommandRetention is how long a created commands-topic keeps its messages: the only one that names people, and
// the only place where a forgotten customer may still be found.
const CommandRetention = 7 * 24 * time.Hour

// Limits of EnsureTopics.
const (
	topicWait     = 30 * time.Second // creation is not instant on a real broker
	topicPoll     = 100 * time.Millisecond
	brokerPoll    = time.Second
	defaultParts  = 8
	durableCopies = 3 // from this many copies on, two must have a message before it counts as written
)

// Topics returns the names of all topics.
func Topics() []string {
	return []string{OrdersTopic, PaymentsTopic, NotificationTopic, CommandsTopic, DeadLetterTopic}
}

// EventTopics returns the topics that the relay fills.
func EventTopics() []string { return []string{OrdersTopic, PaymentsTopic, NotificationTopic} }

func (c Config) topic(name string) string { return c.TopicPrefix + name }

func (c Config) topics(names []string) []string {
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = c.topic(name)
	}
	return full
}

func (c Config) bare(topic string) string { return strings.TrimPrefix(topic, c.TopicPrefix) }

// EnsureTopics makes sure that the topics exist and have leaders, creating them if CreateTopics is set, and
// else says which are missing. It waits up to 30 s for the brokers and the leaders. A topic that exists stays
// as it is: other partitions would tear the order of its keys.
func EnsureTopics(ctx context.Context, cfg Config, topics ...string) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("kafka configuration: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, topicWait, fmt.Errorf("not ready after %s", topicWait))
	defer cancel()
	client, err := awaitBrokers(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	missing, err := missingTopics(client, cfg.topics(topics))
	if err != nil {
		return err
	}
	if len(missing) > 0 && !cfg.CreateTopics {
		return fmt.Errorf("topics are missing on the brokers and may not be created: %s", strings.Join(missing, ", "))
	}
	if err := cfg.createTopics(client, missing); err != nil {
		return err
	}
	return awaitLeaders(ctx, client, cfg.topics(topics))
}

// awaitBrokers connects as soon as a broker answers: processes may start in any order.
func awaitBrokers(ctx context.Context, cfg Config) (sarama.Client, error) {
	wait := backoff{first: topicPoll, limit: brokerPoll}
	for {
		s, err := cfg.base()
		if err != nil {
			return nil, err
		}
		client, err := sarama.NewClient(cfg.Brokers, s)
		if err == nil {
			return client, nil
		}
		if !wait.wait(ctx) {
			return nil, fmt.Errorf("reach Kafka at %s: %w: %w", strings.Join(cfg.Brokers, ","), context.Cause(ctx), err)
		}
	}
}

func missingTopics(client sarama.Client, topics []string) ([]string, error) {
	if err := client.RefreshMetadata(); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	known, err := client.Topics()
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return slices.Contains(known, t) }), nil
}

func (c Config) createTopics(client sarama.Client, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	admin, err := sarama.NewClusterAdminFromClient(client) // closing it would close the client
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	detail := &sarama.TopicDetail{
		NumPartitions:     max(c.Partitions, 0),
		ReplicationFactor: max(c.Replication, 1),
	}
	if detail.NumPartitions == 0 {
		detail.NumPartitions = defaultParts
	}
	two := "2"
	for _, topic := range topics {
		retention := retentionOf(c.bare(topic))
		detail.ConfigEntries = map[string]*string{"retention.ms": &retention}
		if detail.ReplicationFactor >= durableCopies {
			detail.ConfigEntries["min.insync.replicas"] = &two
		}
		err := admin.CreateTopic(topic, detail, false)
		if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) { // somebody else may be quicker
			return fmt.Errorf("create topic %s (%d partitions, replication %d): %w", topic, detail.NumPartitions, detail.ReplicationFactor, err)
		}
	}
	return nil
}

// retentionOf is how long a topic keeps its messages, as brokers are told. Readers of events begin at their own
// checkpoints, however old, so nothing of these goes by age. Commands may name their buyers.
func retentionOf(topic string) string {
	if topic == CommandsTopic {
		return strconv.FormatInt(CommandRetention.Milliseconds(), 10)
	}
	return "-1"
}

func awaitLeaders(ctx context.Context, client sarama.Client, topics []string) error {
	for {
		err := allLed(client, topics)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(topicPoll):
		case <-ctx.Done():
			return fmt.Errorf("wait for topics: %w: %w", context.Cause(ctx), err)
		}
	}
}

func allLed(client sarama.Client, topics []string) error {
	if err := client.RefreshMetadata(topics...); err != nil {
		return err
	}
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return fmt.Errorf("%s: %w", topic, err)
		}
		led, err := client.WritablePartitions(topic)
		if err != nil {
			return fmt.Errorf("%s: %w", topic, err)
		}
		if len(led) < len(partitions) || len(led) == 0 {
			return fmt.Errorf("%s: %d of %d partitions have a leader", topic, len(led), len(partitions))
		}
	}
	return nil
}
