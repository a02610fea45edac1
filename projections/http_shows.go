package projections

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// showsPerPage is how many shows GET /shows answers at once; there is a cursor for more.
const showsPerPage = 1000

// showPage is a page of shows.
type showPage struct {
	Shows []views.Show `json:"shows"`
	Next  string       `json:"next,omitzero"` // the cursor of the next page; left out: this is the last
}

// afterShow is where the list of shows goes on.
type afterShow struct {
	ShowID int64 `json:"after"`
}

// listShows answers GET /shows, by id.
func (q *Queries) listShows(w http.ResponseWriter, r *http.Request) error {
	params, err := query(r, "cursor")
	if err != nil {
		return err
	}
	var from afterShow
	if _, err := httpapi.ParseCursor(params, &from); err != nil {
		return err
	}
	rows, err := selectShows(r.Context(), q.db, selectShowsSQL+`WHERE s.show_id IN
		(SELECT show_id FROM shows WHERE show_id > $1 ORDER BY show_id LIMIT $2) ORDER BY s.show_id, t.ticket_type_id`,
		from.ShowID, int64(showsPerPage)+1)
	if err != nil {
		return fmt.Errorf("list shows: %w", err)
	}
	page := showPage{}
	if len(rows) > showsPerPage {
		rows = rows[:showsPerPage]
		if page.Next, err = httpapi.EncodeCursor(afterShow{rows[showsPerPage-1].State.ShowID}); err != nil {
			return err
		}
	}
	if page.Shows, err = q.showViews(r, rows); err != nil {
		return err
	}
	return httpapi.JSON(w, http.StatusOK, page)
}

// getShow answers GET /shows/{id}, now or as it was; operators see what became of the money of a canceled one.
func (q *Queries) getShow(w http.ResponseWriter, r *http.Request) error {
	params, err := query(r, "at")
	if err != nil {
		return err
	}
	at, past, err := q.pastOf(r.Context(), params)
	if err != nil {
		return err
	}
	if past {
		show, err := q.showViewAt(r, at)
		if err != nil {
			return err
		}
		return answerPast(w, at, show)
	}
	row, err := q.showOf(r)
	if err != nil {
		return err
	}
	shows, err := q.showViews(r, []Row[ShowState]{row})
	if err != nil {
		return err
	}
	return httpapi.JSON(w, http.StatusOK, shows[0])
}

// showViews are shows as the caller may see them: an operator with what became of the money of canceled ones.
func (q *Queries) showViews(r *http.Request, rows []Row[ShowState]) ([]views.Show, error) {
	now := q.store.Now()
	shows := make([]views.Show, 0, len(rows))
	var canceled []int64
	for _, row := range rows {
		shows = append(shows, views.NewShow(row.State.Facts(row.Version), now))
		if row.State.Canceled {
			canceled = append(canceled, row.State.ShowID)
		}
	}
	if _, operator := httpapi.OperatorFrom(r.Context()); !operator || len(canceled) == 0 {
		return shows, nil
	}
	refunds, err := q.refundsOf(r.Context(), canceled)
	if err != nil {
		return nil, err
	}
	for i := range shows {
		if n, ok := refunds[shows[i].ShowID]; ok {
			shows[i].Refunds = &n
		}
	}
	return shows, nil
}

// getAvailability answers GET /shows/{id}/availability.
func (q *Queries) getAvailability(w http.ResponseWriter, r *http.Request) error {
	params, err := query(r, "at")
	if err != nil {
		return err
	}
	at, past, err := q.pastOf(r.Context(), params)
	if err != nil {
		return err
	}
	var answer views.Availability
	if past {
		answer, err = q.availabilityAt(r, at)
	} else {
		var row Row[ShowState]
		if row, err = q.showOf(r); err == nil {
			answer = views.NewAvailability(row.State.Facts(row.Version), row.State.At)
		}
	}
	if err != nil {
		return err
	}
	if httpapi.ETag(w, r, answer.Version) {
		return nil
	}
	if past {
		return answerPast(w, at, answer)
	}
	return httpapi.JSON(w, http.StatusOK, answer)
}

// showOf reads the show in the path.
func (q *Queries) showOf(r *http.Request) (Row[ShowState], error) {
	id, err := httpapi.PathID(r, "id", "show")
	if err != nil {
		return Row[ShowState]{}, err
	}
	row, err := q.show(r.Context(), id)
	if err == nil && row.Version == 0 {
		err = httpapi.NotFound("show")
	}
	return row, err
}

// show reads a show's row, at version 0 if there is none.
func (q *Queries) show(ctx context.Context, id int64) (Row[ShowState], error) {
	rows, err := selectShows(ctx, q.db, loadShowsSQL, eventstore.Int8Array([]int64{id}))
	if err != nil || len(rows) == 0 {
		return Row[ShowState]{Key: strconv.FormatInt(id, 10)}, err
	}
	return rows[0], nil
}
