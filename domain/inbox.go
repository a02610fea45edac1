package domain

// Inbox is the state of a month's deliveries that match nothing. The zero value is an empty inbox.
type Inbox struct {
	Version int64

	open     layered[int64, struct{}]        // versions of unresolved items
	resolved layered[int64, string]          // versions of resolved items → the reason
	seen     layered[unmatchedKey, struct{}] // what was delivered, resolved or not
}

// unmatchedKey is what makes two unmatched deliveries the same.
type unmatchedKey struct {
	paymentID, reference, status string
	amount                       Money
}

func (e PaymentUnmatched) key() unmatchedKey {
	return unmatchedKey{e.PaymentID, e.Reference, e.GatewayStatus, e.Amount}
}

// Open reports whether the event of a version opened an item that nobody has resolved yet.
func (i *Inbox) Open(version int64) bool {
	_, ok := i.open.get(version)
	return ok
}

// Evolve folds one event of the inbox' stream. It never fails and never judges; of an event that it does
// not know it counts the version.
func (i *Inbox) Evolve(e Event) {
	i.Version++
	switch e := e.(type) {
	case PaymentUnmatched:
		i.open.set(i.Version, struct{}{})
		i.seen.set(e.key(), struct{}{})
	case OpenItemResolved:
		i.open.remove(itemVersion(e.Item))
		i.resolved.set(itemVersion(e.Item), e.Reason)
	}
}

// draft is a copy that may evolve without the inbox below noticing.
func (i *Inbox) draft() *Inbox {
	return &Inbox{
		Version:  i.Version,
		open:     layered[int64, struct{}]{base: &i.open},
		resolved: layered[int64, string]{base: &i.resolved},
		seen:     layered[unmatchedKey, struct{}]{base: &i.seen},
	}
}

// has reports whether a delivery was seen before.
func (i *Inbox) has(e PaymentUnmatched) bool {
	_, ok := i.seen.get(e.key())
	return ok
}
