package projections

import (
	"context"
	"fmt"
	"sync"
	"time"

	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

const (
	// refundShare: a count is shown for so many times as long as it took, so that counting keeps one connection of a
	// process busy for a twentieth of the time at most, however large the shows are and whoever looks at them.
	refundShare = 20
	// mostCounts are kept; with more they are all forgotten.
	mostCounts = 4096
)

// refundCounts keeps counts of refunds for a while. The zero value is empty.
type refundCounts struct {
	mu   sync.Mutex // held while counting: one at a time
	kept map[int64]refundCount
}

type refundCount struct {
	views.Refunds
	until time.Time
}

// Refunds counts the orders of a show by what has become of their money.
func (q *Queries) Refunds(ctx context.Context, showID int64) (views.Refunds, error) {
	found, err := q.refundsOf(ctx, []int64{showID})
	return found[showID], err
}

// refundsOf are the counts of shows, as they were a moment ago.
func (q *Queries) refundsOf(ctx context.Context, shows []int64) (map[int64]views.Refunds, error) {
	c := &q.refunds
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[int64]views.Refunds, len(shows))
	var missing []int64
	begun := time.Now()
	for _, showID := range shows {
		if n, ok := c.kept[showID]; ok && begun.Before(n.until) {
			found[showID] = n.Refunds
		} else {
			missing = append(missing, showID)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	counted, err := q.countRefunds(ctx, missing)
	if err != nil {
		return nil, err
	}
	if c.kept == nil || len(c.kept)+len(missing) > mostCounts {
		c.kept = make(map[int64]refundCount, len(missing))
	}
	now := time.Now()
	for _, showID := range missing {
		found[showID] = counted[showID]
		c.kept[showID] = refundCount{counted[showID], now.Add(refundShare * now.Sub(begun))}
	}
	return found, nil
}

// countRefunds counts the orders of shows whose money is to go back. One that is paid and not ended yet is due.
func (q *Queries) countRefunds(ctx context.Context, shows []int64) (map[int64]views.Refunds, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT show_id, count(*) FILTER (WHERE status = 'COMPLETED' OR refund_status = 'DUE'),
			count(*) FILTER (WHERE status <> 'COMPLETED' AND refund_status = 'DONE'),
			count(*) FILTER (WHERE status <> 'COMPLETED' AND refund_status = 'FAILED')
		FROM order_status WHERE show_id = ANY($1::bigint[]) GROUP BY show_id`, eventstore.Int8Array(shows))
	if err != nil {
		return nil, fmt.Errorf("count refunds: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := make(map[int64]views.Refunds, len(shows))
	for rows.Next() {
		var showID int64
		var n views.Refunds
		if err := rows.Scan(&showID, &n.Due, &n.Done, &n.Failed); err != nil {
			return nil, fmt.Errorf("count refunds: %w", err)
		}
		found[showID] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count refunds: %w", err)
	}
	return found, nil
}
