package commands

import (
	"context"
	"fmt"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// orderIDs draws order ids from leased ranges of a daily counter. Ids of a lease that was not used up are
// never drawn again; that leaves gaps and nothing else.
type orderIDs struct {
	store     *eventstore.Store
	day       string
	next, end uint64
}

func dayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// ensure leases ids for a day until n are at hand.
func (o *orderIDs) ensure(ctx context.Context, at time.Time, n int) error {
	if n == 0 || (o.day == dayOf(at) && o.end-o.next >= uint64(n)) {
		return nil
	}
	first, err := o.store.LeaseOrderIDs(ctx, at, leaseSize)
	if err != nil {
		return fmt.Errorf("lease order ids: %w", err)
	}
	o.day, o.next, o.end = dayOf(at), uint64(first), uint64(first)+leaseSize
	return nil
}

// at is the n-th id at hand, counted from 0, if there is one for that day.
func (o *orderIDs) at(n int, at time.Time) (string, bool) {
	if o.day != dayOf(at) || o.next+uint64(n) >= o.end {
		return "", false
	}
	return domain.OrderID(at, uint32(o.next+uint64(n))), true
}

// drop gives up what is left of the lease.
func (o *orderIDs) drop() { o.next = o.end }

// used takes away the first n ids at hand.
func (o *orderIDs) used(n int) { o.next += uint64(n) }
