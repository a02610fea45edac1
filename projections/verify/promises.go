package verify

import "strings"

// Promise is what a verification proves, or finds broken.
type Promise struct {
	Name    string `json:"name"`
	Text    string `json:"text"`    // in one sentence
	Checked bool   `json:"checked"` // false: it was not looked at
	Found   int64  `json:"found"`   // findings against it
}

// The names of the promises.
const (
	promiseLog      = "log"
	promiseChain    = "chain"
	promiseCapacity = "capacity"
	promiseHolds    = "holds"
	promiseOrders   = "orders"
	promiseMoney    = "money"
	promiseRows     = "rows"
	promiseTopics   = "topics"
	promiseKept     = "kept"
)

// promises are all promises, in the order in which they build on each other.
func promises() []Promise {
	return []Promise{
		{Name: promiseLog, Text: "positions and the versions of each stream have no gaps, time never runs backwards, and every event can be read"},
		{Name: promiseChain, Text: "the hash chain covers every stored byte from position 1 up to log_head"},
		{Name: promiseCapacity, Text: "0 ≤ held + sold ≤ capacity after every single event, and the totals told are what the orders make"},
		{Name: promiseHolds, Text: "every hold ended at most once, and every order has the hold that its status asks for"},
		{Name: promiseOrders, Text: "orders and payments moved only where they may, and completed orders have exactly their tickets"},
		{Name: promiseMoney, Text: "money settled = tickets sold + refunds for every order, and what fits nothing is an open item"},
		{Name: promiseRows, Text: "every row of the read models is in all columns what the log makes, and none is missing or too many"},
		{Name: promiseTopics, Text: "every event is in its topic with the same hash, first occurrences in order for each key"},
		{Name: promiseKept, Text: "the log still has the hash that was kept of it"},
	}
}

// promiseOf is the promise that a finding is against.
func promiseOf(kind Kind, key string) string {
	ofTopics := key == keyTopics || key == OrdersTopic || key == PaymentsTopic
	switch kind {
	case KindPosition, KindVersion, KindTime, KindEvent:
		return promiseLog
	case KindHash, KindHead:
		if ofTopics {
			return promiseTopics
		}
		return promiseChain
	case KindCapacity, KindTotals:
		return promiseCapacity
	case KindHold, KindOrder:
		return promiseHolds
	case KindStatus, KindTickets:
		return promiseOrders
	case KindMoney, KindRefund, KindOpenItem:
		return promiseMoney
	case KindTopic:
		return promiseTopics
	case KindKept:
		return promiseKept
	case KindBehind:
		if ofTopics {
			return promiseTopics
		}
	case KindRow, KindParked:
	}
	return promiseRows
}

// promises tells of each promise how it was found.
func (p *pass) promises() []Promise {
	all := promises()
	for i := range all {
		all[i].Found = p.found.against[all[i].Name]
		switch all[i].Name {
		case promiseTopics:
			all[i].Checked = p.cfg.Topics != nil
		case promiseKept:
			all[i].Checked = p.cfg.Kept != nil
		default:
			all[i].Checked = true
		}
	}
	return all
}

// Projection is the projection whose rows a finding is about, or empty: what boxoffice replay takes.
func (f Finding) Projection() string {
	switch name, _, ofRow := strings.Cut(f.Key, " "); {
	case !ofRow:
		return ""
	case f.Kind == KindParked:
		return name
	case f.Kind == KindRow || f.Kind == KindBehind:
		return projectionOf(name)
	}
	return ""
}
