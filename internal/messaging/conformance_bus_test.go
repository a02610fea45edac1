package messaging_test

import (
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"boxoffice/internal/messaging"
)

// suite runs those of Watermill's conformance tests that are named, because the suite as a whole skips
// what Features turns off, and a skipped test is no test.
func suite(t *testing.T, features tests.Features, pubSub tests.PubSubConstructor, named map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor)) {
	t.Helper()
	for name, test := range named {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, pubSub)
		})
	}
}

// TestBusConformance runs Watermill's suite over the Bus. The suite publishes before it subscribes and does
// not wait for handlers, so the publisher in between sends in the background and again after a refusal, as a
// sender of its own would.
//
// Features that are off: ConsumerGroups, Persistent and NewSubscriberReceivesOldMessages, because the bus
// keeps nothing; GuaranteedOrder, because it orders nothing. Tests that are left out besides those:
//   - TestContinueAfterErrors subscribes four times to one topic of one instance; a second is refused.
//   - TestConcurrentClose wants messages to outlive the instance that took them.
//   - TestMessageCtx closes with a message that is never answered; Close waits for it and reports it.
//   - TestReconnect restarts a server; there is none.
func TestBusConformance(t *testing.T) {
	suite(t, tests.Features{ExactlyOnceDelivery: true, RequireSingleInstance: true, ContextPreserved: true},
		func(*testing.T) (message.Publisher, message.Subscriber) {
			bus := messaging.NewBus(messaging.BusConfig{})
			return &backgroundPublisher{bus: bus, queues: map[string]chan *message.Message{}, ending: make(chan struct{})}, bus
		},
		map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
			"TestPublishSubscribe":                  tests.TestPublishSubscribe,
			"TestConcurrentSubscribe":               tests.TestConcurrentSubscribe,
			"TestConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
			"TestResendOnError":                     tests.TestResendOnError,
			"TestPublisherClose":                    tests.TestPublisherClose,
			"TestTopic":                             tests.TestTopic,
			"TestSubscribeCtx":                      tests.TestSubscribeCtx,
		})
}

// backgroundPublisher sends from a queue per topic, with a few senders each, until every message is acked.
type backgroundPublisher struct {
	bus     *messaging.Bus
	running sync.WaitGroup
	ending  chan struct{}

	mu     sync.Mutex
	queues map[string]chan *message.Message
	closed bool
}

func (p *backgroundPublisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queues[topic] == nil {
		const senders, room = 16, 20_000
		queue := make(chan *message.Message, room)
		p.queues[topic] = queue
		for range senders {
			p.running.Go(func() { p.send(topic, queue) })
		}
	}
	for _, msg := range messages {
		p.queues[topic] <- msg.CopyWithContext()
	}
	return nil
}

func (p *backgroundPublisher) send(topic string, queue <-chan *message.Message) {
	for {
		select {
		case msg := <-queue:
			for p.bus.Publish(topic, msg) != nil {
				select {
				case <-afterMoment():
				case <-p.ending:
					return
				}
			}
		case <-p.ending:
			return
		}
	}
}

func (p *backgroundPublisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.ending)
	}
	err := p.bus.Close()
	p.running.Wait()
	return err
}
