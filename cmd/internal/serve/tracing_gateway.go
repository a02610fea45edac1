package serve

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"boxoffice/eventstore"
	"boxoffice/internal/payments"
	"boxoffice/internal/tracing"
)

// tracedRetries is the hook of what the gateway is asked again, nil without traces.
func (s *service) tracedRetries() func(context.Context, eventstore.Recorded) (context.Context, func(error)) {
	if s.tracer == nil {
		return nil
	}
	return func(ctx context.Context, event eventstore.Recorded) (context.Context, func(error)) {
		asked := s.tracer.From(ctx, eventstore.ToMessage(event).Metadata[eventstore.HeaderTrace])
		ctx, span := s.tracer.Span(asked, "retry "+event.Type)
		return ctx, func(err error) { tracing.End(span, err) }
	}
}

// tracedCharger is the gateway's Charger, with spans where there are traces.
func (s *service) tracedCharger() payments.Charger {
	if s.tracer == nil {
		return s.gateway.Charger
	}
	return chargeSpans{s.gateway.Charger, s}
}

type chargeSpans struct {
	payments.Charger
	s *service
}

// Charge asks the gateway for money, within a span.
func (c chargeSpans) Charge(ctx context.Context, request payments.ChargeRequest) (payments.Instruction, error) {
	ctx, span := c.s.callTo(ctx, "charge",
		attribute.String("boxoffice.order", request.OrderID), attribute.String("boxoffice.payment", request.PaymentID))
	instruction, err := c.Charger.Charge(ctx, request)
	tracing.End(span, err)
	return instruction, err
}

// Void ends a payment at the gateway, within a span.
func (c chargeSpans) Void(ctx context.Context, paymentID string) error {
	ctx, span := c.s.callTo(ctx, "void", attribute.String("boxoffice.payment", paymentID))
	err := c.Charger.Void(ctx, paymentID)
	tracing.End(span, err)
	return err
}

// tracedRefunder is the gateway's Refunder, with spans where there are traces.
func (s *service) tracedRefunder() payments.Refunder {
	if s.tracer == nil {
		return s.gateway.Refunder
	}
	return refundSpans{s.gateway.Refunder, s}
}

type refundSpans struct {
	payments.Refunder
	s *service
}

// Refund sends money back, within a span.
func (r refundSpans) Refund(ctx context.Context, request payments.RefundRequest) (payments.RefundReceipt, error) {
	ctx, span := r.s.callTo(ctx, "refund",
		attribute.String("boxoffice.refund", request.RefundID), attribute.String("boxoffice.payment", request.PaymentID))
	receipt, err := r.Refunder.Refund(ctx, request)
	tracing.End(span, err)
	return receipt, err
}

// callTo begins the span of a call of the gateway.
func (s *service) callTo(ctx context.Context, what string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return s.tracer.Span(ctx, s.gateway.Name+" "+what, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}
