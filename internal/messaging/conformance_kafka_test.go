package messaging_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"boxoffice/internal/messaging"
)

// kafkaSuite are the tests for what lives on a broker. TestReconnect is left out of all runs: it restarts
// the broker by a command, and ours lives in this process; our own tests cut it off. The Features that are
// off: ExactlyOnceDelivery, because a crash repeats; ContextPreserved, because a context does not travel;
// NewSubscriberReceivesOldMessages, because members of one group share what is there (a new group does get
// it all: TestConsumerGroups); RequireSingleInstance, because it is not so.
func kafkaSuite(ordered, stock bool) map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor) {
	suite := map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"TestPublishSubscribe":                  tests.TestPublishSubscribe,
		"TestConcurrentSubscribe":               tests.TestConcurrentSubscribe,
		"TestConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
		"TestResendOnError":                     tests.TestResendOnError,
		"TestContinueAfterSubscribeClose":       tests.TestContinueAfterSubscribeClose,
		"TestConcurrentClose":                   tests.TestConcurrentClose,
		"TestContinueAfterErrors":               tests.TestContinueAfterErrors,
		"TestPublisherClose":                    tests.TestPublisherClose,
		"TestTopic":                             tests.TestTopic,
		"TestMessageCtx":                        tests.TestMessageCtx,
		"TestSubscribeCtx":                      tests.TestSubscribeCtx,
	}
	if ordered {
		suite["TestPublishSubscribeInOrder"] = tests.TestPublishSubscribeInOrder
		suite["TestNoAck"] = tests.TestNoAck
	}
	if stock {
		// Two topics in one group: watermill-kafka holds up the group's rebalance while it waits for a reader
		// of the other topic. Here every handler has a group of its own.
		delete(suite, "TestTopic")
	}
	return suite
}

func TestKafkaConformance(t *testing.T) {
	t.Parallel()
	windowed := func(_ *testing.T, cfg messaging.Config, group string) message.Subscriber {
		return messaging.NewWindowedSubscriber(cfg, messaging.WindowConfig{
			Group: group, FirstRetry: time.Millisecond, LastRetry: 10 * time.Millisecond, Drain: time.Second,
		})
	}
	stock := func(t *testing.T, cfg messaging.Config, group string) message.Subscriber {
		s, err := messaging.OpenSerial(cfg, group, watermill.NopLogger{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	byMessage := func(m *message.Message) string { return m.UUID }
	byPayload := func(m *message.Message) string { return "k" + string(m.Payload) }

	for _, run := range []struct {
		name       string
		key        func(*message.Message) string
		subscriber func(*testing.T, messaging.Config, string) message.Subscriber
		ordered    bool
		stock      bool
	}{
		// Without order among the messages, each has a key of its own.
		{"window, unordered", byMessage, windowed, false, false},
		// The suite orders messages of one payload, so that is their key.
		{"window, ordered by key", byPayload, windowed, true, false},
		{"watermill-kafka's subscriber", byMessage, stock, false, true},
	} {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			cfg := newKafka(t)
			cfg.Partitions = 8
			constructor := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				p, err := messaging.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				s := run.subscriber(t, cfg, group)
				t.Cleanup(func() { _, _ = p.Close(), s.Close() }) // TestPublishSubscribeInOrder forgets them
				return keying{p, run.key}, creating{Subscriber: s, cfg: cfg}
			}
			// At full size once; the others differ in what they order and how they read, not in how much they hold.
			features := tests.Features{ConsumerGroups: true, Persistent: true, GuaranteedOrder: run.ordered, ForceShort: run.ordered || run.stock}
			// A group of its own per test: members of one group rebalance each other, whatever their topics.
			for name, test := range kafkaSuite(run.ordered, run.stock) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, func(t *testing.T) (message.Publisher, message.Subscriber) {
						return constructor(t, name)
					})
				})
			}
			t.Run("TestConsumerGroups", func(t *testing.T) {
				t.Parallel()
				tests.TestConsumerGroups(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, constructor)
			})
		})
	}
}

// keying gives the suite's messages, which have no subject, a key.
type keying struct {
	message.Publisher
	key func(*message.Message) string
}

func (k keying) Publish(topic string, messages ...*message.Message) error {
	out := make([]*message.Message, len(messages))
	for i, m := range messages {
		out[i] = m.Copy()
		out[i].Metadata.Set(messaging.KeyMetadata, k.key(m))
	}
	return k.Publisher.Publish(topic, out...)
}

// creating creates the suite's topics where it asks for that, and before it subscribes.
type creating struct {
	message.Subscriber
	cfg messaging.Config
}

func (c creating) SubscribeInitialize(topic string) error {
	return messaging.EnsureTopics(context.Background(), c.cfg, topic)
}
