package payments

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// maxWebhookBody is the largest delivery that is read, in bytes.
const maxWebhookBody = 256 << 10

// WebhookConfig is what the webhook needs. All of it is required.
type WebhookConfig struct {
	Parser Parser
	Send   Sender
	Now    func() time.Time
}

// Routes is the webhook as a route table.
func Routes(cfg WebhookConfig) []httpapi.Route {
	return []httpapi.Route{{
		Method: http.MethodPost, Path: "/webhooks/payment", Who: httpapi.Gateway, Format: httpapi.Owner,
		MaxBody: maxWebhookBody, Handle: webhook{cfg}.handle,
	}}
}

type webhook struct{ WebhookConfig }

// handle answers 200 for all that was understood, whether it changed anything or not: a gateway repeats what it
// gets another answer for. 401 and 400 say that repeating is of no use, 503 that it is.
func (h webhook) handle(w http.ResponseWriter, r *http.Request) error {
	received := h.Now()
	body, err := httpapi.ReadBody(r)
	if err != nil {
		return err
	}
	delivery, err := h.Parser.Parse(body, r.Header)
	if errors.Is(err, ErrSignature) {
		return httpapi.BadSignature()
	}
	if err != nil {
		return err
	}
	if command := delivery.command(); command != nil {
		err := h.Send(r.Context(), command, Origin{
			Actor: "gateway:" + delivery.Gateway,
			Delivery: &Received{
				Gateway: delivery.Gateway, DeliveryID: delivery.DeliveryID, ReceivedAt: received, Body: delivery.Body,
			},
		})
		// A refusal is a judgment too: the delivery was read and changes nothing.
		if _, refused := errors.AsType[*domain.Rejection](err); err != nil && !refused {
			return fmt.Errorf("%w: delivery %s: %w", httpapi.ErrUnavailable, delivery.DeliveryID, err)
		}
	}
	return httpapi.OwnerOK(w, struct{}{})
}

// command is what a delivery asks for, or nil.
func (d Delivery) command() domain.Command {
	switch d.Kind {
	case Settled:
		return domain.SettlePayment{
			Gateway: d.Gateway, PaymentID: d.PaymentID, Amount: d.Amount, Currency: d.Currency,
			Reference: d.Reference, GatewayStatus: d.GatewayStatus,
		}
	case Failed:
		return domain.FailPayment{Gateway: d.Gateway, PaymentID: d.PaymentID, GatewayStatus: d.GatewayStatus}
	default:
		return nil
	}
}
