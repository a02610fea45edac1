// Package messaging holds the ways messages travel: a synchronous bus inside the process for commands, and
// on Kafka a publisher of whole batches, a consumer of whole batches, and a subscriber with a window of
// messages in flight. All of them speak Watermill's interfaces or hand over Watermill's messages, in the
// form of watermill-kafka's marshaler.
package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

const (
	defaultBusLimit = 4096             // messages in flight
	busDrainLimit   = 10 * time.Second // how long Close waits for messages that are being handled
)

// Errors of the Bus. Publish may also return the error of the sender's context, and then it is not known
// whether the message was or will be handled, and what the handler returned (see ReportErrors).
var (
	// ErrBusy: as many messages as the bus takes are in flight. The message was not handed over.
	ErrBusy = errors.New("bus: too many messages in flight")
	// ErrClosed: the bus is closed, or was closed before the handler had answered.
	ErrClosed = errors.New("bus: closed")
	// ErrNoSubscriber: nobody handles the topic now. The message was not handed over.
	ErrNoSubscriber = errors.New("bus: nobody subscribes to the topic")
	// ErrSubscribed: the topic has its one subscriber already.
	ErrSubscribed = errors.New("the topic has a subscriber already")
	// ErrNacked: the handler refused the message without saying why, or panicked.
	ErrNacked = errors.New("bus: the handler failed")
)

// BusConfig sets a Bus up.
type BusConfig struct {
	// Limit is how many messages may be in flight; 0 means 4096. One more is refused at once.
	Limit int
	// Busy, if set, is joined to ErrBusy, so that a caller need not know this package to recognise it.
	Busy error
	// Gone, if set, is joined to ErrClosed and ErrNoSubscriber likewise.
	Gone error
}

// Bus is a message.Publisher and message.Subscriber inside one process. Publish returns when the handler
// has acked (nil) or nacked (an error). Messages run concurrently, whatever their topic; nothing is stored,
// repeated or ordered. A topic has one subscriber, because a command has one handler.
type Bus struct {
	slots  chan struct{}
	errors busErrors

	mu     sync.RWMutex
	topics map[string]*subscription
	closed bool

	closing chan struct{} // no new messages
	gone    chan struct{} // answers are no longer waited for
	running sync.WaitGroup
	pending sync.WaitGroup // messages handed over and not answered
}

type busErrors struct{ busy, closed, noSubscriber error }

type subscription struct {
	out     chan *message.Message
	done    chan struct{} // closed when it takes no more
	senders sync.WaitGroup
}

// NewBus returns an open Bus.
func NewBus(cfg BusConfig) *Bus {
	if cfg.Limit <= 0 {
		cfg.Limit = defaultBusLimit
	}
	return &Bus{
		slots: make(chan struct{}, cfg.Limit),
		errors: busErrors{
			busy:         errors.Join(ErrBusy, cfg.Busy),
			closed:       errors.Join(ErrClosed, cfg.Gone),
			noSubscriber: errors.Join(ErrNoSubscriber, cfg.Gone),
		},
		topics:  map[string]*subscription{},
		closing: make(chan struct{}),
		gone:    make(chan struct{}),
	}
}

// Publish hands the messages over one after another, each when the one before it was acked, and returns
// the first error. The message's context is the handler's: values, deadline and cancellation.
func (b *Bus) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		if err := b.deliver(topic, msg); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) deliver(topic string, msg *message.Message) error {
	select {
	case b.slots <- struct{}{}:
	default:
		return b.errors.busy
	}
	msg = unanswered(msg)
	ctx := msg.Context() // kept: the receiver replaces the message's
	told := &outcome{answered: true}
	msg.SetContext(context.WithValue(ctx, outcomeKey{}, told))
	if err := b.handOver(ctx, topic, msg); err != nil {
		<-b.slots
		return err
	}
	select {
	case <-msg.Acked():
		b.answered()
		return told.err
	case <-msg.Nacked():
		b.answered()
		return errors.Join(ErrNacked, told.err)
	case <-ctx.Done():
		go b.abandon(msg)
		return fmt.Errorf("wait for the handler of %s: %w", topic, context.Cause(ctx))
	case <-b.gone:
		b.answered()
		return b.errors.closed
	}
}

// handOver gives the message to the topic's subscriber and counts it as pending.
func (b *Bus) handOver(ctx context.Context, topic string, msg *message.Message) error {
	b.mu.RLock()
	s := b.topics[topic]
	if b.closed || s == nil {
		defer b.mu.RUnlock()
		if b.closed {
			return b.errors.closed
		}
		return fmt.Errorf("%s: %w", topic, b.errors.noSubscriber)
	}
	s.senders.Add(1)
	b.pending.Add(1)
	b.mu.RUnlock()
	defer s.senders.Done()

	var err error
	select {
	case s.out <- msg:
		return nil
	case <-s.done:
		err = fmt.Errorf("%s: %w", topic, b.errors.noSubscriber)
	case <-ctx.Done():
		err = fmt.Errorf("hand a message to the handler of %s: %w", topic, context.Cause(ctx))
	}
	b.pending.Done()
	return err
}

func (b *Bus) answered() {
	<-b.slots
	b.pending.Done()
}

// abandon keeps the slot of a message whose sender has gone until its handler is through: it still works.
func (b *Bus) abandon(msg *message.Message) {
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-b.gone:
	}
	b.answered()
}

// unanswered is the message, or a copy of it if it was acked or nacked before and so can't be again.
func unanswered(msg *message.Message) *message.Message {
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	default:
		return msg
	}
	return msg.CopyWithContext()
}

// Subscribe returns the topic's messages until ctx ends or the bus closes. ErrSubscribed: the topic is taken.
func (b *Bus) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, b.errors.closed
	}
	if b.topics[topic] != nil {
		return nil, fmt.Errorf("%s: %w", topic, ErrSubscribed)
	}
	s := &subscription{out: make(chan *message.Message), done: make(chan struct{})}
	b.topics[topic] = s
	b.running.Go(func() {
		select {
		case <-ctx.Done():
		case <-b.closing:
		}
		b.mu.Lock()
		delete(b.topics, topic) // from here on no sender joins
		b.mu.Unlock()
		close(s.done)
		s.senders.Wait()
		close(s.out)
	})
	return s.out, nil
}

// Close refuses new messages and waits up to 10 s for those that are being handled. A second call does nothing.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	close(b.closing)
	b.mu.Unlock()
	b.running.Wait()

	drained := make(chan struct{})
	go func() {
		b.pending.Wait()
		close(drained)
	}()
	timer := time.NewTimer(busDrainLimit)
	defer timer.Stop()
	select {
	case <-drained:
		return nil
	case <-timer.C:
		close(b.gone)
		<-drained
		return fmt.Errorf("bus: messages were still being handled %s after closing", busDrainLimit)
	}
}
