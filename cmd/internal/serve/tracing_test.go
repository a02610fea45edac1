package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/internal/tracing/tracingtest"
)

// A client's trace.
const (
	clientsTrace = "0af7651916cd43dd8448eb211c80319c"
	clientsSpan  = "b7ad6b7169203331"
	traceparent  = "00-" + clientsTrace + "-" + clientsSpan + "-01"
)

// buyTraced places and pays an order within the client's trace.
func (c client) buyTraced(customer string) (orderID string) {
	c.o.t.Helper()
	placed := c.send("POST", "/orders", []byte(nativeOrder(customer, 1)), "Idempotency-Key", "of-"+customer, "Traceparent", traceparent)
	var order struct {
		OrderID string `json:"orderId"`
	}
	if err := json.Unmarshal(placed.body, &order); err != nil || placed.status != http.StatusCreated {
		c.o.t.Fatalf("not placed: %s", placed)
	}
	c.await(order.OrderID, domain.Confirmed)
	if paid := c.webhook(order.OrderID, "SUCCESS", "Traceparent", traceparent); paid.status != http.StatusOK {
		c.o.t.Fatalf("not paid: %s", paid)
	}
	c.await(order.OrderID, domain.Completed)
	return order.OrderID
}

// tracesOf are the traces that are stored beside an order's and its payment's events, by type.
func (o *office) tracesOf(orderID string) map[string]string {
	o.t.Helper()
	payments := domain.PaymentStream("PAY-" + strings.TrimPrefix(orderID, "ORDER-") + "-1")
	found := map[string]string{}
	for _, stream := range []string{domain.OrderStream(orderID), payments} {
		events, err := o.store.ReadStream(o.t.Context(), stream, 0, 100)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, e := range events {
			var m eventstore.Metadata
			if err := json.Unmarshal(e.Metadata, &m); err != nil {
				o.t.Fatal(err)
			}
			found[e.Type] = m.Trace
		}
	}
	return found
}

// headersOf are the traceparent headers on a topic, by id of the message; only of messages that have one.
func (o *office) headersOf(topics ...string) map[string]string {
	o.t.Helper()
	found := map[string]string{}
	for _, topic := range topics {
		err := messaging.ReadTopic(o.t.Context(), o.kafka, topic, func(_ int32, m messaging.Message) error {
			if value, there := m.Metadata["traceparent"]; there {
				found[m.Metadata["ce_id"]] = value
			}
			return nil
		})
		if err != nil {
			o.t.Fatal(err)
		}
	}
	return found
}

// said collects the lines of a log.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

// find is the first line with all of these in it.
func (s *said) find(parts ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return line
		}
	}
	return ""
}

func TestAnOrderIsOneTrace(t *testing.T) {
	collector, lines := tracingtest.New(t), &said{}
	o := open(t, longHold)
	o.traces, o.lines = collector.URL, slog.NewTextHandler(lines, nil)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 10)
	const customer = "somebody@example.com"
	orderID := p.buyTraced(customer)

	// what is named by its parent; "" is the client
	story := []struct{ name, parent, kind string }{
		{"POST /orders", "", "SERVER"},
		{"PlaceOrder", "POST /orders", "INTERNAL"},
		{"process payment-settlement-topic", "PlaceOrder", "CONSUMER"},
		{"simulator charge", "process payment-settlement-topic", "CLIENT"},
		{"RecordInstruction", "process payment-settlement-topic", "INTERNAL"},
		{"project order_status", "PlaceOrder", "CONSUMER"},
		{"process notification-topic", "PlaceOrder", "CONSUMER"},
		{"POST /webhooks/payment", "", "SERVER"},
		{"SettlePayment", "POST /webhooks/payment", "INTERNAL"},
		{"process notification-topic", "SettlePayment", "CONSUMER"},
	}
	var spans []tracingtest.Span
	eventually(t, "all spans arrive", func() string {
		spans = collector.Spans()
		byID := map[string]string{clientsSpan: ""}
		for _, s := range spans {
			byID[s.ID] = s.Name
		}
		for _, want := range story {
			if !slices.ContainsFunc(spans, func(s tracingtest.Span) bool {
				parent, known := byID[s.Parent]
				return s.Name == want.name && known && parent == want.parent && s.Kind == want.kind
			}) {
				return fmt.Sprintf("no %+v among %+v", want, spans)
			}
		}
		return ""
	})
	ids := map[string]tracingtest.Span{}
	for _, s := range spans {
		ids[s.Name] = s
		if s.Trace != clientsTrace || s.Failed {
			t.Errorf("not of the client's trace, or failed: %+v", s)
		}
		if text := fmt.Sprint(s.Attributes); strings.Contains(text, customer) || strings.Contains(text, tokenOf(t, orderID)) {
			t.Errorf("%s tells about people: %s", s.Name, text)
		}
	}
	place := ids["PlaceOrder"]
	for name, want := range map[string]string{
		"boxoffice.order": orderID, "boxoffice.show": "1", "boxoffice.result": "accepted", "boxoffice.event": "order-" + orderID + ":1",
	} {
		if got := place.Attributes[name]; got != want {
			t.Errorf("%s of the command is %q, want %q", name, got, want)
		}
	}
	if n := o.number(`SELECT count(*) FROM events WHERE position = $1::bigint AND type = 'OrderPlaced' AND metadata->>'batch' = $2`,
		place.Attributes["boxoffice.position"], place.Attributes["boxoffice.batch"]); n != 1 {
		t.Errorf("the command's position and batch are not the event's: %v", place.Attributes)
	}
	of := func(span string) string { return "00-" + clientsTrace + "-" + ids[span].ID + "-01" }
	stored := o.tracesOf(orderID)
	for event, want := range map[string]string{
		"OrderPlaced": of("PlaceOrder"), "PaymentRequested": of("PlaceOrder"), "OrderConfirmed": of("RecordInstruction"),
		"PaymentInstructed": of("RecordInstruction"), "PaymentSettled": of("SettlePayment"), "OrderCompleted": of("SettlePayment"),
	} {
		if stored[event] != want {
			t.Errorf("the trace of %s is %q, want %q", event, stored[event], want)
		}
	}
	headers := o.headersOf(messaging.OrdersTopic, messaging.PaymentsTopic, messaging.NotificationTopic)
	for _, id := range []string{"order-" + orderID + ":1", "notification:order-" + orderID + ":1"} {
		if headers[id] != of("PlaceOrder") {
			t.Errorf("the header of %s is %q, want %q", id, headers[id], of("PlaceOrder"))
		}
	}
	if line := lines.find("status changed", "order="+orderID, "trace_id="+clientsTrace, "span_id="); line == "" {
		t.Errorf("no line names its trace:\n%s", lines)
	}
}

func TestWithoutAnEndpointAClientsTraceIsStoredAndNothingElse(t *testing.T) {
	collector := tracingtest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL) // nobody below cmd looks
	o, p := running(t, longHold)
	p.createShow(1, 10)
	traced := p.buyTraced("u1")
	plain := p.place(wish{customer: "u2"})
	p.await(plain.orderID, domain.Confirmed)
	stored := o.tracesOf(traced)
	for event, want := range map[string]string{"OrderPlaced": traceparent, "PaymentRequested": traceparent, "OrderConfirmed": "", "OrderCompleted": ""} {
		if stored[event] != want {
			t.Errorf("the trace of %s is %q, want %q", event, stored[event], want)
		}
	}
	headers := o.headersOf(messaging.OrdersTopic, messaging.PaymentsTopic, messaging.NotificationTopic)
	for id, header := range headers {
		if header != traceparent || strings.Contains(id, plain.orderID) {
			t.Errorf("%s carries %q", id, header)
		}
	}
	if headers["order-"+traced+":1"] == "" {
		t.Errorf("the client's trace is not in Kafka: %v", headers)
	}
	p.stop()
	if spans := collector.Spans(); len(spans) > 0 {
		t.Errorf("spans were sent: %+v", spans)
	}
}

func TestACollectorThatDoesNotAnswerHoldsNothingUp(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the sender has gone
		<-r.Context().Done()
	}))
	defer silent.Close()
	o := open(t, longHold)
	o.traces = silent.URL
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 10)
	p.buyTraced("u1")
	p.stop() // within 10 s
}
