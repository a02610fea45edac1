package notifications

import (
	"context"
	"time"
)

const (
	houseEvery = 15 * time.Second // between counts of what waits
	pruneEvery = time.Hour
	houseLimit = 10 * time.Second // for one statement
)

// keepHouse counts what waits and forgets what is old, until ctx ends.
func (w *worker) keepHouse(ctx context.Context) {
	var pruned time.Time
	for ctx.Err() == nil {
		if err := w.count(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "waiting notifications not counted", "error", err)
		}
		if time.Since(pruned) > pruneEvery {
			if err := w.prune(ctx); err == nil {
				pruned = time.Now()
			} else if ctx.Err() == nil {
				w.log.WarnContext(ctx, "old notifications not forgotten", "error", err)
			}
		}
		w.rest(ctx, houseEvery, nil)
	}
}

func (w *worker) count(ctx context.Context) error {
	counting, cancel := context.WithTimeout(ctx, houseLimit)
	defer cancel()
	n, err := w.table.waiting(counting, w.sender.Name())
	if err == nil {
		w.waiting.Store(n)
	}
	return err
}

// prune forgets in pages, each a transaction of its own, so that nothing waits for it.
func (w *worker) prune(ctx context.Context) error {
	for {
		page, cancel := context.WithTimeout(ctx, houseLimit)
		n, err := w.table.prune(page, w.sender.Name())
		cancel()
		if err != nil || n < mostPruned {
			return err
		}
	}
}
