package messaging

import (
	"context"
	"time"
)

// backoff waits longer after every failure: from first, doubled, up to limit.
type backoff struct {
	first, limit time.Duration
	next         time.Duration
}

// wait reports false if ctx ended first.
func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(b.next*2, b.first), b.limit)
	timer := time.NewTimer(b.next)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *backoff) reset() { b.next = 0 }
