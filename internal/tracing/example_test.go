package tracing_test

import (
	"context"
	"fmt"

	"boxoffice/internal/tracing"
)

// A Tracer that is off is nil, and everything works without it.
func Example() {
	var tracer *tracing.Tracer
	ctx, span := tracer.Span(context.Background(), "charge")
	fmt.Printf("%t %q\n", span.IsRecording(), tracer.Traceparent(ctx))
	tracing.End(span, nil)
	// Output: false ""
}
