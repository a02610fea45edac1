package verify

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"boxoffice/eventstore"
)

// pass is one reading of the log, from its beginning to the head, and on when the head has moved. It
// judges the log's own form; what the events say is the fold's.
type pass struct {
	log  reader
	cfg  Config
	fold *fold
	skip func(e *eventstore.Recorded) bool // events of which the form alone is judged; nil: none

	position int64     // of the last event
	at       time.Time // of the last event
	hash     []byte    // the last stored one; nil before the first
	events   int64
	open     []eventstore.Event // of the append that is being read
	openAt   time.Time
	first    int64 // position of the first of them

	digests  *digests // of all events; nil unless topics are compared
	awaited  expected // rows that are ahead of the fold
	rows     map[string]int
	topics   *Topics
	foreign  []Foreign           // the first few messages of the topics that are no events
	ahead    int64               // a later position of the log's head, to judge what is no event by
	heard    map[string]struct{} // what was found wrong in a topic
	rehashed rehashed
	found    *findings

	unexplained []unexplained
	kept        *Head // that the log still has
}

func newPass(log reader, cfg Config) *pass {
	p := &pass{log: log, cfg: cfg, found: &findings{}, rows: map[string]int{}, awaited: expected{}, heard: map[string]struct{}{}}
	p.fold = newFold(p.found)
	if cfg.Topics != nil {
		p.digests = newDigests()
	}
	return p
}

// advance folds everything up to the head as it is now, and compares the two.
func (p *pass) advance(ctx context.Context) error {
	head, err := p.log.head(ctx)
	if err != nil {
		return err
	}
	if head.Position < p.position {
		p.found.add(KindHead, "log_head", head.Position, "log_head went back from %d to %d while it was read", p.position, head.Position)
		return nil
	}
	for p.position < head.Position {
		limit := int(min(pageEvents, head.Position-p.position))
		page, err := p.log.page(ctx, p.position, limit)
		if err != nil {
			return err
		}
		for i := range page {
			if page[i].Position > head.Position {
				page = page[:i]
				break
			}
			p.event(&page[i])
		}
		if len(page) == 0 {
			p.found.add(KindHead, "log_head", head.Position, "log_head says %d, the last event is at %d", head.Position, p.position)
			return nil
		}
		if p.cfg.Progress != nil {
			p.cfg.Progress(p.position, head.Position)
		}
	}
	p.compareHead(head)
	return p.beyond(ctx)
}

func (p *pass) compareHead(head eventstore.Head) {
	if len(p.open) > 0 {
		p.found.add(KindHash, "events", p.position, "the last append, from %d on, has no hash", p.first)
		p.endAppend()
		return
	}
	if p.position == 0 {
		return
	}
	if !bytes.Equal(head.Hash, p.hash) {
		p.found.add(KindHead, "log_head", head.Position, "log_head's hash is %x, the last event's %x", head.Hash, p.hash)
	}
	if !head.Time.Equal(p.at) {
		p.found.add(KindHead, "log_head", head.Position, "log_head's time is %s, the last event's %s", text(head.Time), text(p.at))
	}
}

// beyond finds events that log_head does not count. Those of an append that came meanwhile are counted
// by the head that is read after them.
func (p *pass) beyond(ctx context.Context) error {
	page, err := p.log.page(ctx, p.position, 1)
	if err != nil || len(page) == 0 {
		return err
	}
	head, err := p.log.head(ctx)
	if err != nil {
		return err
	}
	if head.Position < page[0].Position {
		p.found.add(KindHead, "log_head", page[0].Position, "log_head says %d, but there is an event at %d", head.Position, page[0].Position)
	}
	return nil
}

func (p *pass) event(e *eventstore.Recorded) {
	p.events++
	if e.Position != p.position+1 {
		p.found.add(KindPosition, "events", e.Position, "position %d comes after %d", e.Position, p.position)
	}
	if len(p.open) == 0 {
		p.first, p.openAt = e.Position, e.RecordedAt
	}
	switch {
	case e.RecordedAt.Before(p.at):
		p.found.add(KindTime, e.ID(), e.Position, "recorded at %s, after %s", text(e.RecordedAt), text(p.at))
	case len(p.open) > 0 && !e.RecordedAt.Equal(p.openAt):
		p.found.add(KindTime, e.ID(), e.Position, "recorded at %s, the rest of its append at %s", text(e.RecordedAt), text(p.openAt))
	}
	p.position, p.at = e.Position, e.RecordedAt
	p.open = append(p.open, e.Event)
	if p.digests != nil {
		p.digests.add(e)
	}
	if p.skip != nil && p.skip(e) {
		p.fold.follow(e)
		delete(p.awaited, e.ID())
	} else {
		p.fold.event(e)
		if len(p.awaited) > 0 {
			p.meet(e)
		}
	}
	switch {
	case e.Hash != nil:
		p.chain(e)
		p.endAppend()
	case len(p.open) > eventstore.MaxBatchEvents:
		p.found.add(KindHash, e.ID(), e.Position, "no hash on any of the %d events from %d on", len(p.open), p.first)
		p.endAppend()
	}
}

// chain recomputes the hash of the append that ends with e. It goes on from what is stored, so that one
// changed append is one finding.
func (p *pass) chain(e *eventstore.Recorded) {
	if want := eventstore.Chain(p.hash, p.open, p.openAt, p.first); !bytes.Equal(want, e.Hash) {
		p.found.add(KindHash, e.ID(), e.Position, "the append of positions %d to %d is not what was hashed", p.first, e.Position)
	}
	p.hash = e.Hash
}

func (p *pass) endAppend() {
	clear(p.open)
	p.open = p.open[:0]
	p.fold.endAppend(p.position)
}

// meet compares the rows that were read at the version which the fold has reached now.
func (p *pass) meet(e *eventstore.Recorded) {
	id := e.Stream + ":" + strconv.FormatInt(e.Version, 10)
	for _, row := range p.awaited[id] {
		made, known := row.model.fold(p.fold, row.key)
		if !known || made.version != row.version {
			p.found.add(KindRow, row.name(), e.Position, "version %d, but the log makes no such version", row.version)
			continue
		}
		p.compare(row, made)
	}
	delete(p.awaited, id)
}

func text(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
