package serve

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/cmd/internal/gateways"
	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/internal/payments"
)

// newGateway makes the gateway that takes the money, and the parser of deliveries in the owner's format.
func (s *service) newGateway() (err error) {
	keys, err := payments.ParseSecrets(joined(s.Config.WebhookSecrets))
	if err != nil {
		return fmt.Errorf("PAYMENT_WEBHOOK_SECRET: %w", err)
	}
	s.gateway, err = gateways.New(s.Config.PaymentGateway, gateways.Settings{
		DB: s.reads, PublicURL: s.Config.PublicURL, Secrets: keys, Demo: s.Demo, Now: s.store.Now, Log: s.Log,
	})
	s.parser = payments.StandardParser{
		Gateway: s.gateway.Name, Verifier: payments.NewVerifier(s.store.Now, keys...), AllowUnsigned: s.Demo,
	}
	return err
}

// sendPayment gives a command of the payments side to the command bus.
func (s *service) sendPayment(ctx context.Context, c domain.Command, o payments.Origin) error {
	from := commands.Origin{Actor: o.Actor, Causation: o.Causation}
	if d := o.Delivery; d != nil {
		from.Delivery = &eventstore.Delivery{
			Gateway: d.Gateway, DeliveryID: d.DeliveryID, ReceivedAt: d.ReceivedAt, Body: d.Body,
		}
	}
	answer, err := s.send(ctx, c, from)
	if err == nil && o.Delivery != nil && answer.Order == nil {
		return payments.ErrUnmatched
	}
	return err
}

// startPayments consumes what asks the gateway for something, and tries again what it could not do.
func (s *service) startPayments(front start) {
	processor := payments.NewProcessor(payments.ProcessorConfig{
		DB: s.reads, Gateway: s.gateway.Name, Charger: s.tracedCharger(), Refunder: s.tracedRefunder(), Streams: s.readStore.ReadStreams,
		Send: s.sendPayment, Now: s.store.Now, Log: s.Log, Trace: s.tracedRetries(),
	})
	front("payment retries", s.whenDeciding(processor.Run))
	front("payments", s.whenDeciding(s.withTopics(func(ctx context.Context) error {
		return s.consume(ctx, "payments", messaging.PaymentsTopic, func(message.Publisher) consumer {
			return consumer{
				window:     messaging.WindowConfig{Group: "payments"},
				middleware: []message.HandlerMiddleware{s.tracer.Continue}, handle: processor.Handle,
			}
		})
	})))
}
