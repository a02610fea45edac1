package messaging_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
)

var errRefused = errors.New("refused")

func newMessage(t *testing.T) *message.Message {
	t.Helper()
	return message.NewMessageWithContext(t.Context(), watermill.NewUUID(), nil)
}

func subscribe(t *testing.T, s message.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", topic, err)
	}
	return messages
}

func closeLater(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// answerAll lets handle answer every message, each on its own goroutine, until the channel closes.
func answerAll(messages <-chan *message.Message, handle func(*message.Message)) (wait func()) {
	var running sync.WaitGroup
	running.Go(func() {
		for msg := range messages {
			running.Go(func() { handle(msg) })
		}
	})
	return running.Wait
}

func TestBusPublish(t *testing.T) {
	t.Run("returns after the ack", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			bus := messaging.NewBus(messaging.BusConfig{})
			var acked atomic.Bool
			wait := answerAll(subscribe(t, bus, "orders"), func(m *message.Message) {
				<-time.After(time.Second) // of the bubble's clock: a slow handler
				acked.Store(true)
				m.Ack()
			})
			if err := bus.Publish("orders", newMessage(t)); err != nil || !acked.Load() {
				t.Errorf("got %v, acked %v; want nil after the ack", err, acked.Load())
			}
			_ = bus.Close()
			wait()
		})
	})
	t.Run("returns an error after a nack, and the message can be sent again", func(t *testing.T) {
		bus := messaging.NewBus(messaging.BusConfig{})
		closeLater(t, bus)
		var tries atomic.Int64
		answerAll(subscribe(t, bus, "orders"), func(m *message.Message) {
			if tries.Add(1) == 1 {
				m.Nack()
				return
			}
			m.Ack()
		})
		msg := newMessage(t)
		if err := bus.Publish("orders", msg); !errors.Is(err, messaging.ErrNacked) {
			t.Errorf("first try: got %v, want ErrNacked", err)
		}
		if err := bus.Publish("orders", msg); err != nil {
			t.Errorf("second try: %v", err)
		}
	})
	t.Run("is refused at once when too much is in flight", func(t *testing.T) {
		busy := errors.New("the service's own word for it")
		bus := messaging.NewBus(messaging.BusConfig{Limit: 1, Busy: busy})
		closeLater(t, bus)
		messages := subscribe(t, bus, "orders")
		first := make(chan error)
		go func() { first <- bus.Publish("orders", newMessage(t)) }()
		taken := <-messages
		if err := bus.Publish("orders", newMessage(t)); !errors.Is(err, messaging.ErrBusy) || !errors.Is(err, busy) {
			t.Errorf("got %v, want ErrBusy and the configured error", err)
		}
		taken.Ack()
		if err := <-first; err != nil {
			t.Errorf("the first message: %v", err)
		}
		go func() { (<-messages).Ack() }()
		if err := bus.Publish("orders", newMessage(t)); err != nil {
			t.Errorf("after the first was answered: %v", err)
		}
	})
	t.Run("is refused where nobody subscribes", func(t *testing.T) {
		bus := messaging.NewBus(messaging.BusConfig{})
		closeLater(t, bus)
		if err := bus.Publish("orders", newMessage(t)); !errors.Is(err, messaging.ErrNoSubscriber) {
			t.Errorf("got %v, want ErrNoSubscriber", err)
		}
	})
	t.Run("hundreds run at the same time", func(t *testing.T) {
		const senders = 300
		bus := messaging.NewBus(messaging.BusConfig{Limit: senders})
		closeLater(t, bus)
		var together sync.WaitGroup
		together.Add(senders)
		answerAll(subscribe(t, bus, "orders"), func(m *message.Message) {
			together.Done()
			together.Wait()
			m.Ack()
		})
		var sent sync.WaitGroup
		for range senders {
			sent.Go(func() {
				if err := bus.Publish("orders", newMessage(t)); err != nil {
					t.Error(err)
				}
			})
		}
		sent.Wait()
	})
}

func TestBusSenderLeaves(t *testing.T) {
	bus := messaging.NewBus(messaging.BusConfig{Limit: 1})
	closeLater(t, bus)
	messages := subscribe(t, bus, "orders")
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error)
	go func() { result <- bus.Publish("orders", message.NewMessageWithContext(ctx, "1", nil)) }()
	taken := <-messages
	cancel(errRefused)
	if err := <-result; !errors.Is(err, errRefused) {
		t.Errorf("got %v, want the context's cause", err)
	}
	if err := bus.Publish("orders", newMessage(t)); !errors.Is(err, messaging.ErrBusy) {
		t.Errorf("while its handler works: got %v, want ErrBusy", err)
	}
	taken.Ack()
	go func() { (<-messages).Ack() }()
	eventually(t, "the slot is free again", func() bool { return bus.Publish("orders", newMessage(t)) == nil })
}

func TestBusSubscribe(t *testing.T) {
	t.Run("a topic has one subscriber at a time", func(t *testing.T) {
		bus := messaging.NewBus(messaging.BusConfig{})
		closeLater(t, bus)
		ctx, cancel := context.WithCancel(t.Context())
		first, err := bus.Subscribe(ctx, "orders")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bus.Subscribe(ctx, "orders"); !errors.Is(err, messaging.ErrSubscribed) {
			t.Errorf("got %v, want ErrSubscribed", err)
		}
		cancel()
		if _, open := <-first; open {
			t.Error("a message after the end of the subscription")
		}
		subscribe(t, bus, "orders")
	})
	t.Run("closing refuses new messages and lets running ones finish", func(t *testing.T) {
		bus := messaging.NewBus(messaging.BusConfig{})
		messages := subscribe(t, bus, "orders")
		result, closed := make(chan error), make(chan error)
		go func() { result <- bus.Publish("orders", newMessage(t)) }()
		taken := <-messages
		go func() { closed <- bus.Close() }()
		if _, open := <-messages; open {
			t.Error("a message after Close")
		}
		if err := bus.Publish("orders", newMessage(t)); !errors.Is(err, messaging.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		select {
		case err := <-closed:
			t.Fatalf("Close returned %v while a message was being handled", err)
		default:
		}
		taken.Ack()
		if err := errors.Join(<-result, <-closed); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closing gives up on a handler that never answers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			bus := messaging.NewBus(messaging.BusConfig{})
			messages := subscribe(t, bus, "orders")
			result := make(chan error, 1)
			go func() { result <- bus.Publish("orders", newMessage(t)) }()
			<-messages
			if err := bus.Close(); err == nil {
				t.Error("Close says that all is well")
			}
			if err := <-result; !errors.Is(err, messaging.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		})
	})
}

// eventually polls until what holds is true, for 30 s at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	const limit = 30 * time.Second
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-afterMoment()
	}
}

// afterMoment is a short pause between two looks at something.
func afterMoment() <-chan time.Time { return time.After(5 * time.Millisecond) }
