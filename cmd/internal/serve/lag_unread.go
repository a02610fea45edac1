package serve

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// unread is what a reader has not read of a partition.
type unread struct {
	next     place // the oldest of it
	messages int64
	applied  int64 // the last position that was read of the partition
}

// reader is a projection or a consumer with what it has not read. Those whose topics are not known are left out.
type reader struct {
	name   string
	kind   ReaderKind
	unread []unread
}

func (m *LagMeter) readers(progress eventstore.Progress) []reader {
	var all []reader
	at := map[string]map[messaging.Claim]eventstore.Checkpoint{}
	for _, c := range progress.Checkpoints {
		if at[c.Name] == nil {
			at[c.Name] = map[messaging.Claim]eventstore.Checkpoint{}
		}
		at[c.Name][messaging.Claim{Topic: c.Topic, Partition: c.Partition}] = c
	}
	for _, p := range projections.All() {
		bounds, known := m.ends.bounds[p.Definition().Topic]
		if !known {
			continue
		}
		r := reader{name: p.Definition().Name, kind: ProjectionReader}
		for _, b := range bounds {
			c := at[r.name][b.Claim]
			r.unread = behind(r.unread, b, c.NextOffset, c.Position)
		}
		all = append(all, r)
	}
	for _, group := range slices.Sorted(maps.Keys(consumers())) {
		committed, known := m.ends.committed[group]
		if !known {
			continue
		}
		r := reader{name: group, kind: ConsumerReader}
		for _, b := range m.ends.bounds[consumers()[group]] {
			r.unread = behind(r.unread, b, committed[b.Claim], -1)
		}
		all = append(all, r)
	}
	return all
}

// behind adds what of a partition is not read. A checkpoint beyond its end is one of another topic of that name,
// of which nothing counts.
func behind(all []unread, b messaging.Bounds, next, applied int64) []unread {
	if next > b.Newest {
		next = b.Oldest
	}
	next = max(next, b.Oldest)
	if next >= b.Newest {
		return all
	}
	return append(all, unread{place{b.Claim, next}, b.Newest - next, applied})
}

// oldest is the time of the oldest message that is not read; zero if there is none, or none could be looked at.
func (m *LagMeter) oldest(ctx context.Context, all []unread) (oldest time.Time, err error) {
	var mu sync.Mutex
	looking, ctx := errgroup.WithContext(ctx)
	looking.SetLimit(lagReads)
	found := map[place]time.Time{}
	note := func(p place, at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		found[p] = at
	}
	for _, u := range all {
		if at, ok := m.known[u.next]; ok {
			note(u.next, at)
			continue
		}
		if m.gauge == nil {
			continue
		}
		looking.Go(func() error {
			at, err := m.gauge.TimeAt(ctx, u.next.Claim, u.next.offset)
			if err == nil {
				note(u.next, at)
			}
			return err
		})
	}
	err = looking.Wait()
	if len(m.known)+len(found) > lagTimings {
		clear(m.known)
	}
	maps.Copy(m.known, found)
	for _, at := range found {
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, err
}
