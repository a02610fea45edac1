package projections

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

// history is what happened to an order.
type history struct {
	Events []pastEvent `json:"events"`
}

// pastEvent is an event of the log as a person reads it.
type pastEvent struct {
	Position int64           `json:"position"`
	Stream   string          `json:"stream"`
	Version  int64           `json:"version"`
	Type     string          `json:"type"`
	Time     time.Time       `json:"time"`
	Text     string          `json:"text"` // one line in words
	Data     json.RawMessage `json:"data"`
}

// getHistory answers GET /orders/{id}/history from the log: the events of the order and of its payments,
// oldest first. A stranger learns nothing, not even whether there is such an order.
func (q *Queries) getHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := orderID(r)
	if err != nil {
		return err
	}
	if !q.mayRead(r, id) {
		return httpapi.Unauthorized()
	}
	if _, err := query(r); err != nil {
		return err
	}
	streams := []string{domain.OrderStream(id)}
	for attempt := 1; attempt <= domain.MaxPaymentAttempts; attempt++ {
		streams = append(streams, domain.PaymentStream(domain.PaymentID(id, attempt)))
	}
	found, err := q.store.ReadStreams(r.Context(), streams)
	if err != nil {
		return err
	}
	var events []eventstore.Recorded
	for _, stream := range found {
		events = append(events, stream...)
	}
	if len(events) == 0 {
		return httpapi.NotFound("order")
	}
	slices.SortFunc(events, func(a, b eventstore.Recorded) int { return cmp.Compare(a.Position, b.Position) })
	answer := history{Events: make([]pastEvent, len(events))}
	for i, e := range events {
		answer.Events[i] = pastEvent{e.Position, e.Stream, e.Version, e.Type, e.RecordedAt, describe(e), e.Data}
	}
	w.Header().Set("Cache-Control", "no-store")
	return httpapi.JSON(w, http.StatusOK, answer)
}
