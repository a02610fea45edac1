package domain

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// ErrWait says that a command must be decided in the next batch: its order is placed in this one, or
// tickets may come back as soon as the holds that are due have ended.
var ErrWait = errors.New("command must wait for the next batch")

// Result is what a decided command came to. The ids are those the answer speaks of; Changed is false
// where nothing had to happen.
type Result struct {
	OrderID   string
	PaymentID string
	ShowID    int64
	Reason    string // of a resolved open item: the first that was given
	Changed   bool
}

// Decided is an event at its place in its stream. CommandID is empty where the event covers the commands
// of several orders: those stand in its members.
type Decided struct {
	Stream    string
	Version   int64
	Event     Event
	CommandID string
}

// Batch decides commands that are all unanswered and will be stored together. It works on drafts: nothing
// outside it changes, so a batch that could not be stored is simply dropped. It is not safe for use by
// several goroutines.
type Batch struct {
	at       time.Time
	states   States
	drafts   States
	placed   map[string]struct{} // orders of this batch
	segments []*segment
	ended    int                // due holds that EndDue ended in this batch
	freed    map[int64]struct{} // shows of which a due hold ended in this batch, one way or another
	laidOut  []Decided
}

// NewBatch begins a batch at a time on states.
func NewBatch(at time.Time, states States) *Batch {
	return &Batch{
		at: at.Round(0).UTC(), states: states,
		placed: make(map[string]struct{}), freed: make(map[int64]struct{}),
		drafts: NewStates(),
	}
}

// Phase tells where in the batch a command belongs: commands are decided in the order of their phases,
// and within one in the order they came. It depends on the states only, not on what was decided since.
func (b *Batch) Phase(c Command) int { return c.phase(b) }

// Decide decides one command: first all of its events, on the drafts as they are, and only then the
// drafts evolve. So a refusal or a panic leaves no trace. Errors: *Rejection, ErrWait; anything else is a
// fault of the caller, such as a payment that should have been loaded.
func (b *Batch) Decide(commandID string, c Command) (Result, error) {
	// A pointer to a command has its methods too, but may be nil, and answers elsewhere go by the type.
	if t := reflect.TypeOf(c); t == nil || t.Kind() != reflect.Struct {
		return Result{}, fmt.Errorf("decide: %T is no command of this package", c)
	}
	if _, placed := b.placed[c.Needs().OrderID]; placed {
		return Result{}, ErrWait
	}
	p := &plan{batch: b, commandID: kept(commandID)}
	if err := c.decide(p); err != nil {
		return Result{}, err
	}
	p.result.Changed = len(p.moves)+len(p.changes)+len(p.facts) > 0
	b.commit(c.phase(b), p)
	return p.result, nil
}

// Order is the order as the batch leaves it, or nil. It must not be changed.
func (b *Batch) Order(orderID string) *Order {
	if o, ok := b.drafts.Orders[orderID]; ok {
		return o
	}
	return b.states.Orders[orderID]
}

// Payment is the payment as the batch leaves it, or nil. It must not be changed.
func (b *Batch) Payment(paymentID string) *Payment {
	if p, ok := b.drafts.Payments[paymentID]; ok {
		return p
	}
	return b.states.Payments[paymentID]
}

// Show is the show as the batch leaves it, or nil. It must not be changed. Its Version counts this batch
// only once Events was called, because movements are gathered until then.
func (b *Batch) Show(showID int64) *Show {
	s, ok := b.drafts.Shows[showID]
	if !ok {
		s = b.states.Shows[showID]
	}
	if s == nil || s.ShowID == 0 {
		return nil
	}
	return s
}

func (b *Batch) inbox(stream string) *Inbox {
	if i, ok := b.drafts.Inboxes[stream]; ok {
		return i
	}
	return b.states.Inboxes[stream]
}
