package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	tellEvery  = time.Minute // between two lines about a collector in trouble
	maxTrouble = 300         // characters of an error's text
)

// exporter stands between the queue of spans and the collector. No error passes it: it would end at OpenTelemetry's
// global handler, which writes to stderr as often as it likes.
type exporter struct {
	next sdktrace.SpanExporter
	idle func() // closes connections that are not used
	log  *slog.Logger

	mu   sync.Mutex
	stop context.CancelFunc // of the request that runs; nil for none
	over bool               // nothing is sent any more
	lost int                // spans that were not sent since it was told last
	told time.Time
}

// ExportSpans sends one batch. It is never called twice at a time.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := context.Canceled
	if e.begin(cancel) {
		err = e.next.ExportSpans(ctx, spans)
	}
	if err != nil {
		e.failed(ctx, len(spans), err)
	}
	return nil
}

// begin notes how the request that is to run can be stopped; false: it may not run.
func (e *exporter) begin(stop context.CancelFunc) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop = stop
	return !e.over
}

// failed tells of lost spans, once a minute at most.
func (e *exporter) failed(ctx context.Context, spans int, err error) {
	e.mu.Lock()
	e.lost += spans
	lost := e.lost
	tell := time.Since(e.told) >= tellEvery
	if tell {
		e.told, e.lost = time.Now(), 0
	}
	e.mu.Unlock()
	if tell {
		e.log.WarnContext(ctx, "traces not sent", "spans", lost, "error", short(err))
	}
}

// cut stops what is being sent; nothing is sent after it.
func (e *exporter) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	if e.stop != nil {
		e.stop()
	}
}

// Shutdown ends the exporter.
func (e *exporter) Shutdown(ctx context.Context) error {
	if err := e.next.Shutdown(ctx); err != nil {
		e.log.WarnContext(ctx, "exporter of traces not ended", "error", short(err))
	}
	e.idle()
	return nil
}

// short is an error's text, cut to what a line and a span can bear.
func short(err error) string {
	text := []rune(err.Error())
	return string(text[:min(len(text), maxTrouble)])
}
