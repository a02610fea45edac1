package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// load brings the states that a batch needs into memory: orders, then the shows of commands and orders, then the
// orders whose holds are due there, then all payments of these orders.
func (w *Writer) load(ctx context.Context, batch []*request, at time.Time) error {
	places := w.cache.begin(batch, at)
	if err := w.ids.ensure(ctx, at, places); err != nil {
		return err
	}
	if err := w.loadOrders(ctx, w.cache.orderIDs); err != nil {
		return err
	}
	for _, o := range w.cache.batch.Orders {
		w.cache.showIDs[o.ShowID] = true
	}
	if err := w.loadShows(ctx, w.cache.showIDs); err != nil {
		return err
	}
	// A batch ends at most so many holds, whatever is due on all of its shows together.
	due := map[string]bool{}
	for _, id := range w.cache.touched {
		if s := w.cache.batch.Shows[id]; s != nil && len(due) < domain.MaxDuePerBatch {
			for _, orderID := range s.DueOrders(at, domain.MaxDuePerBatch-len(due)) {
				due[orderID] = true
			}
		}
	}
	if err := w.loadDue(ctx, due); err != nil {
		return err
	}
	if err := w.loadPayments(ctx); err != nil {
		return err
	}
	return w.loadInboxes(ctx)
}

func (w *Writer) loadOrders(ctx context.Context, ids map[string]bool) error {
	return loadStates(ctx, w.store, &w.cache.orders, w.cache.batch.Orders, ids, domain.OrderStream, nil)
}

// loadDue brings in the orders whose holds are due. One that can't be read stays due: nobody asked for it in this
// batch, and a show must not stand still because of it.
func (w *Writer) loadDue(ctx context.Context, ids map[string]bool) error {
	return loadStates(ctx, w.store, &w.cache.orders, w.cache.batch.Orders, ids, domain.OrderStream, func(string) bool { return true })
}

// loadPayments brings in all payments of the batch's orders. An order that is there because it is due, with a
// payment that can't be read, is left out and stays due.
func (w *Writer) loadPayments(ctx context.Context) error {
	ids, orders := map[string]bool{}, map[string]string{}
	for id, o := range w.cache.batch.Orders {
		for _, p := range o.Payments {
			ids[p.PaymentID], orders[p.PaymentID] = true, id
		}
	}
	return loadStates(ctx, w.store, &w.cache.payments, w.cache.batch.Payments, ids, domain.PaymentStream, func(id string) bool {
		if w.cache.orderIDs[orders[id]] {
			return false
		}
		delete(w.cache.batch.Orders, orders[id])
		return true
	})
}

// loadInboxes reads inboxes page by page: a month may bring more deliveries than one query should. One that can't
// be read is left out, because most commands that name it don't need it; what is written to it then has a version
// that exists, and is refused alone.
func (w *Writer) loadInboxes(ctx context.Context) error {
	for stream := range w.cache.streams {
		inbox, ok := w.cache.inboxes.get(stream)
		if !ok {
			inbox = &domain.Inbox{}
			err := foldStream(ctx, w.store, stream, inbox, func() int64 { return inbox.Version })
			if errors.Is(err, errUnfit) {
				w.log.ErrorContext(ctx, "an inbox can't be read, and nothing can be written to it", "error", err)
				continue
			}
			if err != nil {
				return err
			}
			if inbox.Version == 0 {
				continue
			}
			w.cache.inboxes.put(stream, inbox)
		}
		w.cache.batch.Inboxes[stream] = inbox
	}
	return nil
}

// loadStates takes states from memory and reads the streams of the others, all in one query. Without one that
// can't be read the batch goes on if without says so; else it is an error.
func loadStates[S any, P evolver[S]](ctx context.Context, store *eventstore.Store, kept *generations[string, P],
	batch map[string]P, ids map[string]bool, stream func(string) string, without func(id string) bool,
) error {
	var cold []string
	for id := range ids {
		if _, ok := batch[id]; ok {
			continue
		}
		if s, ok := kept.get(id); ok {
			batch[id] = s
		} else {
			cold = append(cold, id)
		}
	}
	if len(cold) == 0 {
		return nil
	}
	streams := make([]string, len(cold))
	for i, id := range cold {
		streams[i] = stream(id)
	}
	read, err := store.ReadStreams(ctx, streams)
	if err != nil {
		return fmt.Errorf("read %d streams: %w", len(streams), err)
	}
	for i, id := range cold {
		events := read[streams[i]]
		if len(events) == 0 {
			continue
		}
		s := P(new(S))
		err := evolveAll(s, events)
		if errors.Is(err, errUnfit) && without != nil && without(id) {
			continue
		}
		if err != nil {
			return err
		}
		kept.put(id, s)
		batch[id] = s
	}
	return nil
}

// evolveAll folds stored events into a state.
func evolveAll[S any, P evolver[S]](s P, events []eventstore.Recorded) error {
	for _, e := range events {
		if err := evolve(s, e); err != nil {
			return err
		}
	}
	return nil
}

// evolve folds a stored event into a state.
func evolve[S any, P evolver[S]](s P, e eventstore.Recorded) error {
	event, err := decode(e)
	if err != nil {
		return err
	}
	s.Evolve(event)
	return nil
}

// foreign stands for an event of a type that only newer writers know. It moves a state's version and nothing else;
// what moves tickets never gets a new type without this writer being taken out of service first.
type foreign string

// EventType is the stored name.
func (f foreign) EventType() string { return string(f) }

// decode reads a stored event.
func decode(e eventstore.Recorded) (domain.Event, error) {
	event, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
	if errors.Is(err, domain.ErrUnknownType) {
		return foreign(e.Type), nil
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w: %w", e.ID(), errUnfit, err)
	}
	return event, nil
}

func (w *Writer) loadShows(ctx context.Context, ids map[int64]bool) error {
	var cold []int64
	for id := range ids {
		if s, ok := w.cache.shows.get(id); ok {
			w.cache.batch.Shows[id] = s.Show
			w.cache.touched = append(w.cache.touched, id)
		} else {
			cold = append(cold, id)
		}
	}
	if len(cold) == 0 {
		return nil
	}
	due, err := w.store.LoadDue(ctx, cold)
	if err != nil {
		return fmt.Errorf("read due: %w", err)
	}
	for _, id := range cold {
		state, err := loadShow(ctx, w.store, id)
		if err != nil {
			return err
		}
		w.cache.touched = append(w.cache.touched, id)
		if state.Version > 0 {
			w.cache.batch.Shows[id] = state
			w.cache.shows.put(id, &show{Show: state, due: due[id]})
		}
	}
	return nil
}

// loadShow folds a show from its last snapshot and what came after it. A show without events has version 0.
func loadShow(ctx context.Context, store *eventstore.Store, id int64) (*domain.Show, error) {
	stream := domain.ShowStream(id)
	state := &domain.Show{}
	snapshot, found, err := store.LoadSnapshot(ctx, stream, domain.ShowSnapshotFormat)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot of %s: %w", stream, err)
	}
	if found {
		if restored, err := domain.RestoreShow(snapshot.Data); err == nil && restored.Version == snapshot.Version {
			state = restored // a snapshot that can't be read is thrown away: the log has everything
		}
	}
	return state, foldStream(ctx, store, stream, state, func() int64 { return state.Version })
}

// foldStream folds what a stream has after the version of a state, page by page.
func foldStream[S any, P evolver[S]](ctx context.Context, store *eventstore.Store, stream string, s P, version func() int64) error {
	for {
		events, err := store.ReadStream(ctx, stream, version(), loadPage)
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		for _, e := range events {
			if err := evolve(s, e); err != nil {
				return err
			}
		}
		if len(events) < loadPage {
			return nil
		}
	}
}

// showOf reads a show's id from its stream.
func showOf(stream string) (int64, bool) {
	text, ok := strings.CutPrefix(stream, "show-")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil
}
