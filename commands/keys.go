package commands

import (
	"context"
	"fmt"

	"boxoffice/eventstore"
)

// keys are the idempotency keys behind the index of requests: those of the events that it does not cover yet.
type keys struct {
	at    map[eventstore.RequestKey]int64 // position of the request's first event
	queue []keyAt                         // by position
}

type keyAt struct {
	key      eventstore.RequestKey
	position int64
}

func newKeys() keys { return keys{at: map[eventstore.RequestKey]int64{}} }

func (k *keys) add(key eventstore.RequestKey, position int64) {
	k.at[key] = position
	k.queue = append(k.queue, keyAt{key, position})
}

// forget drops the keys that the index covers.
func (k *keys) forget(indexed int64) {
	n := 0
	for n < len(k.queue) && k.queue[n].position <= indexed {
		delete(k.at, k.queue[n].key)
		n++
	}
	k.queue = append(k.queue[:0:0], k.queue[n:]...)
}

// known answers the requests of a batch that were answered before and returns the others. It asks memory, then
// the index: together they know every key up to the folded head, and the fence does the rest.
func (w *Writer) known(ctx context.Context, batch []*request) ([]*request, error) {
	var ask []eventstore.RequestKey
	for _, r := range batch {
		if !r.origin.Request.Keyed() {
			continue
		}
		if at, ok := w.keys.at[r.origin.Request.Key]; ok {
			r.replayOf = at
		} else {
			ask = append(ask, r.origin.Request.Key)
		}
	}
	if len(ask) > 0 {
		found, err := w.store.LookupRequests(ctx, ask)
		if err != nil {
			return batch, fmt.Errorf("look up %d requests: %w", len(ask), err)
		}
		for _, r := range batch {
			if at, ok := found[r.origin.Request.Key]; ok && r.origin.Request.Keyed() {
				r.replayOf = at
			}
		}
	}
	rest := batch[:0]
	for _, r := range batch {
		if r.replayOf > 0 {
			r.finish(nil)
		} else {
			rest = append(rest, r)
		}
	}
	return rest, nil
}
