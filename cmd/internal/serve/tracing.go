package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/internal/tracing"
)

// startTracing starts what sends spans, if there is an endpoint. It ends with what stands behind the doors.
func (s *service) startTracing(back start) (err error) {
	if s.Config.OTLPEndpoint == "" {
		return nil
	}
	version := ""
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
	}
	s.tracer, err = tracing.New(tracing.Config{
		Endpoint: s.Config.OTLPEndpoint, Ratio: s.Config.TraceRatio, Instance: s.Config.InstanceID, Version: version, Log: s.Log,
	})
	if err != nil {
		return err
	}
	back("traces", s.tracer.Run)
	return nil
}

// tracedLog is the log, whose lines name the trace they belong to.
func (s *service) tracedLog() *slog.Logger {
	if s.Config.OTLPEndpoint == "" {
		return s.Log
	}
	return slog.New(tracing.NewLogHandler(s.Log.Handler()))
}

// tracedRequests is the hook of HTTP's middleware, nil without traces.
func (s *service) tracedRequests() func(*http.Request) (context.Context, func(route string, status int)) {
	if s.tracer == nil {
		return nil
	}
	return s.tracer.Request
}

// tracedSender gives every command of a sampled trace a span, from the moment at which it is sent to its answer,
// and its events that span as their trace. The time is taken here, beside the writer, which knows nothing of it.
func (s *service) tracedSender(send commands.Sender) commands.Sender {
	if s.tracer == nil {
		return send
	}
	return func(ctx context.Context, c domain.Command, o commands.Origin) (commands.Answer, error) {
		ctx, span := s.tracer.Span(ctx, reflect.TypeOf(c).Name())
		if !span.IsRecording() {
			return send(ctx, c, o)
		}
		o.Trace = s.tracer.Traceparent(ctx)
		answer, err := send(ctx, c, o)
		span.SetAttributes(attribute.String("boxoffice.result", resultOf(err)))
		if err == nil {
			span.SetAttributes(answerAttributes(answer)...)
		}
		if _, refused := errors.AsType[*domain.Rejection](err); refused {
			err = nil // it is an answer
		}
		tracing.End(span, err)
		return answer, err
	}
}

// answerAttributes say where the events of a command stand. The batch is the append that it shares with others.
func answerAttributes(a commands.Answer) []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.Int64("boxoffice.position", a.Position)}
	add := func(kv ...attribute.KeyValue) { all = append(all, kv...) }
	if a.Batch != "" {
		add(attribute.String("boxoffice.batch", a.Batch))
	}
	if a.Replayed {
		add(attribute.Bool("boxoffice.replayed", true))
	}
	switch {
	case a.Order != nil:
		event := eventstore.Event{Stream: domain.OrderStream(a.Order.OrderID), Version: a.Order.Version}
		add(attribute.String("boxoffice.order", a.Order.OrderID), attribute.Int64("boxoffice.show", a.Order.ShowID),
			attribute.String("boxoffice.event", event.ID()))
	case a.Show != nil:
		event := eventstore.Event{Stream: domain.ShowStream(a.Show.ShowID), Version: a.Show.Version}
		add(attribute.Int64("boxoffice.show", a.Show.ShowID), attribute.String("boxoffice.event", event.ID()))
	}
	return all
}

// tracedBatches gives the work on a batch of messages a span, where some of them belong to sampled traces.
func (s *service) tracedBatches(name string, handle messaging.BatchHandler) messaging.BatchHandler {
	if s.tracer == nil {
		return handle
	}
	return func(ctx context.Context, claim messaging.Claim, batch []messaging.Message) error {
		var traces []string
		for _, m := range batch {
			if m.Message != nil && m.Metadata[eventstore.HeaderTrace] != "" {
				traces = append(traces, m.Metadata[eventstore.HeaderTrace])
			}
		}
		ctx, span := s.tracer.Batch(ctx, name, traces)
		if span.IsRecording() {
			span.SetAttributes(
				attribute.String("messaging.system", "kafka"),
				attribute.String("messaging.operation.type", "process"),
				attribute.String("messaging.destination.name", claim.Topic),
				attribute.Int("messaging.destination.partition.id", int(claim.Partition)),
				attribute.Int("messaging.batch.message_count", len(batch)),
				attribute.Int64("boxoffice.offset.first", batch[0].Offset),
				attribute.Int64("boxoffice.offset.last", batch[len(batch)-1].Offset),
			)
		}
		err := handle(ctx, claim, batch)
		tracing.End(span, err)
		return err
	}
}
