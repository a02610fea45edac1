package verify

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"boxoffice/eventstore"
)

// errReplaced: the log is not the one that was judged so far.
var errReplaced = errors.New("the log was replaced")

// follow judges the log up to its head, page by page. Between pages it rests as long as the last one took, so that
// those who sell do not wait for a core.
func (a *Auditor) follow(ctx context.Context) error {
	for a.caughtUp = false; ; {
		begun := time.Now()
		if err := a.open(ctx, a.page); err != nil || a.caughtUp {
			return err
		}
		rest := time.NewTimer(min(time.Since(begun), auditRest))
		select {
		case <-ctx.Done():
			rest.Stop()
			return ctx.Err()
		case <-rest.C:
		}
	}
}

// page judges the next appends.
func (a *Auditor) page(ctx context.Context, s source) error {
	if a.pass == nil {
		return a.begin(ctx, s)
	}
	p := a.pass
	head, err := s.head(ctx)
	if err != nil {
		return err
	}
	events, err := a.next(ctx, s, head)
	switch {
	case errors.Is(err, errReplaced):
		p.found.add(KindHead, "log_head", p.position, "the log was replaced: what was judged up to position %d is not there any more", p.position)
		return a.begin(ctx, s)
	case err != nil:
		return err
	case len(events) == 0 && p.position < head.Position:
		p.found.add(KindHead, "log_head", head.Position, "log_head says %d, the last event is at %d", head.Position, p.position)
		return a.begin(ctx, s)
	}
	switch err := a.recall(ctx, s, events); {
	case errors.Is(err, errUnfinished):
		return nil
	case err != nil:
		return err
	}
	for i := range events {
		p.event(&events[i])
	}
	if len(events) > 0 {
		a.tail = events[len(events)-1].Hash
		a.touch(events)
	}
	if a.caughtUp = p.position >= head.Position; a.caughtUp {
		p.compareHead(head)
		a.unmet()
	}
	if err := a.tell(ctx, s); err != nil {
		return err
	}
	if len(a.loaded) > a.cfg.streams || len(p.fold.shows) > auditShows {
		a.forget()
	}
	a.publish(head.Position)
	return nil
}

// next reads whole appends after the last one that was judged, and sees that it is still there: a log that was
// restored from a copy may be shorter, or go on in another way. No events: there are none up to the head.
func (a *Auditor) next(ctx context.Context, s source, head eventstore.Head) ([]eventstore.Recorded, error) {
	p, itself := a.pass, 0
	if head.Position < p.position {
		return nil, errReplaced
	}
	if a.tail != nil {
		itself = 1
	}
	for limit := auditEvents; ; limit += eventstore.MaxBatchEvents { // the largest append fits the second time
		page, err := s.page(ctx, p.position-int64(itself), limit+itself)
		if err != nil {
			return nil, err
		}
		if itself == 1 {
			if len(page) == 0 || page[0].Position != p.position || !bytes.Equal(page[0].Hash, a.tail) {
				return nil, errReplaced
			}
			page = page[1:]
		}
		whole := len(page) < limit
		if i := slices.IndexFunc(page, func(e eventstore.Recorded) bool { return e.Position > head.Position }); i >= 0 {
			if err := a.beyond(ctx, s, page[i].Position); err != nil {
				return nil, err
			}
			page, whole = page[:i], true
		}
		if whole || limit > eventstore.MaxBatchEvents {
			return page, nil
		}
		for i := len(page); i > 0; i-- {
			if page[i-1].Hash != nil {
				return page[:i], nil
			}
		}
	}
}

// beyond judges an event that stood behind the head: that must have come to it since.
func (a *Auditor) beyond(ctx context.Context, s source, position int64) error {
	head, err := s.head(ctx)
	if err == nil && head.Position < position {
		a.pass.found.add(KindHead, "log_head", position, "log_head says %d, but there is an event at %d", head.Position, position)
	}
	return err
}

// begin takes the log's head as it is now as the place to go on from, with nothing in memory.
func (a *Auditor) begin(ctx context.Context, s source) error {
	head, err := s.head(ctx)
	if err != nil {
		return err
	}
	p := newPass(s, Config{})
	p.fold.sales = nil
	if a.pass != nil {
		p.found, p.rows, p.fold.found = a.pass.found, a.pass.rows, a.pass.found
	}
	p.skip = func(e *eventstore.Recorded) bool { return !a.judges(e) }
	p.position, p.at, p.hash = head.Position, head.Time, head.Hash
	var tail []byte
	if head.Position > 0 {
		page, err := s.page(ctx, head.Position-1, 1)
		if err != nil {
			return err
		}
		if len(page) == 1 && page[0].Position == head.Position && page[0].Hash != nil {
			tail, p.hash, p.at = page[0].Hash, page[0].Hash, page[0].RecordedAt
			p.compareHead(head)
		} else {
			p.found.add(KindHead, "log_head", head.Position, "log_head says %d, and no append ends there", head.Position)
		}
	}
	first := a.pass == nil
	a.pass, a.tail, a.caughtUp = p, tail, true
	a.loaded, a.opaque, a.touched = map[string]struct{}{}, map[string]struct{}{}, queue{}
	a.named = nil
	clear(a.outlines)
	if first {
		a.mu.Lock()
		a.status.Begun = head.Position
		a.mu.Unlock()
	}
	if err := a.tell(ctx, s); err != nil {
		return err
	}
	a.publish(head.Position)
	return nil
}

// forget drops what is in memory, but not the shows, which are few and slow to read. It is called between appends:
// in the midst of one the past can't be told from what is being judged.
func (a *Auditor) forget() {
	was := a.pass.fold
	f := newFold(a.pass.found)
	f.sales = nil
	f.seed = was.seed
	streams, opaque := map[string]struct{}{}, map[string]struct{}{}
	if len(was.shows) <= auditShows {
		f.shows = was.shows
		for id := range was.shows {
			name := showStream(id)
			if _, is := a.loaded[name]; !is {
				delete(f.shows, id) // its past was being read
				continue
			}
			streams[name] = struct{}{}
			if _, is := a.opaque[name]; is {
				opaque[name] = struct{}{}
			}
		}
	}
	a.pass.fold, a.loaded, a.opaque, a.touched = f, streams, opaque, queue{}
	a.named = nil
	clear(a.pass.awaited)
}
