package verify

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"boxoffice/eventstore"
)

// Limits of comparing the rows that appends touched.
const (
	touchedRows  = 500              // of one look
	touchedLimit = 10_000           // that wait; more are left to the rounds
	touchedWait  = 30 * time.Second // for a read model to reach the log; then the row is left to the rounds
	awaitedRows  = 10_000           // read ahead of the fold
)

// queue are the rows that wait to be compared, in the order in which they were touched.
type queue struct {
	order []touchedRow
	since map[touchedRow]time.Time
}

// touchedRow is an order's or an open item's row, or all rows of a show.
type touchedRow struct {
	table table
	key   string
}

func (q *queue) add(r touchedRow, since time.Time) {
	if _, waits := q.since[r]; waits || len(q.since) >= touchedLimit {
		return
	}
	if q.since == nil {
		q.since = map[touchedRow]time.Time{}
	}
	q.since[r] = since
	q.order = append(q.order, r)
}

// take removes the first few.
func (q *queue) take(n int) map[touchedRow]time.Time {
	out := map[touchedRow]time.Time{}
	n = min(n, len(q.order))
	for _, r := range q.order[:n] {
		out[r] = q.since[r]
		delete(q.since, r)
	}
	q.order = q.order[n:]
	return out
}

// touch notes the rows that events have changed.
func (a *Auditor) touch(events []eventstore.Recorded) {
	now := time.Now()
	for i := range events {
		e := &events[i]
		if !a.judges(e) {
			continue
		}
		switch kind, id := split(e.Stream); kind {
		case orderPrefix:
			a.touched.add(touchedRow{ordersTable, id}, now)
		case showPrefix:
			a.touched.add(touchedRow{showsTable, id}, now)
		}
		switch e.Type {
		case "PaymentMismatched", "PaymentUnmatched", "RefundFailed":
			a.touched.add(touchedRow{itemsTable, e.ID()}, now)
		case "OpenItemResolved":
			a.touched.add(touchedRow{itemsTable, subjectsOf(e).Item}, now)
		}
	}
}

// compareTouched reads the rows that were touched. A row at the fold's version is compared, one that is ahead is
// compared when the fold meets its version, one that is behind is read again: it is late, not wrong.
func (a *Auditor) compareTouched(ctx context.Context, s source) error {
	rows := a.touched.take(touchedRows)
	if len(rows) == 0 || len(s.tables) == 0 {
		return nil
	}
	late, err := a.compareRows(ctx, s, a.keysOf(rows))
	now := time.Now()
	for r, since := range rows {
		if (err != nil || late[r]) && now.Sub(since) < touchedWait {
			a.touched.add(r, since)
		}
	}
	if err != nil {
		return err
	}
	return a.tell(ctx, s)
}

// keysOf are the keys of touched rows by table; a show has rows in three.
func (a *Auditor) keysOf(rows map[touchedRow]time.Time) map[table][]string {
	keys := map[table][]string{}
	for r := range rows {
		keys[r.table] = append(keys[r.table], r.key)
		if r.table != showsTable {
			continue
		}
		if id, _ := splitKey(r.key); a.pass.fold.shows[id] != nil {
			for i := range a.pass.fold.shows[id].types {
				key := typeKey(id, a.pass.fold.shows[id].types[i].ID)
				keys[typesTable] = append(keys[typesTable], key)
				keys[availabilityTable] = append(keys[availabilityTable], key)
			}
		}
	}
	return keys
}

// compareRows reads and judges rows, and tells which of them are late or not there yet.
func (a *Auditor) compareRows(ctx context.Context, s source, keys map[table][]string) (late map[touchedRow]bool, err error) {
	late = map[touchedRow]bool{}
	for t, keys := range keys {
		for _, key := range keys {
			late[touchedBy(t, key)] = true
		}
	}
	behind := map[touchedRow]bool{}
	for t, keys := range keys {
		stored, err := s.tables[t].again(ctx, keys)
		if err != nil {
			return late, fmt.Errorf("read %d rows of %s: %w", len(keys), s.tables[t].table(), err)
		}
		for _, r := range stored {
			r.model = s.tables[t]
			if by := touchedBy(t, r.key); a.meets(r) {
				delete(late, by)
			} else {
				behind[by] = true
			}
		}
	}
	for r := range behind {
		late[r] = true
	}
	return late, nil
}

// touchedBy is what touched a row.
func touchedBy(t table, key string) touchedRow {
	if t == typesTable || t == availabilityTable {
		show, _ := splitKey(key)
		return touchedRow{showsTable, strconv.FormatInt(show, 10)}
	}
	return touchedRow{t, key}
}

// meets compares a stored row, or keeps it until the fold is at its version. false: the row is behind.
func (a *Auditor) meets(stored row) bool {
	if a.isOpaque(stored.stream) {
		return true
	}
	made, known := stored.model.fold(a.pass.fold, stored.key)
	switch {
	case !known || stored.version > made.version:
		if len(a.pass.awaited) < awaitedRows {
			id := stored.stream + ":" + strconv.FormatInt(stored.version, 10)
			a.pass.awaited[id] = append(a.pass.awaited[id], stored)
		}
	case stored.version < made.version:
		return false
	default:
		a.pass.compare(stored, made)
	}
	return true
}

// unmet judges the rows that were ahead of the fold and that it has not met up to the head, which was read after
// them: they show what never happened.
func (a *Auditor) unmet() {
	for id, rows := range a.pass.awaited {
		for _, r := range rows {
			made, known := r.model.fold(a.pass.fold, r.key)
			switch {
			case a.isOpaque(r.stream):
			case known:
				a.pass.found.add(KindRow, r.name(), 0, "version %d, but the log makes no such version; its newest is %d", r.version, made.version)
			default:
				a.pass.found.add(KindRow, r.name(), 0, "the log makes no such row")
			}
		}
		delete(a.pass.awaited, id)
	}
}
