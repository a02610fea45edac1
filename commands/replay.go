package commands

import (
	"context"
	"encoding/json"
	"fmt"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// firstAnswer gives the first answer to a request again, rebuilt from the events of its command.
func (w *Writer) firstAnswer(ctx context.Context, r *request) (Answer, error) {
	first, err := w.store.EventAt(ctx, r.replayOf)
	if err != nil {
		return Answer{}, unavailable("read the request's event", err)
	}
	var m eventstore.Metadata
	if err := json.Unmarshal(first.Metadata, &m); err != nil {
		return Answer{}, fmt.Errorf("decode metadata of %s: %w", first.ID(), err)
	}
	if m.Key != r.origin.Request.Key.String() {
		return Answer{}, fmt.Errorf("%s is not the first event of the request: %w", first.ID(), ErrUnavailable)
	}
	if m.Body != r.origin.Request.Body {
		return Answer{}, &domain.Rejection{Code: domain.IdempotencyMismatch, Detail: "the key was used for another request"}
	}
	answer := Answer{Replayed: true, Position: first.Position, Result: domain.Result{Changed: true}}
	switch kind, id := domain.ParseStream(first.Stream); kind {
	case domain.StreamOrder, domain.StreamPayment:
		orderID, _ := domain.OrderOf(id)
		err = w.orderAfter(ctx, orderID, m.CommandID, &answer)
	case domain.StreamShow:
		err = w.showAfter(ctx, first, &answer)
	}
	return answer, err
}

// orderAfter folds an order up to the last of its events that the command caused.
func (w *Writer) orderAfter(ctx context.Context, orderID, commandID string, answer *Answer) error {
	stream := domain.OrderStream(orderID)
	read, err := w.store.ReadStreams(ctx, []string{stream})
	if err != nil {
		return unavailable("read "+stream, err)
	}
	var order domain.Order
	for _, e := range read[stream] {
		if err := evolve(&order, e); err != nil {
			return err
		}
		var m eventstore.Metadata
		if err := json.Unmarshal(e.Metadata, &m); err != nil {
			return fmt.Errorf("decode metadata of %s: %w", e.ID(), err)
		}
		if m.CommandID == commandID {
			as := order
			answer.Order, answer.Position = &as, e.Position
		}
	}
	answer.Result.OrderID, answer.Result.ShowID = orderID, order.ShowID
	return nil
}

// showAfter folds a show up to an event.
func (w *Writer) showAfter(ctx context.Context, last eventstore.Recorded, answer *Answer) error {
	var show domain.Show
	for show.Version < last.Version {
		events, err := w.store.ReadStream(ctx, last.Stream, show.Version, int(min(loadPage, last.Version-show.Version)))
		if err != nil {
			return unavailable("read "+last.Stream, err)
		}
		if len(events) == 0 {
			return fmt.Errorf("read %s: %d of %d events", last.Stream, show.Version, last.Version)
		}
		for _, e := range events {
			if err := evolve(&show, e); err != nil {
				return err
			}
		}
	}
	answer.Show, answer.Result.ShowID = factsOf(&show), show.ShowID
	return nil
}
