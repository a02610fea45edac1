package serve

import (
	"context"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"boxoffice/internal/httpapi"
)

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
	health, err := s.health()
	if err != nil {
		return err
	}
	mux.Handle("GET /", health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return httpapi.Serve(ctx, httpapi.NewServer(s.Config.MetricsAddr, mux, s.Log), listener)
}
