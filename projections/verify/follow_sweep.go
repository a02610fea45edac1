package verify

import (
	"context"
	"fmt"
	"time"

	"boxoffice/eventstore"
)

// Limits of the rounds over all rows.
const (
	sweepEvery  = 2 * time.Second // between two steps
	sweepOrders = 200             // rows of one step
	sweepEvents = 2000            // of those orders
	sweepShows  = 20              // rows of one step, each of which may ask for a show's past
	sweepLate   = 5 * time.Minute // an order whose row lacks what is older than the head by this is counted
)

// sweeps is where the rounds over the read models are.
type sweeps struct {
	at     time.Time // of the last step
	orders string    // the last order
	behind int64     // orders of this round whose rows are behind
	turn   int       // which of the tables of shows; behind them comes the log
	show   string    // the last row of it, or stream
	late   laggards  // of shows
	items  itemRound
	ended  behind // by the last rounds
}

func (s *sweeps) due() bool { return time.Since(s.at) >= sweepEvery }

// sweep goes over the next few rows of orders, shows and open items. Rows are read in transactions of their own, short ones: a
// replay that swaps tables waits for whoever reads them.
func (a *Auditor) sweep(ctx context.Context) error {
	a.sweeps.at = time.Now()
	if err := a.sweepOrders(ctx); err != nil {
		return err
	}
	if a.sweeps.turn == tablesOfShows {
		if err := a.open(ctx, a.sweepShowsOfLog); err != nil {
			return err
		}
	} else if err := a.sweepShows(ctx); err != nil {
		return err
	}
	return a.sweepItems(ctx)
}

// rowsAfter reads the next rows of a table. An auditor without tables has none.
func (a *Auditor) rowsAfter(ctx context.Context, t table, after string, limit int) (rows []row, err error) {
	err = a.open(ctx, func(ctx context.Context, s source) error {
		if len(s.tables) == 0 {
			return nil
		}
		if rows, err = s.tables[t].page(ctx, after, limit); err != nil {
			return fmt.Errorf("read the rows of %s after %q: %w", s.tables[t].table(), after, err)
		}
		for i := range rows {
			rows[i].model = s.tables[t]
		}
		return nil
	})
	return rows, err
}

// sweepOrders reads a range of orders' rows, and then the streams of all orders in that range. So it sees rows
// that no order has and orders that have no row, and every row can be compared at its own version.
func (a *Auditor) sweepOrders(ctx context.Context) error {
	rows, err := a.rowsAfter(ctx, ordersTable, a.sweeps.orders, sweepOrders)
	if err != nil {
		return err
	}
	return a.open(ctx, func(ctx context.Context, s source) error {
		if len(s.tables) == 0 {
			return nil
		}
		return a.compareOrders(ctx, s, rows)
	})
}

// compareOrders compares a range of rows, which ends the round if it is not full.
func (a *Auditor) compareOrders(ctx context.Context, s source, rows []row) error {
	upTo, next := after(orderPrefix), ""
	if len(rows) == sweepOrders {
		next = rows[len(rows)-1].key
		upTo = orderPrefix + next
	}
	events, err := s.orders(ctx, orderPrefix+a.sweeps.orders, upTo, sweepEvents)
	if err != nil {
		return err
	}
	tooLong := ""
	if len(events) == sweepEvents {
		if events, next = cutStream(events); len(events) == 0 {
			tooLong = next
		}
	}
	sw := sweeping{pass: newPass(s, Config{}), model: s.tables[ordersTable], rows: map[string]row{}, late: a.pass.at.Add(-a.cfg.late)}
	for _, r := range rows {
		if (next == "" || r.key <= next) && r.key != tooLong {
			sw.rows[r.key] = r
		}
	}
	sw.streams(events)
	if err := a.tellOf(ctx, s, sw.pass); err != nil {
		return err
	}
	late, err := s.lags(ctx, ordersTable, sw.behind)
	if err != nil {
		return err
	}
	a.sweeps.behind += int64(len(late))
	if a.sweeps.orders = next; next == "" {
		a.sweeps.ended.orders, a.sweeps.behind = a.sweeps.behind, 0
		a.publishBehind(1)
	}
	return nil
}

// cutStream leaves out the last stream, which may go on, and tells the last order that is whole. One that fills
// the page alone is passed over.
func cutStream(events []eventstore.Recorded) (whole []eventstore.Recorded, last string) {
	cut := len(events) - 1
	for cut > 0 && events[cut-1].Stream == events[cut].Stream {
		cut--
	}
	if cut == 0 {
		_, last = split(events[0].Stream)
		return nil, last
	}
	_, last = split(events[cut-1].Stream)
	return events[:cut], last
}

// sweeping is one step over orders.
type sweeping struct {
	pass   *pass
	model  model
	rows   map[string]row // by order, those that were not judged yet
	late   time.Time      // what happened before should be in the rows by now
	behind []row
}

// streams folds orders one after the other, each up to the version of its row.
func (w *sweeping) streams(events []eventstore.Recorded) {
	found := w.pass.found
	w.pass.fold.found = &findings{} // what is wrong with the past is for Run to find
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].Stream == events[0].Stream {
			n++
		}
		if _, id := split(events[0].Stream); id != "" {
			w.order(id, events[:n])
		}
		events = events[n:]
	}
	for _, r := range w.rows {
		found.add(KindRow, r.name(), 0, "the log makes no such row")
	}
}

func (w *sweeping) order(id string, events []eventstore.Recorded) {
	stored, has := w.rows[id]
	delete(w.rows, id)
	newest := &events[len(events)-1]
	if stored.version < newest.Version && newest.RecordedAt.Before(w.late) {
		w.behind = append(w.behind, row{key: id, stream: newest.Stream, version: stored.version})
	}
	if !has {
		return
	}
	for i := range events {
		e := &events[i]
		if e.Version > stored.version || !knows(e) {
			break
		}
		w.pass.fold.event(e)
		if e.Version < stored.version {
			continue
		}
		if made, known := w.model.fold(w.pass.fold, id); known && made.version == stored.version {
			w.pass.compare(stored, made)
		}
		return
	}
	if newest.Version < stored.version {
		w.pass.found.add(KindRow, stored.name(), 0, "version %d, but the log makes no such version; its newest is %d", stored.version, newest.Version)
	}
}
