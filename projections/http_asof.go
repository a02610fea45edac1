package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// clockSlack is how far ahead of our clock a time may be that another process' clock gave.
const clockSlack = 2 * time.Second

// pastTime is the query's at, and whether it was sent. What a time in the future will show nobody knows.
func (q *Queries) pastTime(params url.Values) (at time.Time, sent bool, err error) {
	at, sent, err = httpapi.QueryTime(params, "at")
	if err == nil && sent && at.After(q.store.Now().Add(clockSlack)) {
		err = badParameter("at", "must not be in the future")
	}
	return at, sent, err
}

// availabilityAt answers what was left of a show at a time. Every event of a show carries the totals after
// it, so that is one look-up; names and prices come from the row unless they have changed since.
func (q *Queries) availabilityAt(r *http.Request, at time.Time) (views.Availability, error) {
	id, err := httpapi.PathID(r, "id", "show")
	if err != nil {
		return views.Availability{}, err
	}
	ctx := r.Context()
	position, err := q.store.PositionAt(ctx, at)
	if err != nil {
		return views.Availability{}, err
	}
	last, found, err := q.store.LastAt(ctx, domain.ShowStream(id), position)
	if err != nil {
		return views.Availability{}, err
	}
	if !found {
		return views.Availability{}, httpapi.NotFound("show")
	}
	row, err := q.show(ctx, id)
	if err != nil {
		return views.Availability{}, err
	}
	state := row.State
	if row.Version < last.Version || state.Defined > last.Version {
		if state, err = q.definitionsAt(ctx, id, last.Version); err != nil {
			return views.Availability{}, err
		}
	}
	var m moved
	if err := json.Unmarshal(last.Data, &m); err != nil {
		return views.Availability{}, fmt.Errorf("totals of %s: %w", last.ID(), err)
	}
	state.Totals = m.Totals
	return views.NewAvailability(state.Facts(last.Version), at), nil
}

// definitionsAt folds what a show's ticket types were at a version. It passes over what moves tickets, which
// is nearly all of a show's stream, inside the database.
func (q *Queries) definitionsAt(ctx context.Context, showID, version int64) (ShowState, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT version, type, schema_version, data FROM events
		WHERE stream = $1 AND version <= $2 AND type IN ('ShowCreated', 'TicketTypeAdded', 'TicketTypeChanged')
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
