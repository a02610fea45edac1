package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/projections"
)

// streams shows how many callers follow an order or a show.
func (m *metrics) streams(queries *projections.Queries) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "boxoffice_streams_open", Help: "Streams of orders and shows that are open.",
	}, func() float64 { return float64(queries.Streams()) }))
}
