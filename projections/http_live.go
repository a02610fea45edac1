package projections

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// maxStreams is how many streams a process has open at the same time; more are refused.
const maxStreams = 10_000

// Streams is the number of streams that are open now.
func (q *Queries) Streams() int { return len(q.streams) }

// orderEvents answers GET /orders/{id}/events: the order as getOrder would show it, now and whenever it changes.
func (q *Queries) orderEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	event := func(o liveOrder) ([]byte, error) { return o.stranger() }
	if q.mayRead(r, id) {
		event = func(o liveOrder) ([]byte, error) { return o.whole() }
	}
	return follow(q, w, r, q.orders, followed[liveOrder]{what: "order", key: id, stream: domain.OrderStream(id), event: event})
}

// availabilityEvents answers GET /shows/{id}/availability/events: what is left, now and whenever it changes.
func (q *Queries) availabilityEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := httpapi.PathID(r, "id", "show")
	if err != nil {
		return err
	}
	return follow(q, w, r, q.shows, followed[liveShow]{
		what: "show", key: strconv.FormatInt(id, 10), stream: domain.ShowStream(id),
		event: func(s liveShow) ([]byte, error) { return s.availability() },
	})
}

// followed is a row that a caller follows.
type followed[T any] struct {
	what   string // "order" or "show"
	key    string
	stream string                  // of the log, that feeds the row
	event  func(T) ([]byte, error) // the row as this caller may see it
}

// follow sends a row's states until the caller leaves or the server shuts down. A state that the caller has seen,
// by Last-Event-ID, is not sent again, and one older than that never.
func follow[T any](q *Queries, w http.ResponseWriter, r *http.Request, f *feed[T], to followed[T]) error {
	if _, err := query(r); err != nil {
		return err
	}
	last, err := httpapi.LastEventID(r)
	if err != nil {
		return err
	}
	if !q.streams.enter() {
		return httpapi.ErrOverloaded
	}
	defer q.streams.exit()
	watcher := f.watch(r.Context(), to.key)
	defer watcher.leave()
	if err := begin(r.Context(), q, watcher, to); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		httpapi.HeadEvents(w)
		return nil
	}
	events, err := httpapi.StartEvents(w)
	if err != nil {
		return err
	}
	return send(r, events, watcher, to, last, q.heartbeat)
}

// begin waits until a row is there: at most maxWait where the log has its stream already, else not at all.
func begin[T any](ctx context.Context, q *Queries, watcher *watcher[T], to followed[T]) error {
	if err := watcher.first(ctx); err != nil || watcher.now().version > 0 {
		return err
	}
	written, err := q.store.VersionAt(ctx, to.stream, math.MaxInt64)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	if written == 0 || !watcher.await(ctx, 1) {
		return httpapi.NotFound(to.what)
	}
	return nil
}

// send sends what is newer than last, the newest always, no oftener than every lookEvery, and a comment every beat.
// An operator whose key is not taken any more is shown nothing more.
func send[T any](r *http.Request, events *httpapi.Events, watcher *watcher[T], to followed[T], last int64, beat time.Duration) error {
	ctx := r.Context()
	heartbeat := time.NewTicker(beat)
	defer heartbeat.Stop()
	for !httpapi.Revoked(r) {
		now := watcher.now()
		if now.version > last {
			event, err := to.event(now.row)
			if err != nil {
				return err
			}
			if err := events.SendEncoded(event); err != nil {
				return nil // the caller is gone or too slow, which is no fault
			}
			last = now.version
			if !pause(ctx, lookEvery) {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-now.changed:
		case <-heartbeat.C:
			if err := events.Heartbeat(); err != nil {
				return nil
			}
		}
	}
	return nil
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
