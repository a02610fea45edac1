package projections

import (
	"context"
	"time"
)

// Limits of reads that wait until a read model shows something.
const (
	maxWait     = 2 * time.Second
	firstPoll   = 10 * time.Millisecond // each waits half as long again as the one before
	longestPoll = 100 * time.Millisecond
	maxWaiters  = 256 // reads that wait at the same time; more are answered at once, as stale
)

// await looks until what is waited for is visible, for at most maxWait, and reports whether it is.
func (q *Queries) await(ctx context.Context, visible func(context.Context) (bool, error)) (bool, error) {
	if done, err := visible(ctx); done || err != nil {
		return done, err
	}
	select {
	case q.waiters <- struct{}{}:
		defer func() { <-q.waiters }()
	default:
		return false, nil
	}
	deadline := time.NewTimer(maxWait)
	defer deadline.Stop()
	for poll := firstPoll; ; poll = min(poll+poll/2, longestPoll) {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return visible(ctx)
		case <-time.After(poll):
		}
		if done, err := visible(ctx); done || err != nil {
			return done, err
		}
	}
}
