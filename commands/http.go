package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// Door is the HTTP entrance of the write side: it reads requests strictly, sends commands and shows what became of them.
type Door struct {
	Send        Sender
	Secrets     *httpapi.Secrets
	CustomerRef func(customerID string) string // a keyed hash: the log has no names
	HoldTTL     time.Duration
	Now         func() time.Time // the database's time, to show a show's status by
	// Cancellation is what canceling a show would do, and Refunds what has become of the money of a canceled one, as
	// the read models have it. Nothing is decided by them.
	Cancellation func(ctx context.Context, showID int64) (views.Cancellation, error)
	Refunds      func(ctx context.Context, showID int64) (views.Refunds, error)
}

// Routes are all routes of the write side.
func (d *Door) Routes() []httpapi.Route {
	sales := httpapi.Operators(httpapi.RoleSales)
	admin := httpapi.Operators(httpapi.RoleAdmin)
	return []httpapi.Route{
		{Method: "POST", Path: "/orders/ticket", Who: httpapi.Channel, Format: httpapi.Owner, Handle: d.placeOwner},
		{Method: "POST", Path: "/orders", Who: httpapi.Anyone, Idempotent: true, Handle: d.placeNative},
		{Method: "POST", Path: "/orders/{id}/payments", Who: httpapi.Buyer, Idempotent: true, Handle: d.payAgain},
		{Method: "POST", Path: "/orders/{id}/cancel", Who: httpapi.Buyer, Handle: d.cancelOrder},
		{Method: "POST", Path: "/shows", Who: admin, Idempotent: true, Handle: d.createShow},
		{Method: "PATCH", Path: "/shows/{id}", Who: sales, Handle: d.changeShow},
		{Method: "POST", Path: "/shows/{id}/ticket-types", Who: sales, Idempotent: true, Handle: d.addTicketType},
		{Method: "PATCH", Path: "/shows/{id}/ticket-types/{ticketTypeId}", Who: sales, Handle: d.changeTicketType},
		{Method: "POST", Path: "/shows/{id}/pause", Who: sales, Handle: d.pause},
		{Method: "POST", Path: "/shows/{id}/resume", Who: sales, Handle: d.resume},
		{Method: "POST", Path: "/shows/{id}/cancel", Who: sales, Handle: d.cancelShow},
		{Method: "POST", Path: "/open-items/{id}/resolve", Who: admin, Handle: d.resolve},
	}
}

const (
	replayedHeader   = "Idempotency-Replayed"
	orderTokenHeader = "Order-Token" // #nosec G101 -- the name of a header
	guessableKey     = 16            // a repeat under a key shorter than this does not bring the token again
)

// send gives a command to the bus and translates the faults of the write side.
func (d *Door) send(ctx context.Context, c domain.Command, o Origin) (Answer, error) {
	answer, err := d.Send(ctx, c, o)
	switch {
	case errors.Is(err, ErrOverloaded):
		return answer, httpapi.ErrOverloaded
	case errors.Is(err, ErrUnavailable):
		return answer, fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
	}
	return answer, err
}

// requestOf identifies a request by its route, its caller and its key. Asked is what was asked for, in a form of
// its own. Both stand in the log for ever, so caller and body go in keyed: nobody can try out names on them.
func (d *Door) requestOf(route, caller, key string, asked any) (Request, error) {
	data, err := json.Marshal(asked)
	if err != nil {
		return Request{}, fmt.Errorf("hash the request: %w", err)
	}
	return Request{Key: eventstore.NewRequestKey(route, d.CustomerRef(caller), key), Body: d.CustomerRef("body:" + string(data))}, nil
}

// actor names who sent the request.
func actor(ctx context.Context) string {
	if operator, ok := httpapi.OperatorFrom(ctx); ok {
		return "operator:" + operator.Name
	}
	if channel, ok := httpapi.ChannelFrom(ctx); ok {
		return "channel:" + channel
	}
	return actorCustomer
}

func origin(r *http.Request) Origin {
	return Origin{Actor: actor(r.Context()), Trace: traceparent(r.Header.Get("Traceparent"))}
}

// traceparent is a W3C trace context of version 00, or nothing: what it is not must not reach the log.
func traceparent(sent string) string {
	const length = 55
	if len(sent) != length || strings.Trim(sent, "0123456789abcdef-") != "" {
		return ""
	}
	return sent
}

// orderView is the order as a command left it. Customer may be nil.
func (d *Door) orderView(a Answer, customer *views.Customer) views.Order {
	o := a.Order
	facts := views.OrderFacts{
		OrderID: o.OrderID, Status: o.Status, Reason: o.Reason, ShowID: o.ShowID, Lines: o.Lines, Total: o.Total,
		PlacedAt: o.PlacedAt, ExpiresAt: o.ExpiresAt, Version: o.Version, Tickets: o.Tickets,
	}
	if newest := o.Newest(); newest != nil {
		facts.Payment = *newest
	}
	parts := make([]views.RefundPart, 0, len(o.Refunds))
	for _, refund := range o.Refunds {
		parts = append(parts, views.RefundPart{RefundID: refund.RefundID, Status: refund.Status, Amount: refund.Amount.Amount})
	}
	facts.Refund = views.SumRefunds(parts)
	view := views.NewOrder(facts, d.Secrets.TicketCode)
	view.Customer, view.Position = customer, a.Position
	return view
}

func (d *Door) showView(a Answer) views.Show {
	view := views.NewShow(*a.Show, d.Now())
	view.Position = a.Position
	return view
}

func markReplayed(w http.ResponseWriter, a Answer) {
	if a.Replayed {
		w.Header().Set(replayedHeader, "true")
	}
}
