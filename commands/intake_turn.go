package commands

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// turn is a message's place among those that the topic handed out. Messages are read and sent side by side, and
// still their commands enter the writer's queue in the order of the topic: who came first is served first.
type turn struct {
	before <-chan struct{} // closed when the message before it has taken its turn
	taken  chan struct{}
	once   sync.Once
}

type turnKey struct{}

// Line gives a message its place. It is for message.MessageTransformSubscriberDecorator, which sees one message
// after the other, in the order in which they were handed out; a message that comes again stands last.
func (i *Intake) Line(msg *message.Message) {
	t := &turn{before: i.last, taken: make(chan struct{})}
	i.last = t.taken
	msg.SetContext(context.WithValue(msg.Context(), turnKey{}, t))
}

// turnOf is the place that Line gave, nil without.
func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

// wait waits until it is the message's turn, or ctx ends.
func (t *turn) wait(ctx context.Context) {
	if t == nil || t.before == nil {
		return
	}
	select {
	case <-t.before:
	case <-ctx.Done():
	}
}

// leave is for a message that may not have taken its turn: those behind it must not overtake those before it.
func (t *turn) leave(ctx context.Context) {
	t.wait(ctx)
	t.pass()
}

// pass lets the next one in; more than once does nothing.
func (t *turn) pass() {
	if t != nil {
		t.once.Do(func() { close(t.taken) })
	}
}
