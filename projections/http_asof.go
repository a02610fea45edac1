package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

const (
	// clockSlack is how far ahead of our clock a time may be that another process' clock gave.
	clockSlack = 2 * time.Second
	// settledCache: what can't change any more may be kept for so long by whoever reads it. It is no person's data.
	settledCache = "public, max-age=3600, immutable"
)

// asOf is where in the past a query looks: right after a position of the log.
type asOf struct {
	position int64     // the last that counts; 0: before the log began
	time     time.Time // the time asked for, or that of the position's event
	placed   bool      // a position was asked for
	settled  bool      // the log goes on after it, so what it shows is so for ever
}

// pastOf is the query's at, and whether it was sent: a time or a position of the log. What the future will
// show nobody knows.
func (q *Queries) pastOf(ctx context.Context, params url.Values) (m asOf, sent bool, err error) {
	text := params.Get("at")
	switch {
	case len(params["at"]) > 1:
		return asOf{}, false, badParameter("at", "is there twice")
	case !params.Has("at"):
		return asOf{}, false, nil
	case text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == "":
		m, err = q.asOfPosition(ctx, text)
	default:
		m, err = q.asOfTime(ctx, text)
	}
	return m, true, err
}

// asOfPosition is the moment of a position, given in digits.
func (q *Queries) asOfPosition(ctx context.Context, digits string) (asOf, error) {
	m := asOf{placed: true, settled: true}
	err := sql.ErrNoRows // as of all that no number of ours can hold
	if m.position, _ = strconv.ParseInt(digits, 10, 64); strconv.FormatInt(m.position, 10) == digits {
		err = q.db.QueryRowContext(ctx, `SELECT recorded_at FROM events WHERE position = $1`, m.position).Scan(&m.time)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return asOf{}, badParameter("at", "is beyond the head of the log")
	case err != nil:
		return asOf{}, fmt.Errorf("time of position %d: %w", m.position, err)
	}
	return m, nil
}

// asOfTime is the moment at a time.
func (q *Queries) asOfTime(ctx context.Context, text string) (asOf, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil && strings.Contains(text, " "):
		return asOf{}, badParameter("at", "can't be read; in an address a + is written %2B")
	case err != nil:
		return asOf{}, badParameter("at", "must be a time like 2025-02-03T12:00:00Z or a position of the log, 1, 2, 3 …")
	case at.After(q.store.Now().Add(clockSlack)):
		return asOf{}, badParameter("at", "must not be in the future")
	}
	m := asOf{time: at}
	// The log's times are whole microseconds, and Postgres would round up.
	if m.position, err = q.store.PositionAt(ctx, at.Truncate(time.Microsecond)); err != nil {
		return asOf{}, err
	}
	head, err := q.store.Head(ctx)
	m.settled = m.position < head.Position
	return m, err
}

// answerPast answers with what is no person's data, as it was.
func answerPast(w http.ResponseWriter, m asOf, answer any) error {
	if m.settled {
		w.Header().Set("Cache-Control", settledCache)
	}
	return httpapi.JSON(w, http.StatusOK, answer)
}

// availabilityAt is what was left of the show in the path. Anybody may ask, and a position is often another show's:
// when that was sold is not told, so of a position the answer has the time of the show's own last event.
func (q *Queries) availabilityAt(r *http.Request, m asOf) (views.Availability, error) {
	row, err := q.showAt(r, m, func(row Row[ShowState], version int64) bool {
		return row.Version >= version && row.State.Defined <= version
	})
	left := m.time
	if m.placed {
		left = row.State.At
	}
	return views.NewAvailability(row.State.Facts(row.Version), left), err
}

// showViewAt is the show in the path as it was. What became of its money is not told: that is counted from
// the orders as they are now.
func (q *Queries) showViewAt(r *http.Request, m asOf) (views.Show, error) {
	row, err := q.showAt(r, m, func(row Row[ShowState], version int64) bool { return row.Version == version })
	return views.NewShow(row.State.Facts(row.Version), m.time), err
}

// showAt is the show in the path as it was. Every event of a show carries the totals after it, so they are one
// look-up. The rest comes from the read model's row where that still is as it was at a version, else from the log:
// how far the row has got makes no difference to the answer.
func (q *Queries) showAt(r *http.Request, m asOf, isAsItWas func(row Row[ShowState], version int64) bool) (Row[ShowState], error) {
	id, err := httpapi.PathID(r, "id", "show")
	if err != nil {
		return Row[ShowState]{}, err
	}
	ctx := r.Context()
	last, found, err := q.store.LastAt(ctx, domain.ShowStream(id), m.position)
	if err != nil {
		return Row[ShowState]{}, err
	}
	if !found {
		return Row[ShowState]{}, httpapi.NotFound("show")
	}
	row, err := q.show(ctx, id)
	if err != nil {
		return Row[ShowState]{}, err
	}
	if !isAsItWas(row, last.Version) {
		if row.State, err = q.definitionsAt(ctx, id, last.Version); err != nil {
			return Row[ShowState]{}, err
		}
	}
	// Also an event of a type that only newer programs know has the totals after it.
	var after moved
	if err := json.Unmarshal(last.Data, &after); err != nil {
		return Row[ShowState]{}, fmt.Errorf("totals of %s: %w", last.ID(), err)
	}
	row.Version, row.Position = last.Version, last.Position
	row.State.Totals, row.State.At = after.Totals, last.RecordedAt
	return row, nil
}

// definitionsAt folds what a show and its ticket types were at a version. It passes over what moves tickets, which
// is nearly all of a show's stream, inside the database.
func (q *Queries) definitionsAt(ctx context.Context, showID, version int64) (ShowState, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT version, type, schema_version, data FROM events
		WHERE stream = $1 AND version <= $2 AND type IN ('ShowCreated', 'ShowChanged', 'TicketTypeAdded',
			'TicketTypeChanged', 'SalesPaused', 'SalesResumed', 'ShowCanceled')
		ORDER BY version`, domain.ShowStream(showID), version)
	if err != nil {
		return ShowState{}, fmt.Errorf("read definitions of show %d: %w", showID, err)
	}
	defer func() { _ = rows.Close() }() // Err has told all
	var state ShowState
	for rows.Next() {
		e := eventstore.Recorded{Event: eventstore.Event{Stream: domain.ShowStream(showID)}}
		var data []byte
		if err := rows.Scan(&e.Version, &e.Type, &e.SchemaVersion, &data); err != nil {
			return ShowState{}, fmt.Errorf("read definitions of show %d: %w", showID, err)
		}
		e.Data = data
		ev, err := decodeShow(e)
		if err != nil {
			return ShowState{}, err
		}
		if err := applyShow(&state, e, ev); err != nil {
			return ShowState{}, err
		}
	}
	if err := rows.Err(); err != nil {
		return ShowState{}, fmt.Errorf("read definitions of show %d: %w", showID, err)
	}
	return state, nil
}
