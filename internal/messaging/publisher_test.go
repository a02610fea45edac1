package messaging_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"boxoffice/internal/messaging"
)

func counted(first, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(first + i)
	}
	return all
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)

	t.Run("writes a batch in order, idempotent, to all replicas, in one request", func(t *testing.T) {
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "batch", 1)
		var requests, careless atomic.Int64
		onProduce(k, func(r *kmsg.ProduceRequest) int16 {
			requests.Add(1)
			var batch kmsg.RecordBatch
			if err := batch.ReadFrom(r.Topics[0].Partitions[0].Records); err != nil || batch.ProducerID < 0 || r.Acks != -1 {
				careless.Add(1)
			}
			return 0
		})
		publish(t, open(t, cfg), "batch", numbered(t, 0, 2000, 50)...)
		if got := payloads(read(t, cfg, "batch")); !slices.Equal(got, counted(0, 2000)) {
			t.Errorf("got %d messages: %.100q", len(got), got)
		}
		if requests.Load() != 1 || careless.Load() != 0 {
			t.Errorf("%d requests, want 1; %d of them without acks=all or a producer id", requests.Load(), careless.Load())
		}
	})
	t.Run("messages of one key share a partition", func(t *testing.T) {
		newTopic(t, cfg, "keys", 4)
		publish(t, open(t, cfg), "keys", numbered(t, 0, 400, 40)...)
		partitions, used := map[string]int32{}, map[int32]bool{}
		err := messaging.ReadTopic(t.Context(), cfg, "keys", func(partition int32, m messaging.Message) error {
			if at, seen := partitions[m.Key]; seen && at != partition {
				t.Errorf("%s is in %d and %d", m.Key, at, partition)
			}
			partitions[m.Key], used[partition] = partition, true
			return nil
		})
		if err != nil || len(partitions) != 40 || len(used) != 4 {
			t.Errorf("got %v, %d keys in %d partitions", err, len(partitions), len(used))
		}
	})
	t.Run("cuts what is more than a request may carry", func(t *testing.T) {
		newTopic(t, cfg, "large", 1)
		large := strings.Repeat("x", 400_000)
		var messages []*message.Message
		for range 7 {
			messages = append(messages, keyed(t, "k", large))
		}
		publish(t, open(t, cfg), "large", messages...)
		if got := len(read(t, cfg, "large")); got != 7 {
			t.Errorf("got %d messages", got)
		}
	})
	t.Run("takes the key from its own metadata and does not publish that", func(t *testing.T) {
		newTopic(t, cfg, "own-key", 1)
		other, none := keyed(t, "subject", "1"), keyed(t, "subject", "2")
		other.Metadata.Set(messaging.KeyMetadata, "other")
		none.Metadata.Set(messaging.KeyMetadata, "")
		publish(t, open(t, cfg), "own-key", keyed(t, "subject", "0"), other, none)
		for i, m := range read(t, cfg, "own-key") {
			want := []string{"subject", "other", ""}[i]
			if _, there := m.Metadata[messaging.KeyMetadata]; there || m.Key != want || m.Metadata["ce_subject"] != "subject" {
				t.Errorf("message %d has key %q, want %q, metadata %v", i, m.Key, want, m.Metadata)
			}
		}
	})
	t.Run("sends nothing when one message can't be sent", func(t *testing.T) {
		newTopic(t, cfg, "invalid", 1)
		p := open(t, cfg)
		for want, bad := range map[error]*message.Message{
			messaging.ErrNoKey:            message.NewMessage("1", nil),
			sarama.ErrMessageSizeTooLarge: keyed(t, "k", strings.Repeat("x", 1<<20)),
		} {
			if err := p.Publish("invalid", keyed(t, "k", "good"), bad); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		publish(t, p, "invalid", keyed(t, "k", "later"))
		if got := payloads(read(t, cfg, "invalid")); !slices.Equal(got, []string{"later"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("says that a topic is missing", func(t *testing.T) {
		if err := open(t, cfg).Publish("missing", keyed(t, "k", "")); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPublisherFailure(t *testing.T) {
	t.Parallel()

	t.Run("a passing one is retried without duplicates", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 2)
		var requests atomic.Int64
		onProduce(k, func(*kmsg.ProduceRequest) int16 {
			if requests.Add(1) <= 2 {
				return kerr.NotEnoughReplicas.Code
			}
			return 0
		})
		publish(t, open(t, cfg), "topic", numbered(t, 0, 500, 10)...)
		if got := len(read(t, cfg, "topic")); got != 500 {
			t.Errorf("got %d messages", got)
		}
	})
	t.Run("a batch that was written though the answer says no is not written twice", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 1)
		// The broker does the work, and answers that it took too long.
		late := k.Server.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 2})
		p := open(t, cfg)
		publish(t, p, "topic", numbered(t, 0, 100, 1)...)
		publish(t, p, "topic", numbered(t, 100, 100, 1)...)
		if got := payloads(read(t, cfg, "topic")); !slices.Equal(got, counted(0, 200)) || late.Hits() != 2 {
			t.Errorf("got %d messages, %d late answers", len(got), late.Hits())
		}
	})
	t.Run("after a lasting one nothing later is written, and a new publisher goes on from there", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 1)
		var requests atomic.Int64
		onProduce(k, func(*kmsg.ProduceRequest) int16 {
			// The second batch fails as often as it is tried; what would follow it would succeed.
			if n := requests.Add(1); n >= 2 && n <= 5 {
				return kerr.NotEnoughReplicas.Code
			}
			return 0
		})
		p := open(t, cfg)
		messages := make([]*message.Message, 30)
		for i := range messages {
			messages[i] = keyed(t, "k", fmt.Sprint(i))
			messages[i].Metadata.Set("filling", strings.Repeat("x", 100_000))
		}
		err := p.Publish("topic", messages...)
		unconfirmed, ok := errors.AsType[*messaging.UnconfirmedError](err)
		if !ok || !errors.Is(err, sarama.ErrNotEnoughReplicas) {
			t.Fatalf("got %v, want an UnconfirmedError", err)
		}
		written := payloads(read(t, cfg, "topic"))
		if len(written) == 0 || !slices.Equal(written, counted(0, len(written))) {
			t.Errorf("in the topic: %q", written)
		}
		if !slices.Equal(unconfirmed.Messages, messages[len(written):]) {
			t.Errorf("%d of %d are written, %d reported as unconfirmed", len(written), len(messages), len(unconfirmed.Messages))
		}
		if err := p.Publish("topic", keyed(t, "k", "30")); !errors.Is(err, messaging.ErrPublisherEnded) {
			t.Errorf("afterwards: got %v, want ErrPublisherEnded", err)
		}
		publish(t, open(t, cfg), "topic", unconfirmed.Messages...)
		if got := payloads(read(t, cfg, "topic")); !slices.Equal(got, counted(0, len(messages))) {
			t.Errorf("at the end: %q", got)
		}
	})
	t.Run("a lasting one of one partition leaves the others confirmed", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 4)
		cluster := k.Server.Cluster()
		cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			request, _ := r.(*kmsg.ProduceRequest)
			partitions := request.Topics[0].Partitions
			if len(partitions) == 1 { // a retry of the one that failed
				return refuse(request, kerr.NotEnoughReplicas.Code), nil, true
			}
			request.Topics[0].Partitions = partitions[1:]
			return nil, nil, false // the first gets no answer
		})
		messages := numbered(t, 0, 400, 40)
		err := open(t, cfg).Publish("topic", messages...)
		unconfirmed, ok := errors.AsType[*messaging.UnconfirmedError](err)
		if !ok {
			t.Fatalf("got %v", err)
		}
		if written := len(read(t, cfg, "topic")); written == 0 || written+len(unconfirmed.Messages) != len(messages) {
			t.Errorf("%d written, %d unconfirmed, of %d", written, len(unconfirmed.Messages), len(messages))
		}
	})
	t.Run("a broker that goes away ends it, and a new one works when the broker is back", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 2)
		p := open(t, cfg)
		publish(t, p, "topic", numbered(t, 0, 100, 10)...)
		if err := k.Server.CutOff(); err != nil {
			t.Fatal(err)
		}
		if err := p.Publish("topic", numbered(t, 100, 100, 10)...); err == nil {
			t.Error("published to a broker that is away")
		}
		if _, err := messaging.Open(cfg); err == nil {
			t.Error("opened while the broker is away")
		}
		if err := k.Server.Reconnect(); err != nil {
			t.Fatal(err)
		}
		publish(t, open(t, cfg), "topic", numbered(t, 100, 100, 10)...)
		if got := len(read(t, cfg, "topic")); got != 200 {
			t.Errorf("got %d messages", got)
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	cfg := newKafka(b)
	const batch = 1000
	messages := numbered(b, 0, batch, 100)
	for _, m := range messages {
		m.Payload = []byte(strings.Repeat(`{"showId":1,"q":2}`, 20))
	}
	perMessage := func(b *testing.B) { b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "msg/s") }
	b.Run("Publisher", func(b *testing.B) {
		newTopic(b, cfg, "ours", 8)
		p := open(b, cfg)
		for b.Loop() {
			publish(b, p, "ours", messages...)
		}
		perMessage(b)
	})
	b.Run("SyncProducer", func(b *testing.B) {
		newTopic(b, cfg, "theirs", 8)
		s := sarama.NewConfig()
		s.Version, s.Producer.Idempotent, s.Net.MaxOpenRequests = sarama.V4_0_0_0, true, 1
		s.Producer.RequiredAcks, s.Producer.Return.Successes = sarama.WaitForAll, true
		p, err := sarama.NewSyncProducer(cfg.Brokers, s)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		for b.Loop() {
			out := make([]*sarama.ProducerMessage, batch)
			for i, m := range messages {
				out[i], _ = messaging.Marshaler{}.Marshal(cfg.TopicPrefix+"theirs", m)
			}
			if err := p.SendMessages(out); err != nil {
				b.Fatal(err)
			}
		}
		perMessage(b)
	})
}
