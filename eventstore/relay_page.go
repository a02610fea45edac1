package eventstore

import (
	"context"
	"time"
)

// pages reads the log in pages that are limited in events and in bytes. Postgres limits only the former, so
// the next page asks for as many events as the sizes of the last one allow.
type pages struct {
	store *Store
	limit int // events
	next  int // events to ask for
}

func (p *pages) read(ctx context.Context, after int64) ([]Recorded, error) {
	events, err := p.store.ReadAll(ctx, after, p.next)
	if err != nil {
		return nil, err
	}
	size := 0
	for i, e := range events {
		size += len(e.Data) + len(e.Metadata)
		if size > relayPageBytes && i > 0 {
			p.next = i
			return events[:i], nil
		}
	}
	if len(events) == p.next && size < relayPageBytes/2 {
		p.next = min(2*p.next, p.limit)
	}
	return events, nil
}

// pause is a wait that doubles each time, from first to last.
type pause struct {
	first, last time.Duration
	next        time.Duration
}

// wait waits until the time is over, ctx ends or something wakes it; being woken begins again with the shortest wait.
func (p *pause) wait(ctx context.Context, wake <-chan struct{}) {
	p.next = min(max(2*p.next, p.first), p.last)
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
		p.reset()
	}
}

func (p *pause) reset() { p.next = 0 }
