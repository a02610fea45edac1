package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// sweepItems is how many rows of open_items one step reads; each asks for its stream.
const sweepItems = 50

// itemRound is where the round over open items is. First come the rows of open_items, then the log's events that
// open items, stream by stream: for each there must be a row.
type itemRound struct {
	turn  int    // 0: rows, 1: inboxes, 2: payments
	row   string // the last
	place place  // the last event that was looked at
	late  laggards
}

// place is where an event stands.
type place struct {
	Stream  string `db:"stream"`
	Version int64  `db:"version"`
	Type    string `db:"type"`
}

func (p place) id() string { return p.Stream + ":" + strconv.FormatInt(p.Version, 10) }

// sweepItems goes over the next few open items.
func (a *Auditor) sweepItems(ctx context.Context) error {
	w := &a.sweeps.items
	if w.turn > 0 {
		return a.open(ctx, a.sweepOpeners)
	}
	rows, err := a.rowsAfter(ctx, itemsTable, w.row, sweepItems)
	if err != nil {
		return err
	}
	return a.open(ctx, func(ctx context.Context, s source) error {
		if err := a.compareItems(ctx, s, rows); err != nil {
			return err
		}
		if len(rows) == sweepItems {
			w.row = rows[len(rows)-1].key
		} else {
			w.turn, w.row, w.place = 1, "", place{Stream: inboxPrefix}
		}
		return nil
	})
}

// compareItems folds the streams of rows that were read before, and compares each row at its own version.
func (a *Auditor) compareItems(ctx context.Context, s source, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	p := newPass(s, Config{})
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.stream) {
			names = append(names, r.stream)
		}
		id := place{Stream: r.stream, Version: r.version}.id()
		p.awaited[id] = append(p.awaited[id], r)
	}
	opaque, err := p.foldItems(ctx, s, names)
	if err != nil {
		return err
	}
	for _, left := range p.awaited {
		for _, r := range left {
			if made, known := r.model.fold(p.fold, r.key); known && !opaque[r.stream] {
				p.found.add(KindRow, r.name(), 0, "version %d, but the log makes no such version; its newest is %d", r.version, made.version)
			} else if !opaque[r.stream] {
				p.found.add(KindRow, r.name(), 0, "the log makes no such row")
			}
		}
	}
	var late []row
	for _, r := range rows {
		if it := p.fold.items[r.key]; it != nil && r.version < it.version && !opaque[r.stream] {
			late = append(late, r)
		}
	}
	if err := a.lateItems(ctx, s, late); err != nil {
		return err
	}
	return a.tellOf(ctx, s, p)
}

// foldItems folds streams whole and meets the rows that are awaited on the way. It tells which of them this program
// does not understand.
func (p *pass) foldItems(ctx context.Context, s source, names []string) (opaque map[string]bool, err error) {
	p.fold.found, p.fold.sales = &findings{}, nil // what is wrong with the past is for Run to find
	opaque = map[string]bool{}
	for part := range slices.Chunk(names, pastStreams) {
		events, err := s.streams(ctx, part, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		for i := range events {
			e := &events[i]
			if opaque[e.Stream] = opaque[e.Stream] || !knows(e); !opaque[e.Stream] {
				p.fold.event(e)
				p.meet(e)
			}
		}
	}
	return opaque, nil
}

func (a *Auditor) lateItems(ctx context.Context, s source, late []row) error {
	late, err := s.lags(ctx, itemsTable, late)
	for _, r := range late {
		a.sweeps.items.late.add(itemsTable, r, a.cfg.late)
	}
	return err
}

// sweepOpeners looks for the rows of the next events that open items.
func (a *Auditor) sweepOpeners(ctx context.Context, s source) error {
	w := &a.sweeps.items
	if len(s.tables) == 0 {
		w.turn = 0
		return nil
	}
	prefix := []string{inboxPrefix, paymentPrefix}[w.turn-1]
	events, err := s.places(ctx, w.place, after(prefix), sweepEvents)
	if err != nil {
		return err
	}
	if err := a.missingItems(ctx, s, events); err != nil {
		return err
	}
	switch {
	case len(events) == sweepEvents:
		w.place = events[len(events)-1]
	case w.turn == 1:
		w.turn, w.place = 2, place{Stream: paymentPrefix}
	default:
		w.turn = 0
		a.sweeps.ended.items = w.late.end()
		a.publishBehind(0)
	}
	return nil
}

// missingItems finds the open items without a row. Which events do open one the fold says.
func (a *Auditor) missingItems(ctx context.Context, s source, events []place) error {
	opened := map[string]string{} // the stream by item
	for _, e := range events {
		if opensItem(e.Type) {
			opened[e.id()] = e.Stream
		}
	}
	if len(opened) == 0 {
		return nil
	}
	ids := make([]string, 0, len(opened))
	for id := range opened {
		ids = append(ids, id)
	}
	stored, err := s.tables[itemsTable].again(ctx, ids)
	if err != nil {
		return fmt.Errorf("read %d rows of open_items: %w", len(ids), err)
	}
	for _, r := range stored {
		delete(opened, r.key)
	}
	var names []string
	for _, stream := range opened {
		if !slices.Contains(names, stream) {
			names = append(names, stream)
		}
	}
	p := newPass(s, Config{})
	opaque, err := p.foldItems(ctx, s, names)
	if err != nil {
		return err
	}
	var late []row
	for id, stream := range opened {
		if p.fold.items[id] != nil && !opaque[stream] {
			late = append(late, row{key: id, stream: stream})
		}
	}
	return a.lateItems(ctx, s, late)
}

// opensItem reports whether events of a type open items.
func opensItem(eventType string) bool {
	return eventType == "PaymentMismatched" || eventType == "PaymentUnmatched" || eventType == "RefundFailed"
}
