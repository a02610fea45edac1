package replay

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"boxoffice/eventstore"
)

// pageEvents is how many events are read at once.
const pageEvents = 10_000

// span is a range of the keys' hashes: from, but not to. All are before everything.
type span struct{ from, to uint64 }

const everything = math.MaxUint64

func (s span) has(key string) bool {
	h := hashOf(key)
	return h >= s.from && (h < s.to || s.to == everything)
}

func hashOf(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	n := h.Sum64()
	n ^= n >> 33 // the high bits of short keys hardly differ
	n *= 0xff51afd7ed558ccd
	return n ^ n>>33
}

// fill folds the log up to the head as it is now and copies what that makes into the new tables. Where the rows
// are too many for the memory, it folds those of a range of keys, and then the next range from the beginning.
func (r *rebuild) fill(ctx context.Context) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return err
	}
	for s := (span{0, everything}); ; s = (span{s.to, everything}) {
		r.passes++
		if s, err = r.fold(ctx, s, head.Position); err != nil {
			return err
		}
		if err := r.copyRows(ctx); err != nil {
			return err
		}
		if s.to == everything {
			break
		}
		r.forget()
	}
	r.only(nil)
	r.at, r.filled = head.Position, head.Position
	if err := r.index(ctx); err != nil {
		return err
	}
	if r.passes > 1 {
		r.store()
	}
	return nil
}

// fold folds rows of a range of keys, or of its lower part if all are too many, and tells of which.
func (r *rebuild) fold(ctx context.Context, s span, head int64) (span, error) {
	r.only(&s)
	r.progress(Progress{Phase: Reading, Pass: r.passes, Total: head, Unit: unitEvents}, true)
	err := r.read(ctx, 0, head, func(ctx context.Context, page []eventstore.Recorded, at int64) error {
		for _, m := range r.models {
			if err := m.build.Add(ctx, nil, page); err != nil {
				return err
			}
		}
		for r.rows() > r.cfg.MaxRows && s.to-s.from > 1 {
			s.to = s.from + (s.to-s.from)/2
			r.only(&s)
			for _, m := range r.models {
				m.build.Rows().Keep(s.has)
			}
		}
		r.progress(Progress{Phase: Reading, Pass: r.passes, Done: at, Total: head, Unit: unitEvents}, at == head)
		return nil
	})
	return s, err
}

// only lets all builds pass over rows outside of a range.
func (r *rebuild) only(s *span) {
	for _, m := range r.models {
		if s == nil || *s == (span{0, everything}) {
			m.build.Only(nil)
		} else {
			m.build.Only(s.has)
		}
	}
}

// store leaves the rows to the new tables, from where they are read from now on when they are needed.
func (r *rebuild) store() {
	r.forget()
	r.stored = true
}

// forget drops all rows in memory.
func (r *rebuild) forget() {
	for _, m := range r.models {
		m.build.Rows().Keep(func(string) bool { return false })
	}
}

func (r *rebuild) rows() (n int64) {
	for _, m := range r.models {
		n += int64(m.build.Rows().Keep(nil))
	}
	return n
}

// read hands over the log from after a position up to another one, page by page, in each those events only that may
// feed a row. The next page is read while one is handled.
func (r *rebuild) read(ctx context.Context, after, to int64, handle func(ctx context.Context, page []eventstore.Recorded, at int64) error) error {
	type page struct {
		events []eventstore.Recorded
		at     int64
	}
	pages := make(chan page, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pages)
		for at := after; at < to; {
			upTo := min(at+pageEvents, to)
			events, err := r.log.ReadParts(ctx, at, upTo, r.parts)
			if err != nil {
				return err
			}
			at = upTo
			select {
			case pages <- page{events, at}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	g.Go(func() error {
		for p := range pages {
			if err := handle(ctx, p.events, p.at); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// copyRows copies all rows in memory into the new tables.
func (r *rebuild) copyRows(ctx context.Context) error {
	var done atomic.Int64
	total := r.rows()
	r.progress(Progress{Phase: Writing, Pass: r.passes, Total: total, Unit: unitRows}, true)
	for _, m := range r.models {
		err := r.together(ctx, func(ctx context.Context, g *errgroup.Group) {
			for keys := range slices.Chunk(m.build.Rows().Keys(), chunkRows) {
				g.Go(func() error {
					if err := r.copyChunk(ctx, m, keys); err != nil {
						return fmt.Errorf("write %s: %w", m.Name, err)
					}
					now := done.Add(int64(len(keys)))
					r.progress(Progress{Phase: Writing, Pass: r.passes, Done: now, Total: total, Unit: unitRows}, now == total)
					return nil
				})
			}
		})
		if err != nil {
			return err
		}
		m.build.Rows().Keep(nil)
	}
	return nil
}

// rest waits for a while, or for the end of ctx, which is its error.
func rest(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// workers is how many transactions a replay has under way at once: one is encoded or read while another is written.
const workers = 2

// together runs what start begins, a few at once.
func (r *rebuild) together(ctx context.Context, start func(context.Context, *errgroup.Group)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	start(ctx, g)
	return g.Wait()
}
