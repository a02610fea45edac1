// Package tracing makes OpenTelemetry traces of what passes through the service, and sends them to a collector.
//
// A trace begins at a door, an HTTP request or a message of commands-topic, where it goes on with its caller's or
// is sampled. Behind the doors there are spans only where a sampled trace is at hand, so what is not sampled
// costs next to nothing and leaves nothing in the log. Attributes name orders, shows and positions, never people.
//
// A nil *Tracer is one that is off: its methods do nothing.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Limits of what is kept and sent.
const (
	maxQueued    = 2048                   // spans that wait to be sent; more are dropped
	maxSent      = 512                    // spans of one request to the collector
	sendEvery    = time.Second            // the longest time a span waits for others
	sendLimit    = 5 * time.Second        // for one request to the collector, its repetitions included
	firstRetry   = 500 * time.Millisecond // pauses before a request that the collector asked to repeat
	lastRetry    = 2 * time.Second
	flushLimit   = 2 * time.Second // for what waits when the process ends
	collectorUse = 2               // connections to the collector that are kept open
)

// scope names this program as the one that made the spans.
const scope = "boxoffice"

// Config is what a Tracer needs. All of it is required but Version and Ratio.
type Config struct {
	Endpoint string  // of the collector, OTLP over HTTP, without /v1/traces
	Ratio    float64 // of the traces that begin here, 0 to 1, the share that is sampled
	Instance string  // name of this replica
	Version  string  // of the program
	Log      *slog.Logger
}

// Tracer makes spans and sends them. It touches none of OpenTelemetry's globals. A collector that is down or slow
// costs spans and nothing else.
type Tracer struct {
	provider *sdktrace.TracerProvider
	spans    trace.Tracer
	exporter *exporter
	w3c      propagation.TraceContext
}

// New makes a Tracer; Run sends. It does no I/O. Error: the endpoint is no URL.
func New(cfg Config) (*Tracer, error) {
	endpoint, err := url.JoinPath(cfg.Endpoint, "v1/traces")
	if err != nil {
		return nil, fmt.Errorf("endpoint for traces: %w", err)
	}
	transport := &http.Transport{MaxIdleConns: collectorUse, IdleConnTimeout: time.Minute}
	sender := otlptrace.NewUnstarted(otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(endpoint),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: sendLimit}),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: sendLimit,
		}),
	))
	t := &Tracer{exporter: &exporter{next: sender, idle: transport.CloseIdleConnections, log: cfg.Log}}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(t.exporter,
			sdktrace.WithMaxQueueSize(maxQueued), sdktrace.WithMaxExportBatchSize(maxSent),
			sdktrace.WithBatchTimeout(sendEvery), sdktrace.WithExportTimeout(sendLimit)),
		sdktrace.WithSampler(sdktrace.ParentBased(linked{sdktrace.TraceIDRatioBased(cfg.Ratio)})),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", scope),
			attribute.String("service.instance.id", cfg.Instance),
			attribute.String("service.version", cfg.Version),
		)),
	)
	t.spans = t.provider.Tracer(scope)
	return t, nil
}

// Run sends spans until ctx ends, and then what waits, for 2 s at most. It returns nil: nothing fails for want of
// a trace.
func (t *Tracer) Run(ctx context.Context) error {
	if t == nil {
		return nil
	}
	<-ctx.Done()
	limit := time.AfterFunc(flushLimit, t.exporter.cut)
	defer limit.Stop()
	_ = t.provider.Shutdown(context.WithoutCancel(ctx)) // the exporter has told what went wrong
	return nil
}

// Span begins a span of a sampled trace; where ctx has none, the span is nothing and costs nothing. The caller ends
// it by End.
func (t *Tracer) Span(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return t.spans.Start(ctx, name, options...) //nolint:spancheck // the caller ends it
}

// End ends a span, with the fault that the work ended with, if any.
func End(span trace.Span, fault error) {
	if fault != nil {
		span.SetStatus(codes.Error, short(fault))
	}
	span.End()
}

// Traceparent is the sampled span of ctx as W3C's header has it, empty where there is none.
func (t *Tracer) Traceparent(ctx context.Context) string {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	header := propagation.MapCarrier{}
	t.w3c.Inject(ctx, header)
	return header[headerName]
}

// From is ctx within the trace that a traceparent names, or as it was where that is none.
func (t *Tracer) From(ctx context.Context, traceparent string) context.Context {
	if t == nil || traceparent == "" {
		return ctx
	}
	return t.w3c.Extract(ctx, propagation.MapCarrier{headerName: traceparent})
}

// headerName is W3C's header that carries a trace, over HTTP and Kafka.
const headerName = "traceparent"

// linked samples, beside what its Sampler does, whatever is linked to something sampled.
type linked struct{ sdktrace.Sampler }

// ShouldSample decides about a trace that begins here.
func (l linked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for i := range p.Links {
		if p.Links[i].SpanContext.IsSampled() {
			return sdktrace.AlwaysSample().ShouldSample(p)
		}
	}
	return l.Sampler.ShouldSample(p)
}
