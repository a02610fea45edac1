package messaging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/IBM/sarama"
)

// TopicState is how a topic is set up on the brokers. Numbers that the brokers don't tell are -1.
type TopicState struct {
	Topic        string // without prefix
	Exists       bool
	Partitions   int
	Leaderless   int   // partitions that nobody can write to now
	Replication  int   // the fewest copies of a partition
	MinInSync    int64 // copies that must have a message before it counts as written
	Retention    int64 // milliseconds; -1 without KeepsForever: not told
	KeepsForever bool  // no age or size ends a message
	MaxMessage   int64 // bytes of the largest batch of messages
	Compacted    bool  // old messages of a key are removed
}

// Largest is how large a batch of messages must be allowed to be, in bytes.
const Largest = maxMessageBytes

// Inspect asks the brokers how topics are set up; brokers is how many there are.
func (g *Gauge) Inspect(ctx context.Context, topics ...string) (states []TopicState, brokers int, err error) {
	admin, err := sarama.NewClusterAdminFromClient(g.client) // closing it would close the client
	if err != nil {
		return nil, 0, fmt.Errorf("inspect topics: %w", err)
	}
	described, err := admin.DescribeTopics(g.cfg.topics(topics))
	if err != nil {
		return nil, 0, fmt.Errorf("describe topics: %w", err)
	}
	for _, topic := range topics {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		state := TopicState{Topic: topic, MinInSync: -1, Retention: -1, MaxMessage: -1}
		at := slices.IndexFunc(described, func(m *sarama.TopicMetadata) bool { return m.Name == g.cfg.topic(topic) })
		if at >= 0 && !errors.Is(described[at].Err, sarama.ErrUnknownTopicOrPartition) {
			state.describe(described[at])
			resource := []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: g.cfg.topic(topic)}}
			results, err := admin.DescribeConfigs(resource, sarama.DescribeConfigsOptions{})
			if err != nil {
				return nil, 0, fmt.Errorf("settings of %s: %w", topic, err)
			}
			for _, result := range results {
				state.configure(result.Configs)
			}
		}
		states = append(states, state)
	}
	return states, len(g.client.Brokers()), nil
}

func (s *TopicState) describe(m *sarama.TopicMetadata) {
	s.Exists, s.Partitions = true, len(m.Partitions)
	for _, p := range m.Partitions {
		if p.Leader < 0 {
			s.Leaderless++
		}
		if s.Replication == 0 || len(p.Replicas) < s.Replication {
			s.Replication = len(p.Replicas)
		}
	}
}

func (s *TopicState) configure(entries []sarama.ConfigEntry) {
	bytes := int64(-1)
	for _, e := range entries {
		n, err := strconv.ParseInt(e.Value, 10, 64)
		switch {
		case e.Name == "cleanup.policy":
			s.Compacted = e.Value != "delete" && e.Value != ""
		case err != nil:
		case e.Name == "min.insync.replicas":
			s.MinInSync = n
		case e.Name == "max.message.bytes":
			s.MaxMessage = n
		case e.Name == "retention.bytes":
			bytes = n
		case e.Name == "retention.ms":
			s.Retention, s.KeepsForever = n, n < 0
		}
	}
	s.KeepsForever = s.KeepsForever && bytes < 0
}
