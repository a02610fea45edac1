package domain

import "strconv"

// States are what a batch is decided on. What is absent does not exist. The batch reads them and never
// changes them; whoever stores its events evolves them afterwards.
type States struct {
	Shows    map[int64]*Show
	Orders   map[string]*Order   // by order id
	Payments map[string]*Payment // by payment id; all payments of every order above
	Inboxes  map[string]*Inbox   // by stream
}

// NewStates are states in which nothing exists.
func NewStates() States {
	return States{
		Shows: make(map[int64]*Show), Orders: make(map[string]*Order),
		Payments: make(map[string]*Payment), Inboxes: make(map[string]*Inbox),
	}
}

// Evolve folds the event at a version of a stream into the state of that stream. A state that is absent
// begins with version 1; later events of it are ignored, because nobody loaded that state, and so are
// versions that were folded before. It is false where a version is missing in between: then the state is
// wrong and must be loaded again.
func (s States) Evolve(stream string, version int64, e Event) bool {
	switch kind, id := ParseStream(stream); kind {
	case StreamShow:
		showID, err := strconv.ParseInt(id, 10, 64)
		return err != nil || evolve(s.Shows, showID, version, e)
	case StreamOrder:
		return evolve(s.Orders, id, version, e)
	case StreamPayment:
		return evolve(s.Payments, id, version, e)
	case StreamInbox:
		return evolve(s.Inboxes, stream, version, e)
	default:
		return true
	}
}

// evolve folds an event into one of several states.
func evolve[K comparable, S any, P interface {
	*S
	folded() int64
	Evolve(e Event)
}](states map[K]P, key K, version int64, e Event) bool {
	state := states[key]
	if state == nil && version != 1 {
		return true
	}
	if state == nil {
		state = new(S)
		states[key] = state
	}
	if version <= state.folded() {
		return true
	}
	if version != state.folded()+1 {
		return false
	}
	state.Evolve(e)
	return true
}

func (s *Show) folded() int64    { return s.Version }
func (o *Order) folded() int64   { return o.Version }
func (p *Payment) folded() int64 { return p.Version }
func (i *Inbox) folded() int64   { return i.Version }
