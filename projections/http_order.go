package projections

import (
	"context"
	"net/http"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// staleHeader marks an answer that waited in vain for what it was asked to show.
const staleHeader = "Stale"

// getOrder answers GET /orders/{id}: all of it to its buyer and to operators, its status to everybody.
func (q *Queries) getOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	params, err := query(r, "version", "at")
	if err != nil {
		return err
	}
	at, past, err := q.pastOf(r.Context(), params)
	if err != nil {
		return err
	}
	version, waits, err := httpapi.QueryInt(params, "version")
	if err == nil && waits && past {
		err = badParameter("version", "can't be waited for in the past: leave it out beside at")
	}
	if err != nil {
		return err
	}
	position, _, err := httpapi.HeaderInt(r, "Min-Position")
	if err != nil {
		return err
	}
	var row Row[OrderState]
	whole := q.mayRead(r, id)
	if past {
		row, err = q.orderUpTo(r.Context(), id, at.position)
	} else {
		row, err = q.awaitOrder(w, r, wanted{orderID: id, version: version, position: position, whole: whole})
	}
	if err != nil {
		return err
	}
	if row.Version == 0 {
		return httpapi.NotFound("order")
	}
	w.Header().Set("Cache-Control", "no-store")
	if !whole {
		return httpapi.JSON(w, http.StatusOK, views.Stranger{OrderID: id, Status: row.State.Status, Version: row.Version})
	}
	all, err := q.orderViews(r.Context(), []Row[OrderState]{row})
	if err != nil {
		return err
	}
	return httpapi.JSON(w, http.StatusOK, all[0])
}

// orderViews shows orders to who may see all of them.
func (q *Queries) orderViews(ctx context.Context, rows []Row[OrderState]) ([]views.Order, error) {
	positions := make([]int64, len(rows))
	for i, row := range rows {
		positions[i] = row.State.PlacedPosition
	}
	contacts, err := q.store.Contacts(ctx, positions)
	if err != nil {
		return nil, err
	}
	orders := make([]views.Order, len(rows))
	for i, row := range rows {
		facts, err := row.State.Facts(row.Version)
		if err != nil {
			return nil, err
		}
		orders[i] = views.NewOrder(facts, q.secrets.TicketCode)
		// A forgotten customer's contact is blank.
		if c, ok := contacts[row.State.PlacedPosition]; ok && c.CustomerID != "" {
			orders[i].Customer = &views.Customer{ID: c.CustomerID, Email: c.Email, Name: c.Name}
		}
	}
	return orders, nil
}

// orderUpTo folds an order as it was at a position of the log; version 0 if it was not there yet. An event that
// can't be read ends it, as it ends the read model's row.
func (q *Queries) orderUpTo(ctx context.Context, id string, position int64) (Row[OrderState], error) {
	stream := domain.OrderStream(id)
	found, err := q.store.ReadStreams(ctx, []string{stream})
	if err != nil {
		return Row[OrderState]{}, err
	}
	events := found[stream]
	for i, e := range events {
		if _, unreadable := decodeOrder(e); unreadable != nil || e.Position > position {
			events = events[:i]
			break
		}
	}
	return foldRow(OrderStatus(), id, events)
}
