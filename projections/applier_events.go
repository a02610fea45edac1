package projections

import (
	"context"
	"slices"

	"boxoffice/eventstore"
)

// eventsOf are the events in a partition's batch, and how many of its messages are none that the log can have.
func (a *Applier) eventsOf(ctx context.Context, at place, batch []Message) (events []eventstore.Recorded, foreign int64, err error) {
	log := a.log.With("projection", a.projection.Definition().Name, "topic", at.topic, "partition", at.partition)
	var highest int64
	for _, m := range batch {
		if m.Message == nil {
			continue // of a stream that this projection does not look at
		}
		e, err := eventstore.FromMessage(m.Message)
		if err != nil {
			foreign++
			log.WarnContext(ctx, "message is no event and is passed over", "offset", m.Offset, "error", err)
			continue
		}
		highest = max(highest, e.Position)
		events = append(events, e)
	}
	head, err := a.headFor(ctx, highest)
	if err != nil || highest <= head {
		return events, foreign, err
	}
	var beyond []int64
	events = slices.DeleteFunc(events, func(e eventstore.Recorded) bool {
		forged := e.Position > head
		if forged {
			beyond = append(beyond, e.Position)
		}
		return forged
	})
	log.ErrorContext(ctx, "message claims a position that the log does not have", "messages", len(beyond),
		"position", beyond[0], "head", head, "before", batch[len(batch)-1].Offset+1)
	return events, foreign + int64(len(beyond)), nil
}

// headFor is a position that the log has, at least as high as the wanted one if the log has that. Events are
// committed before they are relayed, so what was read from a topic is never beyond the head that is read after it.
func (a *Applier) headFor(ctx context.Context, wanted int64) (int64, error) {
	a.mu.Lock()
	known := a.head
	a.mu.Unlock()
	if wanted <= known {
		return known, nil
	}
	head, err := a.store.Head(ctx)
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.head = max(a.head, head.Position)
	return a.head, nil
}
