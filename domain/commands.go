package domain

// Command is a wish. Only the types of this package are commands: each says what it needs, where in a batch it
// belongs, and how it is decided, all beside its declaration.
type Command interface {
	// Needs names what must be loaded before the command can be decided.
	Needs() Needs
	// phase is where in the batch it belongs. It depends on the states only, not on what was decided since.
	phase(b *Batch) int
	// decide fills the plan, or refuses. It changes nothing else, so that a refusal leaves no trace.
	decide(p *plan) error
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

// Needs names what must be loaded before a command can be decided. What does not exist is left out of States.
type Needs struct {
	ShowID  int64    // 0: none
	OrderID string   // "": none; an order brings its show and all its payments with it
	Orders  []string // more orders, with all that they bring
	Stream  string   // "": none; the inbox stream in which an open item stands
	Inbox   bool     // the inbox of the batch's month, InboxStream(at): the command may end there
}

func needsOrder(id string) Needs {
	orderID, _ := OrderOf(id)
	return Needs{OrderID: orderID}
}

func needsOrderOrInbox(id string) Needs {
	needs := needsOrder(id)
	needs.Inbox = true
	return needs
}
