package domain

import (
	"errors"
	"fmt"
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

// The phases of a batch, in the order in which its commands are decided and its events are written.
const (
	phaseSettle     = 1 + iota // settlements of live holds
	phaseExpire                // ends of due holds
	phaseRelease               // releases, cancellations, and what touches no show
	phaseSettleLate            // settlements of ended orders
	phaseChange                // changes of shows
	phasePlace                 // placements
)

// Phase tells where in the batch a command belongs: commands are decided in the order of their phases,
// and within one in the order they came. It depends on the states only, not on what was decided since.
func (b *Batch) Phase(c Command) int {
	switch c := c.(type) {
	case SettlePayment:
		orderID, _ := OrderOf(c.PaymentID)
		switch o := b.states.Orders[orderID]; {
		case o == nil:
			return phaseRelease
		case o.Status.Live():
			return phaseSettle
		case o.Status == Canceled && !o.EverCompleted:
			return phaseSettleLate
		default:
			return phaseRelease
		}
	case EndDue:
		return phaseExpire
	case CreateShow, ChangeShow, AddTicketType, ChangeTicketType, PauseSales, ResumeSales, CancelShow:
		return phaseChange
	case PlaceOrder:
		return phasePlace
	default:
		return phaseRelease
	}
}

// Decide decides one command: first all of its events, on the drafts as they are, and only then the
// drafts evolve. So a refusal or a panic leaves no trace. Errors: *Rejection, ErrWait; anything else is a
// fault of the caller, such as a payment that should have been loaded.
func (b *Batch) Decide(commandID string, c Command) (Result, error) {
	if !known(c) {
		return Result{}, fmt.Errorf("decide: %T is no command of this package", c)
	}
	if _, placed := b.placed[c.Needs().OrderID]; placed {
		return Result{}, ErrWait
	}
	p := &plan{batch: b, commandID: kept(commandID)}
	if err := p.decide(c); err != nil {
		return Result{}, err
	}
	p.result.Changed = len(p.moves)+len(p.changes)+len(p.facts) > 0
	b.commit(b.Phase(c), p)
	return p.result, nil
}

func (p *plan) decide(c Command) error {
	switch c := c.(type) {
	case PlaceOrder:
		return p.placeOrder(c)
	case RequestPayment:
		return p.requestPayment(c)
	case CancelOrder:
		return p.cancelOrder(c)
	case RecordInstruction:
		return p.recordInstruction(c)
	case SettlePayment:
		return p.settlePayment(c)
	case FailPayment:
		return p.failPayment(c)
	case EndDue:
		p.endDue(c)
		return nil
	case RecordRefund:
		return p.recordRefund(c)
	case ResolveOpenItem:
		return p.resolveOpenItem(c)
	case CreateShow:
		return p.createShow(c)
	case ChangeShow:
		return p.changeShow(c)
	case AddTicketType:
		return p.addTicketType(c)
	case ChangeTicketType:
		return p.changeTicketType(c)
	case PauseSales:
		return p.pauseSales(c)
	case ResumeSales:
		return p.resumeSales(c)
	case CancelShow:
		return p.cancelShow(c)
	default:
		return nil
	}
}

// known reports whether a command is one of this package's, by value: the methods of a nil pointer would panic.
func known(c Command) bool {
	switch c.(type) {
	case PlaceOrder, RequestPayment, CancelOrder, RecordInstruction, SettlePayment, FailPayment, EndDue,
		RecordRefund, ResolveOpenItem, CreateShow, ChangeShow, AddTicketType, ChangeTicketType,
		PauseSales, ResumeSales, CancelShow:
		return true
	default:
		return false
	}
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
