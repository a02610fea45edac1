package tracing

import (
	"context"
	"net/http"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Request begins the span of an HTTP request, in its caller's trace or a new one. The returned function ends it;
// route is the one that matched ("POST /orders"), empty for none.
func (t *Tracer) Request(r *http.Request) (ctx context.Context, ended func(route string, status int)) {
	ctx = t.w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.spans.Start(ctx, "HTTP", trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx, func(string, int) {}
	}
	return ctx, func(route string, status int) {
		if method, path, matched := strings.Cut(route, " "); matched {
			span.SetName(route)
			// Neither the address, which may carry a token, nor anything else of the caller's.
			span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", path))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Begin is a middleware for Watermill's routers, for messages that come from outside: the span goes on with the
// sender's trace or begins a new one.
func (t *Tracer) Begin(next message.HandlerFunc) message.HandlerFunc {
	if t == nil {
		return next
	}
	return func(msg *message.Message) ([]*message.Message, error) {
		return t.consume(t.extract(msg), msg, next)
	}
}

// Continue is a middleware for Watermill's routers, for messages of our own: there is a span where the message
// belongs to a sampled trace.
func (t *Tracer) Continue(next message.HandlerFunc) message.HandlerFunc {
	if t == nil {
		return next
	}
	return func(msg *message.Message) ([]*message.Message, error) {
		if msg.Metadata[headerName] == "" {
			return next(msg)
		}
		ctx := t.extract(msg)
		if !trace.SpanContextFromContext(ctx).IsSampled() {
			return next(msg)
		}
		return t.consume(ctx, msg, next)
	}
}

func (t *Tracer) extract(msg *message.Message) context.Context {
	return t.w3c.Extract(msg.Context(), propagation.MapCarrier(msg.Metadata))
}

// consume handles a message within a span.
func (t *Tracer) consume(ctx context.Context, msg *message.Message, next message.HandlerFunc) ([]*message.Message, error) {
	ctx, span := t.spans.Start(ctx, "process "+message.SubscribeTopicFromCtx(ctx), trace.WithSpanKind(trace.SpanKindConsumer))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.destination.name", message.SubscribeTopicFromCtx(ctx)),
			attribute.String("messaging.consumer.group.name", message.HandlerNameFromCtx(ctx)),
		)
	}
	msg.SetContext(ctx)
	produced, err := next(msg)
	End(span, err)
	return produced, err
}

// Batch begins the span of work on many messages at once, given what their headers say of their traces. It belongs
// to their trace if that is the same for all that are sampled; else it begins a trace of its own, linked to the
// first 32 of them. Where none is sampled the span is nothing.
func (t *Tracer) Batch(ctx context.Context, name string, traceparents []string) (context.Context, trace.Span) {
	if t == nil {
		return t.Span(ctx, name)
	}
	var links []trace.Link
	one := true
	known := map[trace.SpanID]bool{}
	for _, text := range traceparents {
		if len(links) == maxLinks {
			break
		}
		sc := trace.SpanContextFromContext(t.From(ctx, text))
		if !sc.IsSampled() || known[sc.SpanID()] {
			continue
		}
		known[sc.SpanID()] = true
		links = append(links, trace.Link{SpanContext: sc})
		one = one && sc.TraceID() == links[0].SpanContext.TraceID()
	}
	if len(links) == 0 {
		return t.Span(ctx, name)
	}
	options := []trace.SpanStartOption{trace.WithLinks(links...), trace.WithSpanKind(trace.SpanKindConsumer)}
	if one {
		ctx = trace.ContextWithRemoteSpanContext(ctx, links[0].SpanContext)
	} else {
		options = append(options, trace.WithNewRoot())
	}
	return t.spans.Start(ctx, name, options...) //nolint:spancheck // the caller ends it
}

// maxLinks is to how many traces the span of a batch is linked.
const maxLinks = 32
