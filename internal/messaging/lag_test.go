package messaging

import (
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func TestAGaugeLooksOn(t *testing.T) {
	kafka := devstack.Kafka(t)
	cfg := Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix, Partitions: 2, Replication: 1, CreateTopics: true}
	gauge, err := OpenGauge(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gauge.Close() })
	if bounds, err := gauge.Bounds(t.Context(), OrdersTopic); err != nil || len(bounds) != 0 {
		t.Errorf("a topic that is not there has %v %v", bounds, err)
	}
	if err := EnsureTopics(t.Context(), cfg, OrdersTopic); err != nil {
		t.Fatal(err)
	}
	publisher, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 120_000_000, time.UTC)
	for i := range 3 {
		msg := message.NewMessage("m", []byte(`{}`))
		msg.Metadata.Set(KeyMetadata, "show-1")
		msg.Metadata.Set(eventstore.HeaderTime, at.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano))
		if err := publisher.Publish(OrdersTopic, msg); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	bounds, err := gauge.Bounds(t.Context(), OrdersTopic)
	if err != nil || len(bounds) != 2 {
		t.Fatalf("%v %v", bounds, err)
	}
	full := bounds[0]
	if full.Newest == 0 {
		full = bounds[1]
	}
	t.Run("at where a topic ends", func(t *testing.T) {
		if full.Newest != 3 || bounds[0].Newest+bounds[1].Newest != 3 {
			t.Errorf("%v", bounds)
		}
	})
	t.Run("at when a message's event was", func(t *testing.T) {
		if got, err := gauge.TimeAt(t.Context(), full.Claim, 1); err != nil || !got.Equal(at.Add(time.Second)) {
			t.Errorf("%s %v", got, err)
		}
	})
	t.Run("at a group that never was", func(t *testing.T) {
		if committed, err := gauge.Committed("nobody", OrdersTopic, bounds); err != nil || len(committed) != 0 {
			t.Errorf("%v %v", committed, err)
		}
	})
	t.Run("at how topics are set up", func(t *testing.T) {
		states, brokers, err := gauge.Inspect(t.Context(), OrdersTopic, CommandsTopic)
		if err != nil || brokers < 1 || len(states) != 2 {
			t.Fatalf("%v %d %v", states, brokers, err)
		}
		if s := states[0]; !s.Exists || s.Partitions != 2 || s.Replication != 1 || !s.KeepsForever || s.Compacted || s.Leaderless != 0 || s.Topic != OrdersTopic {
			t.Errorf("%+v", s)
		}
		if states[1].Exists {
			t.Errorf("%+v", states[1])
		}
	})
	t.Run("and says so when nobody is there", func(t *testing.T) {
		if _, err := OpenGauge(Config{Brokers: []string{"127.0.0.1:1"}}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%v", err)
		}
	})
}
