package messaging

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// windowSession is one membership in the group.
type windowSession struct {
	subscriber *WindowedSubscriber
	out        chan<- *message.Message
	progress   atomic.Bool // a message was acked
}

// Setup has nothing to do.
func (*windowSession) Setup(sarama.ConsumerGroupSession) error { return nil }

// Cleanup has nothing to do: claims mark what they have settled before they return.
func (*windowSession) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim handles one partition until the session ends, and then lets running handlers finish.
func (s *windowSession) ConsumeClaim(session sarama.ConsumerGroupSession, gc sarama.ConsumerGroupClaim) error {
	taking, stop := context.WithCancel(session.Context())
	defer stop()
	handling, interrupt := context.WithCancel(context.WithoutCancel(session.Context()))
	defer interrupt()
	c := &windowClaim{
		windowSession: s, session: session, gc: gc, handling: handling, window: s.subscriber.window,
		keys:   map[string][]*entry{},
		slots:  make(chan struct{}, s.subscriber.window.Window),
		shrunk: make(chan struct{}, 1),
	}
	c.take(taking)
	stop() // from here on nothing is handed out again

	drained := make(chan struct{})
	go func() {
		c.workers.Wait()
		close(drained)
	}()
	timer := time.NewTimer(c.window.Drain)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		interrupt()
		<-drained
	}
	return nil
}

// windowClaim is one partition.
type windowClaim struct {
	*windowSession
	session  sarama.ConsumerGroupSession
	gc       sarama.ConsumerGroupClaim
	window   WindowConfig
	handling context.Context //nolint:containedctx // of the messages; ends when the drain is over
	workers  sync.WaitGroup
	slots    chan struct{} // one per message in flight or waiting behind its key
	shrunk   chan struct{} // signals that fifo is shorter

	mu   sync.Mutex
	fifo []*entry            // in order of offsets, from the oldest that is not settled
	keys map[string][]*entry // per key in flight: those that wait behind it
}

// entry is one message from its arrival until everything before it is settled.
type entry struct {
	in      *sarama.ConsumerMessage
	msg     *message.Message // of the delivery that is running
	told    *outcome
	cancel  context.CancelFunc
	settled bool
}

// take reads the partition until ctx ends. Messages are handed out here in order; everything that follows
// is a worker's.
func (c *windowClaim) take(ctx context.Context) {
	for {
		var in *sarama.ConsumerMessage
		select {
		case m, open := <-c.gc.Messages():
			if !open {
				return
			}
			in = m
		case <-ctx.Done():
			return
		}
		if !c.admit(ctx) {
			return
		}
		e := &entry{in: in}
		if !c.enter(e) {
			continue // its key's worker comes to it
		}
		if !c.deliver(ctx, e) {
			return
		}
		c.workers.Go(func() { c.work(ctx, e) })
	}
}

// admit waits for a free slot and for the oldest message not to be too far behind.
func (c *windowClaim) admit(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	for {
		c.mu.Lock()
		fits := len(c.fifo) < c.window.Window*spanFactor
		c.mu.Unlock()
		if fits {
			return true
		}
		select {
		case <-c.shrunk:
		case <-ctx.Done():
			return false
		}
	}
}

// enter queues the message and reports whether it is free to go.
func (c *windowClaim) enter(e *entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fifo = append(c.fifo, e)
	if c.window.AnyOrder || len(e.in.Key) == 0 {
		return true
	}
	key := string(e.in.Key)
	waiting, busy := c.keys[key]
	if busy {
		c.keys[key] = append(waiting, e)
	} else {
		c.keys[key] = nil
	}
	return !busy
}

// deliver hands the message out; false when the partition is lost meanwhile.
func (c *windowClaim) deliver(ctx context.Context, e *entry) bool {
	e.msg, _ = Marshaler{}.Unmarshal(e.in) // never fails; anew for every delivery, because an ack is for ever
	e.told = &outcome{}
	handling, cancel := context.WithCancel(context.WithValue(c.handling, outcomeKey{}, e.told))
	e.msg.SetContext(handling)
	e.cancel = cancel
	select {
	case c.out <- e.msg:
		return true
	case <-ctx.Done():
		cancel()
		return false
	}
}

// work settles a message that was handed out, and then those behind it that have its key.
func (c *windowClaim) work(ctx context.Context, e *entry) {
	for e != nil {
		if !c.settle(ctx, e) {
			return
		}
		c.progress.Store(true)
		if e = c.finish(e); e != nil && !c.deliver(ctx, e) {
			return
		}
	}
}

// settle waits until the message is acked or among the dead letters; false when it is left for whoever
// has the partition next.
func (c *windowClaim) settle(ctx context.Context, e *entry) bool {
	retry := backoff{first: c.window.FirstRetry, limit: c.window.LastRetry}
	permanent := 0
	for {
		acked := c.answer(e)
		if acked {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if IsPermanent(e.told.err) {
			permanent++
		}
		if permanent >= c.window.Tries && c.bury(ctx, e) {
			return true
		}
		if !retry.wait(ctx) || !c.deliver(ctx, e) {
			return false
		}
	}
}

// answer waits for what the handler says, or for the drain to end.
func (c *windowClaim) answer(e *entry) (acked bool) {
	defer e.cancel()
	select {
	case <-e.msg.Acked():
		return true
	case <-e.msg.Nacked():
		return false
	case <-c.handling.Done():
		return false
	}
}

// finish marks what is settled without a gap and returns the next message of the same key, if one waits.
func (c *windowClaim) finish(e *entry) *entry {
	defer func() { <-c.slots }()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.settled = true
	var last *sarama.ConsumerMessage
	for len(c.fifo) > 0 && c.fifo[0].settled {
		last, c.fifo[0] = c.fifo[0].in, nil
		c.fifo = c.fifo[1:]
	}
	if last != nil {
		c.session.MarkMessage(last, "") // under the lock: marks never go back
		select {
		case c.shrunk <- struct{}{}:
		default:
		}
	}
	key := string(e.in.Key)
	waiting, inOrder := c.keys[key]
	switch {
	case !inOrder:
		return nil
	case len(waiting) == 0:
		delete(c.keys, key)
		return nil
	}
	c.keys[key] = waiting[1:]
	return waiting[0]
}

// bury publishes the message as a dead letter and reports whether it is there.
func (c *windowClaim) bury(ctx context.Context, e *entry) bool {
	if c.window.DeadLetters == nil {
		return false
	}
	reason := e.told.err
	letter := deadLetter(e.in, c.subscriber.cfg.bare(e.in.Topic), c.window.Group, reason)
	letter.SetContext(ctx)
	log := c.window.Log.With("topic", c.subscriber.cfg.bare(e.in.Topic), "partition", e.in.Partition, "offset", e.in.Offset)
	if err := c.window.DeadLetters.Publish(DeadLetterTopic, letter); err != nil {
		log.WarnContext(ctx, "dead letter not written, trying again", "error", err)
		return false
	}
	log.WarnContext(ctx, "dead letter", "reason", reason)
	return true
}
