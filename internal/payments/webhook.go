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

// WebhookConfig is what the webhook needs.
type WebhookConfig struct {
	Parser  Parser  // of the owner's format
	Gateway Gateway // its Parser reads its own format at /webhooks/payment/NAME; zero: there is none
	Send    Sender
	Now     func() time.Time
	Observe func(WebhookResult) // hears what became of each delivery; nil: nobody listens
}

// Routes is the webhook as a route table.
func Routes(cfg WebhookConfig) []httpapi.Route {
	route := func(path string, parser Parser) httpapi.Route {
		cfg.Parser = parser
		return httpapi.Route{
			Method: http.MethodPost, Path: path, Who: httpapi.Gateway, Format: httpapi.Owner,
			MaxBody: maxWebhookBody, Handle: webhook{cfg}.handle,
		}
	}
	routes := []httpapi.Route{route("/webhooks/payment", cfg.Parser)}
	if cfg.Gateway.Parser != nil {
		routes = append(routes, route("/webhooks/payment/"+cfg.Gateway.Name, cfg.Gateway.Parser))
	}
	return routes
}

type webhook struct{ WebhookConfig }

// handle answers 200 for all that was understood, whether it changed anything or not: a gateway repeats what it
// gets another answer for. 401 and 400 say that repeating is of no use, 503 that it is.
func (h webhook) handle(w http.ResponseWriter, r *http.Request) error {
	result, err := h.judge(r)
	if h.Observe != nil {
		h.Observe(result)
	}
	if err != nil {
		return err
	}
	return httpapi.OwnerOK(w, struct{}{})
}

// judge reads a delivery and does what it asks for.
func (h webhook) judge(r *http.Request) (WebhookResult, error) {
	received := h.Now()
	body, err := httpapi.ReadBody(r)
	if err != nil {
		return WebhookUnreadable, err
	}
	delivery, err := h.Parser.Parse(body, r.Header)
	if errors.Is(err, ErrSignature) {
		return WebhookForged, httpapi.BadSignature()
	}
	if err != nil {
		return WebhookUnreadable, err
	}
	result := WebhookIrrelevant
	if command := delivery.command(); command != nil {
		err := h.Send(r.Context(), command, Origin{
			Actor: "gateway:" + delivery.Gateway,
			Delivery: &Received{
				Gateway: delivery.Gateway, DeliveryID: delivery.DeliveryID, ReceivedAt: received, Body: delivery.Body,
			},
		})
		if result = resultOf(err); result == WebhookUnavailable {
			return result, fmt.Errorf("%w: delivery %s: %w", httpapi.ErrUnavailable, delivery.DeliveryID, err)
		}
	}
	return result, nil
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
