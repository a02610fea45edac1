package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/internal/payments"
)

// metrics are the process' figures for Prometheus, in a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	decided  *prometheus.CounterVec
	batch    prometheus.Histogram
	appends  prometheus.Histogram
	turns    prometheus.Counter
	replaced prometheus.Counter
	requests *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		decided: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "boxoffice_decisions_total", Help: "Commands by what became of them.",
		}, []string{"command", "result"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "boxoffice_batch_size", Help: "Commands of one append.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		appends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "boxoffice_append_seconds", Help: "Time of one append.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		turns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "boxoffice_turns_total", Help: "Turns taken because another writer writes too.",
		}),
		replaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "boxoffice_log_replaced_total", Help: "Times that the log was found to be another one.",
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "boxoffice_http_request_seconds", Help: "Time of one HTTP request.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"route", "status"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "boxoffice_webhooks_total", Help: "Deliveries of payment gateways by what became of them.",
		}, []string{"result"}),
	}
	for _, result := range payments.WebhookResults() {
		m.webhooks.WithLabelValues(string(result)) // there from the start, so that a rate has a beginning
	}
	m.registry.MustRegister(m.decided, m.batch, m.appends, m.turns, m.replaced, m.requests, m.webhooks,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// writer is what the writer tells.
func (m *metrics) writer() commands.Observer {
	return commands.Observer{
		Decided: func(command string, err error) { m.decided.WithLabelValues(command, resultOf(err)).Inc() },
		Appended: func(commands, _ int, took time.Duration) {
			m.batch.Observe(float64(commands))
			m.appends.Observe(took.Seconds())
		},
		Turn:     m.turns.Inc,
		Replaced: m.replaced.Inc,
	}
}

// resultOf names what became of a command: accepted, the code of its refusal, or fault.
func resultOf(err error) string {
	if err == nil {
		return "accepted"
	}
	if rejection, ok := errors.AsType[*domain.Rejection](err); ok {
		return string(rejection.Code)
	}
	return "fault"
}

func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// webhook counts a delivery.
func (m *metrics) webhook(result payments.WebhookResult) {
	m.webhooks.WithLabelValues(string(result)).Inc()
}
