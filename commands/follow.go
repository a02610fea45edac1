package commands

import (
	"context"
	"time"

	"boxoffice/eventstore"
)

const (
	indexPage  = 20_000          // events whose request keys are indexed at once
	indexEvery = 2 * time.Second // how often the index of requests is brought up to date
)

// follow folds what others appended, up to the head.
func (w *Writer) follow(ctx context.Context) error {
	for {
		head, tail, err := w.store.Tail(ctx, w.head, tailPage)
		if err != nil {
			return err
		}
		if len(tail) == 0 {
			return nil
		}
		w.fold(tail)
		w.head = head
	}
}

// fold takes events of other writers into the states and the known request keys.
func (w *Writer) fold(events []eventstore.Recorded) {
	for _, e := range events {
		if key, ok := eventstore.KeyOf(e.Metadata); ok { // of an event that can't be read, too: its request was answered
			w.keys.add(key, e.Position)
		}
		event, err := decode(e)
		if err != nil {
			// Nobody can decide on this stream; its state is dropped, and whoever needs it is told when it is loaded.
			w.log.Error("an event of the log can't be read", "error", err)
			w.cache.forget(e.Stream)
			continue
		}
		w.cache.evolve(e.Stream, e.Version, event, false)
	}
}

// tend brings the index of requests up to the head now and then, and forgets the keys that stand in it.
func (w *Writer) tend(ctx context.Context) {
	if time.Since(w.tended) < indexEvery || w.indexing.Load() {
		return
	}
	w.tended = time.Now()
	w.keys.forget(w.indexed.Load())
	head := w.head.Position
	w.indexing.Store(true)
	w.background.Go(func() {
		defer w.indexing.Store(false)
		for {
			indexed, err := w.store.IndexRequests(ctx, head, indexPage)
			if err != nil {
				if ctx.Err() == nil { // else the writer ends, and whoever comes next goes on
					w.log.Warn("index of requests falls behind", "error", err)
				}
				return
			}
			w.indexed.Store(indexed)
			if indexed >= head {
				return
			}
		}
	})
}
