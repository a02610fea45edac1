package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/internal/httpapi"
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
	}
	m.registry.MustRegister(m.decided, m.batch, m.appends, m.turns, m.replaced, m.requests,
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

// serveMetrics serves /metrics, and profiles of the process, on an address of its own that is not public.
func (s *service) serveMetrics(ctx context.Context) error {
	listener := s.Metrics
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.Config.MetricsAddr); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return httpapi.Serve(ctx, httpapi.NewServer(s.Config.MetricsAddr, mux, s.Log), listener)
}
