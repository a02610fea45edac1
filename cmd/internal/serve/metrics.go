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
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/projections"
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

// relay shows how far a relay is and whether it is the active one.
func (m *metrics) relay(r *eventstore.Relay) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "boxoffice_relay_position", Help: "Last position of the log that this relay has published.",
		}, func() float64 { return float64(r.Position()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "boxoffice_relay_active", Help: "1 for the relay that publishes, 0 for one that stands by.",
		}, func() float64 {
			if r.Active() {
				return 1
			}
			return 0
		}))
}

// projection shows what a projection has folded, and what somebody should look at.
func (m *metrics) projection(name string, tally func() projections.Tally) {
	labels := prometheus.Labels{"projection": name}
	for metric, count := range map[string]func(projections.Tally) int64{
		"folded_total":   func(t projections.Tally) int64 { return t.Folded },
		"gaps_total":     func(t projections.Tally) int64 { return t.Gaps },
		"parked_total":   func(t projections.Tally) int64 { return t.Parked },
		"lost_total":     func(t projections.Tally) int64 { return t.Lost },
		"restarts_total": func(t projections.Tally) int64 { return t.Restarts },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "boxoffice_projection_" + metric, ConstLabels: labels,
			Help: "Events folded, gaps healed, streams parked, times that messages were lost or all were read again.",
		}, func() float64 { return float64(count(tally())) }))
	}
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
