package messaging_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"boxoffice/internal/messaging"
)

func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	cfg.Partitions = 3

	t.Run("says which are missing where it may not create", func(t *testing.T) {
		careful := cfg
		careful.CreateTopics = false
		err := messaging.EnsureTopics(t.Context(), careful, messaging.Topics()...)
		if err == nil || !strings.Contains(err.Error(), cfg.TopicPrefix+"orders-topic") || !strings.Contains(err.Error(), "dead-letter-topic") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("creates them with the configured partitions, and twice does no harm", func(t *testing.T) {
		for range 2 {
			if err := messaging.EnsureTopics(t.Context(), cfg, messaging.Topics()...); err != nil {
				t.Fatal(err)
			}
		}
		for _, topic := range messaging.Topics() {
			if all, err := messaging.TopicBounds(t.Context(), cfg, topic); err != nil || len(all) != 3 {
				t.Errorf("%s: %d partitions, %v", topic, len(all), err)
			}
		}
	})
	t.Run("says that more replicas are wanted than there are brokers", func(t *testing.T) {
		careless := cfg
		careless.Replication = 3
		if err := messaging.EnsureTopics(t.Context(), careless, "other"); err == nil || !strings.Contains(err.Error(), "replication 3") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("asks for the configured replication, and for two copies of each message where there are three, for ever", func(t *testing.T) {
		cfg, k := newOwnKafka(t)
		var asked kmsg.CreateTopicsRequestTopic
		k.Server.Cluster().ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
			request, _ := r.(*kmsg.CreateTopicsRequest)
			asked = request.Topics[0]
			return nil, nil, false
		})
		replicated := cfg
		replicated.Partitions, replicated.Replication = 3, 3
		_ = messaging.EnsureTopics(t.Context(), replicated, "replicated")
		settings := map[string]string{}
		for _, c := range asked.Configs {
			settings[c.Name] = *c.Value
		}
		want := map[string]string{"min.insync.replicas": "2", "retention.ms": "-1"}
		if asked.ReplicationFactor != 3 || asked.NumPartitions != 3 || !maps.Equal(settings, want) {
			t.Errorf("got %+v with %v", asked, settings)
		}
		_ = messaging.EnsureTopics(t.Context(), cfg, messaging.CommandsTopic)
		week := strconv.FormatInt(messaging.CommandRetention.Milliseconds(), 10)
		if len(asked.Configs) != 1 || asked.Configs[0].Name != "retention.ms" || *asked.Configs[0].Value != week {
			t.Errorf("commands, which name people, are kept by %+v", asked.Configs)
		}
	})
	t.Run("waits for brokers until its context ends", func(t *testing.T) {
		away := cfg
		away.Brokers = []string{"127.0.0.1:1"}
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		if err := messaging.EnsureTopics(ctx, away, "topic"); !errors.Is(err, reason) {
			t.Errorf("got %v", err)
		}
	})
}

func TestReadTopic(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	newTopic(t, cfg, "topic", 4)

	t.Run("an empty topic has nothing to read", func(t *testing.T) {
		if got := read(t, cfg, "topic"); len(got) != 0 {
			t.Errorf("got %d messages", len(got))
		}
	})
	t.Run("reads every message once and each partition in order", func(t *testing.T) {
		publish(t, open(t, cfg), "topic", numbered(t, 0, 3000, 17)...)
		next := map[int32]int64{}
		seen := 0
		err := messaging.ReadTopic(t.Context(), cfg, "topic", func(partition int32, m messaging.Message) error {
			if m.Offset != next[partition] {
				t.Errorf("partition %d: offset %d, want %d", partition, m.Offset, next[partition])
			}
			next[partition]++
			seen++
			return m.Err
		})
		if err != nil || seen != 3000 {
			t.Errorf("got %d messages, %v", seen, err)
		}
	})
	t.Run("ends at the first error", func(t *testing.T) {
		seen := 0
		err := messaging.ReadTopic(t.Context(), cfg, "topic", func(int32, messaging.Message) error {
			seen++
			return errRefused
		})
		if !errors.Is(err, errRefused) || seen != 1 {
			t.Errorf("got %v after %d messages", err, seen)
		}
	})
	t.Run("names the bounds of every partition", func(t *testing.T) {
		all, err := messaging.TopicBounds(t.Context(), cfg, "topic")
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, b := range all {
			total += b.Newest - b.Oldest
		}
		if total != 3000 || !slices.IsSortedFunc(all, func(a, b messaging.Bounds) int { return int(a.Partition - b.Partition) }) {
			t.Errorf("got %+v", all)
		}
	})
}
