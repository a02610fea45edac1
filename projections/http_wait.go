package projections

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"boxoffice/domain"
)

// Limits of reads that wait until a read model shows something.
const (
	maxWait    = 2 * time.Second
	maxWaiters = 4096 // reads that wait at the same time; more are answered at once, as stale
)

// places bounds what goes on at the same time.
type places chan struct{}

// enter takes a place, if one is free; whoever has one must exit.
func (p places) enter() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) exit() { <-p }

// wanted is what a read of an order wants to see.
type wanted struct {
	orderID  string
	position int64 // of the log
	reached  bool  // the log has the position, and version covers it
	version  int64 // of the order
	whole    bool  // for its buyer or an operator, who may know of it before the read model does
}

// awaitOrder reads an order's row, at version 0 if there is none. It waits until the row shows a version of
// the order and what the order was at a position of the log, or marks the answer as stale. Who may see all of an
// order that the log has never reads that there is none: after the waiting it is folded from the log.
func (q *Queries) awaitOrder(w http.ResponseWriter, r *http.Request, want wanted) (Row[OrderState], error) {
	ctx := r.Context()
	rows, err := loadOrders(ctx, q.db, []string{want.orderID})
	if err != nil {
		return Row[OrderState]{}, err
	}
	row := rows[want.orderID]
	if want.whole && row.Version == 0 {
		written, err := q.store.VersionAt(ctx, domain.OrderStream(want.orderID), math.MaxInt64)
		if err != nil {
			return Row[OrderState]{}, err
		}
		want.version = max(want.version, min(written, 1))
	}
	if want.reached = row.Position >= want.position; !want.reached {
		if err := q.reach(ctx, &want); err != nil {
			return Row[OrderState]{}, err
		}
	}
	if want.reached && row.Version >= want.version {
		return row, nil
	}
	fresh := false
	if q.waiters.enter() {
		defer q.waiters.exit()
		if fresh, err = q.awaitRow(ctx, &row, want); err != nil {
			return Row[OrderState]{}, err
		}
	}
	if fresh {
		return row, nil
	}
	w.Header().Set(staleHeader, "true")
	if want.whole && row.Version == 0 {
		row, err = q.orderUpTo(ctx, want.orderID, math.MaxInt64)
		if errors.Is(err, ErrPoison) {
			return Row[OrderState]{}, nil // it is parked, which is told elsewhere
		}
	}
	return row, err
}

// awaitRow waits for at most maxWait until a row shows what is wanted, and reports whether it does. The row
// becomes the newest that was seen.
func (q *Queries) awaitRow(ctx context.Context, row *Row[OrderState], want wanted) (fresh bool, err error) {
	limited, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	order := q.orders.watch(ctx, want.orderID)
	defer order.leave()
	if !want.reached && q.awaitHead(limited, want.position) {
		if err := q.reach(ctx, &want); err != nil {
			return false, err
		}
	}
	fresh = want.reached && order.await(limited, want.version)
	if now := order.now(); now.version >= row.Version {
		*row = now.row.row
	}
	return fresh, ctx.Err()
}

// awaitHead waits until the log has a position, and reports whether it has.
func (q *Queries) awaitHead(ctx context.Context, position int64) bool {
	head := q.head.watch(ctx, headKey)
	defer head.leave()
	return head.await(ctx, position)
}

// reach notes whether the log has the wanted position, and wants the version that the order had there.
func (q *Queries) reach(ctx context.Context, want *wanted) error {
	head, err := q.store.Head(ctx)
	if err != nil || head.Position < want.position {
		return err
	}
	then, err := q.store.VersionAt(ctx, domain.OrderStream(want.orderID), want.position)
	want.version, want.reached = max(want.version, then), err == nil
	return err
}
