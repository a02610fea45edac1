package messaging_test

import (
	"fmt"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kmsg"

	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
)

// newKafka returns how to reach a broker: the embedded one, or a real one that other tests use too.
func newKafka(t testing.TB) messaging.Config {
	t.Helper()
	return configFor(devstack.Kafka(t))
}

// newOwnKafka returns an embedded broker that the test may cut off or make fail, and how to reach it.
func newOwnKafka(t testing.TB) (messaging.Config, *devstack.TestKafka) {
	t.Helper()
	k := devstack.OwnKafka(t)
	return configFor(k), k
}

func configFor(k *devstack.TestKafka) messaging.Config {
	return messaging.Config{Brokers: k.Brokers, TopicPrefix: k.Prefix, Partitions: 4, CreateTopics: true}
}

// newTopic creates a topic.
func newTopic(t testing.TB, cfg messaging.Config, topic string, partitions int32) {
	t.Helper()
	cfg.Partitions = partitions
	if err := messaging.EnsureTopics(t.Context(), cfg, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

// open returns a publisher that is closed when the test ends.
func open(t testing.TB, cfg messaging.Config) *messaging.Publisher {
	t.Helper()
	p, err := messaging.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// numbered returns n messages whose payloads count from first on, over the given number of keys.
func numbered(t testing.TB, first, n, keys int) []*message.Message {
	t.Helper()
	messages := make([]*message.Message, n)
	for i := range messages {
		messages[i] = keyed(t, fmt.Sprintf("key-%d", (first+i)%keys), fmt.Sprint(first+i))
	}
	return messages
}

func keyed(t testing.TB, key, payload string) *message.Message {
	t.Helper()
	msg := message.NewMessageWithContext(t.Context(), watermill.NewUUID(), []byte(payload))
	msg.Metadata.Set("ce_subject", key)
	return msg
}

func publish(t testing.TB, p message.Publisher, topic string, messages ...*message.Message) {
	t.Helper()
	if err := p.Publish(topic, messages...); err != nil {
		t.Fatalf("publish to %s: %v", topic, err)
	}
}

// read returns everything in a topic, partition after partition.
func read(t testing.TB, cfg messaging.Config, topic string) (all []messaging.Message) {
	t.Helper()
	err := messaging.ReadTopic(t.Context(), cfg, topic, func(_ int32, m messaging.Message) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatalf("read %s: %v", topic, err)
	}
	return all
}

func payloads(messages []messaging.Message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = string(m.Payload)
	}
	return all
}

// onProduce lets answer look at every produce request that the broker gets: a code other than 0 refuses it.
func onProduce(k *devstack.TestKafka, answer func(*kmsg.ProduceRequest) int16) {
	cluster := k.Server.Cluster()
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request, _ := r.(*kmsg.ProduceRequest)
		code := answer(request)
		if code == 0 {
			return nil, nil, false
		}
		return refuse(request, code), nil, true
	})
}

func refuse(request *kmsg.ProduceRequest, code int16) kmsg.Response {
	response, _ := request.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range request.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	return response
}
