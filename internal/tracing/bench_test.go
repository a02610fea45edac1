package tracing_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"boxoffice/internal/tracing"
)

// BenchmarkRequest is what a request costs whose trace is not kept, and one whose trace is.
func BenchmarkRequest(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	for name, ratio := range map[string]float64{"unsampled": 0, "sampled": 1} {
		b.Run(name, func(b *testing.B) {
			tracer, err := tracing.New(tracing.Config{Endpoint: collector.URL, Ratio: ratio, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- tracer.Run(ctx) }()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders", nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx, end := tracer.Request(r)
				_, span := tracer.Span(ctx, "PlaceOrder")
				_ = tracer.Traceparent(ctx)
				span.End()
				end("POST /orders", http.StatusCreated)
			}
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
	}
}
