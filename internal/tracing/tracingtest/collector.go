// Package tracingtest has a collector of traces for tests.
package tracingtest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxRequest is the largest request that is read, in bytes.
const maxRequest = 16 << 20

// Span is a span as it arrived. Ids are in hex.
type Span struct {
	Name       string
	Kind       string // SERVER, CLIENT, CONSUMER or INTERNAL
	Trace, ID  string
	Parent     string // empty: it is the first of its trace
	Failed     bool
	Attributes map[string]string
	Links      []string          // traces that it is linked to
	Resource   map[string]string // who made it
}

// Collector takes spans by OTLP over HTTP, as a real one does.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []Span
	wrong []error
}

// New starts a collector for the time of a test. What it can't read fails the test.
func New(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	c.URL = server.URL
	t.Cleanup(func() {
		server.Close()
		for _, err := range c.wrong {
			t.Errorf("collector: %v", err)
		}
	})
	return c
}

// Spans are all spans that have arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	spans, err := read(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, spans...)
	if err != nil {
		c.wrong = append(c.wrong, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is the message that says that all is well
}

func read(r *http.Request) ([]Span, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, fmt.Errorf("%s %s with %s is no request for spans", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		body = unpacked
	}
	text, err := io.ReadAll(io.LimitReader(body, maxRequest))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &request); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	var all []Span
	for _, from := range request.GetResourceSpans() {
		who := values(from.GetResource().GetAttributes())
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				all = append(all, spanOf(s, who))
			}
		}
	}
	return all, nil
}

func spanOf(s *wire.Span, who map[string]string) Span {
	const prefix = len("SPAN_KIND_")
	span := Span{
		Name: s.GetName(), Kind: s.GetKind().String()[prefix:], Trace: hex.EncodeToString(s.GetTraceId()),
		ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Failed:     s.GetStatus().GetCode() == wire.Status_STATUS_CODE_ERROR,
		Attributes: values(s.GetAttributes()), Resource: who,
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
	}
	return span
}

func values(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			all[a.GetKey()] = a.GetValue().String()
		}
	}
	return all
}
