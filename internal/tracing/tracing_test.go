package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"boxoffice/internal/tracing"
	"boxoffice/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A caller's span, sampled and not.
const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
	sampled      = "00-" + callersTrace + "-" + callersSpan + "-01"
	unsampled    = "00-" + callersTrace + "-" + callersSpan + "-00"
	another      = "00-11111111111111111111111111111111-2222222222222222-01"
)

// run gives a test a tracer; the returned function ends it, so that all spans have arrived.
func run(t *testing.T, cfg tracing.Config) (tracer *tracing.Tracer, end func()) {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	tracer, err := tracing.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := tracer.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	end = func() { cancel(); <-ended }
	t.Cleanup(end)
	return tracer, end
}

func request(t *testing.T, traceparent string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders/ORDER-1?token=secret", nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	return r
}

// handled sends a message through a middleware of a router and returns the context its handler had.
func handled(t *testing.T, middleware message.HandlerMiddleware, traceparent string, fault error) context.Context {
	t.Helper()
	var ctx context.Context
	msg := message.NewMessage("1", nil)
	if traceparent != "" {
		msg.Metadata.Set("traceparent", traceparent)
	}
	msg.SetContext(t.Context())
	_, err := middleware(func(msg *message.Message) ([]*message.Message, error) {
		ctx = msg.Context() //nolint:fatcontext // the only one
		return nil, fault
	})(msg)
	if !errors.Is(err, fault) {
		t.Errorf("the handler's error came back as %v", err)
	}
	return ctx
}

func TestARequestGoesOnWithItsCallersTrace(t *testing.T) {
	t.Parallel()
	collector := tracingtest.New(t)
	tracer, end := run(t, tracing.Config{Endpoint: collector.URL + "/", Instance: "one", Version: "v1"})
	ctx, ended := tracer.Request(request(t, sampled))
	inner, span := tracer.Span(ctx, "inner")
	stored := tracer.Traceparent(inner)
	tracing.End(span, errors.New("no luck"))
	ended("POST /orders/{id}", http.StatusServiceUnavailable)
	end()

	spans := collector.Spans()
	if len(spans) != 2 {
		t.Fatalf("spans %+v", spans)
	}
	in, out := spans[0], spans[1]
	if out.Name != "POST /orders/{id}" || out.Kind != "SERVER" || out.Trace != callersTrace || out.Parent != callersSpan || !out.Failed {
		t.Errorf("the request is %+v", out)
	}
	if in.Name != "inner" || in.Trace != callersTrace || in.Parent != out.ID || !in.Failed {
		t.Errorf("the work within is %+v", in)
	}
	if want := "00-" + callersTrace + "-" + in.ID + "-01"; stored != want {
		t.Errorf("the work's traceparent is %q, want %q", stored, want)
	}
	if a := out.Attributes; a["http.route"] != "/orders/{id}" || a["http.response.status_code"] != "503" || strings.Contains(fmt.Sprint(a), "secret") {
		t.Errorf("attributes %v", a)
	}
	if r := out.Resource; r["service.name"] != "boxoffice" || r["service.instance.id"] != "one" || r["service.version"] != "v1" {
		t.Errorf("resource %v", r)
	}
}

func TestWhatIsSampled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ratio       float64
		traceparent string
		spans       int
	}{
		"nothing at 0":                     {0, "", 0},
		"all that begins here at 1":        {1, "", 1},
		"what a caller samples, at 0":      {0, sampled, 1},
		"not what a caller leaves, at 1":   {1, unsampled, 0},
		"what a caller garbled begins now": {1, "00-zz", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := tracingtest.New(t)
			tracer, end := run(t, tracing.Config{Endpoint: collector.URL, Ratio: test.ratio})
			ctx, ended := tracer.Request(request(t, test.traceparent))
			if stored := tracer.Traceparent(ctx); (stored != "") != (test.spans > 0) {
				t.Errorf("%q would be stored", stored)
			}
			ended("GET /", http.StatusOK)
			handled(t, tracer.Begin, test.traceparent, nil)
			end()
			if got := len(collector.Spans()); got != 2*test.spans {
				t.Errorf("%d spans of two, want %d", got, 2*test.spans)
			}
		})
	}
}

func TestBehindTheDoorsOnlySampledTracesGoOn(t *testing.T) {
	t.Parallel()
	collector := tracingtest.New(t)
	tracer, end := run(t, tracing.Config{Endpoint: collector.URL, Ratio: 1})
	for _, nothing := range []string{"", unsampled, "nonsense"} {
		if ctx := handled(t, tracer.Continue, nothing, nil); tracer.Traceparent(ctx) != "" {
			t.Errorf("a message with %q has a span", nothing)
		}
		_, span := tracer.Batch(t.Context(), "batch", []string{nothing})
		span.End()
	}
	if _, span := tracer.Span(t.Context(), "work"); span.IsRecording() {
		t.Error("work without a trace has a span")
	}
	handled(t, tracer.Continue, sampled, errors.New("no luck"))
	end()
	if spans := collector.Spans(); len(spans) != 1 || spans[0].Trace != callersTrace || spans[0].Parent != callersSpan || !spans[0].Failed || spans[0].Kind != "CONSUMER" {
		t.Errorf("spans %+v", spans)
	}
}

func TestABatch(t *testing.T) {
	t.Parallel()
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("00-%032x-%016x-01", i+1, i+1)
	}
	for name, test := range map[string]struct {
		traces []string
		trace  string // "": one of its own
		links  int
	}{
		"of one trace belongs to it":                {[]string{sampled, "", sampled, unsampled}, callersTrace, 1},
		"of several is linked to them":              {[]string{sampled, another}, "", 2},
		"of very many is linked to no more than 32": {many, "", 32},
		"is linked once to each":                    {append([]string{another}, sampled, sampled, another), "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := tracingtest.New(t)
			tracer, end := run(t, tracing.Config{Endpoint: collector.URL})
			_, span := tracer.Batch(t.Context(), "batch", test.traces)
			span.End()
			end()
			spans := collector.Spans()
			if len(spans) != 1 || len(spans[0].Links) != test.links {
				t.Fatalf("spans %+v", spans)
			}
			if s := spans[0]; test.trace != "" && s.Trace != test.trace || test.trace == "" && s.Parent != "" {
				t.Errorf("it is %+v", s)
			}
		})
	}
}

func TestACollectorInTroubleHarmsNothing(t *testing.T) {
	t.Parallel()
	const rounds, each = 3, 600 // more than one request each
	for name, handle := range map[string]http.HandlerFunc{
		"it refuses": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("no ", 1000), http.StatusForbidden)
		},
		"it is overloaded": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"it never answers": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the sender has gone
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handle)
			defer server.Close()
			var said bytes.Buffer
			tracer, end := run(t, tracing.Config{Endpoint: server.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(&said, nil))})
			for range rounds * each {
				_, ended := tracer.Request(request(t, ""))
				ended("GET /", http.StatusOK)
			}
			began := time.Now()
			end()
			const limit = 4 * time.Second // of which 2 for what waits
			if took := time.Since(began); took > limit {
				t.Errorf("it took %s to end", took)
			}
			if n := strings.Count(said.String(), "traces not sent"); n != 1 {
				t.Errorf("it was told %d times:\n%s", n, said.String())
			}
			if said.Len() > 1000 {
				t.Errorf("%d bytes were told", said.Len())
			}
		})
	}
}

func TestOff(t *testing.T) {
	var tracer *tracing.Tracer
	ctx := t.Context()
	if err := tracer.Run(ctx); err != nil {
		t.Error(err)
	}
	if from := tracer.From(ctx, sampled); from != ctx {
		t.Error("a trace was taken over")
	}
	allocated := testing.AllocsPerRun(100, func() {
		inner, span := tracer.Span(ctx, "work")
		if tracer.Traceparent(inner) != "" {
			t.Error("there is a trace")
		}
		tracing.End(span, nil)
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
	for _, middleware := range []message.HandlerMiddleware{tracer.Begin, tracer.Continue} {
		if handled(t, middleware, sampled, nil) != ctx {
			t.Error("the message has another context")
		}
	}
}

func TestLinesNameTheirTrace(t *testing.T) {
	t.Parallel()
	tracer, _ := run(t, tracing.Config{Endpoint: "http://127.0.0.1:1"})
	var out bytes.Buffer
	log := slog.New(tracing.NewLogHandler(slog.NewTextHandler(&out, nil))).With("process", "one")
	log.InfoContext(t.Context(), "outside")
	log.InfoContext(tracer.From(t.Context(), unsampled), "inside")
	lines := strings.Split(out.String(), "\n")
	if strings.Contains(lines[0], "trace_id") {
		t.Errorf("outside of a trace: %s", lines[0])
	}
	if !strings.HasSuffix(lines[1], "msg=inside process=one trace_id="+callersTrace+" span_id="+callersSpan) {
		t.Errorf("within a trace: %s", lines[1])
	}
}
