package projections

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

// history is what happened to an order.
type history struct {
	Why    string      `json:"why"` // where the order stands and what brought it there, in words
	Events []pastEvent `json:"events"`
}

// pastEvent is an event of the log as a person reads it.
type pastEvent struct {
	Position  int64           `json:"position"`
	Stream    string          `json:"stream"`
	Version   int64           `json:"version"`
	Type      string          `json:"type"`
	Time      time.Time       `json:"time"`
	Text      string          `json:"text"`               // one line in words
	Actor     string          `json:"actor,omitzero"`     // who made it happen; for operators
	Causation string          `json:"causation,omitzero"` // id of the event that made the actor act; for operators
	Data      json.RawMessage `json:"data"`
}

// getHistory answers GET /orders/{id}/history from the log: the events of the order and of its payments, oldest
// first, up to now or to a moment of the past. A stranger learns nothing, not even whether there is such an order.
func (q *Queries) getHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	if !q.mayRead(r, id) {
		return httpapi.Unauthorized()
	}
	params, err := query(r, "at")
	if err != nil {
		return err
	}
	at, past, err := q.pastOf(r.Context(), params)
	if err != nil {
		return err
	}
	if !past {
		at.position = math.MaxInt64
	}
	events, err := q.eventsOfOrder(r, id, at.position)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return httpapi.NotFound("order")
	}
	_, operator := httpapi.OperatorFrom(r.Context())
	answer := history{Why: why(events), Events: make([]pastEvent, len(events))}
	for i, e := range events {
		answer.Events[i] = newPastEvent(e, operator)
	}
	w.Header().Set("Cache-Control", "no-store")
	return httpapi.JSON(w, http.StatusOK, answer)
}

// eventsOfOrder are the events of an order and of its payments up to a position of the log.
func (q *Queries) eventsOfOrder(r *http.Request, id string, position int64) ([]eventstore.Recorded, error) {
	streams := []string{domain.OrderStream(id)}
	for attempt := 1; attempt <= domain.MaxPaymentAttempts; attempt++ {
		streams = append(streams, domain.PaymentStream(domain.PaymentID(id, attempt)))
	}
	found, err := q.store.ReadStreams(r.Context(), streams)
	if err != nil {
		return nil, err
	}
	var events []eventstore.Recorded
	for _, stream := range found {
		for _, e := range stream {
			if e.Position <= position {
				events = append(events, e)
			}
		}
	}
	slices.SortFunc(events, func(a, b eventstore.Recorded) int { return cmp.Compare(a.Position, b.Position) })
	return events, nil
}

// newPastEvent shows an event; who made it happen is told to operators only, because it names some of them.
func newPastEvent(e eventstore.Recorded, operator bool) pastEvent {
	shown := pastEvent{
		Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, Time: e.RecordedAt,
		Text: Describe(e), Data: e.Data,
	}
	var m eventstore.Metadata
	if operator && json.Unmarshal(e.Metadata, &m) == nil {
		shown.Actor, shown.Causation = m.Actor, m.Causation
	}
	return shown
}
