package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/eventstore"
	"boxoffice/projections"
)

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
	for _, c := range []struct {
		metric, help string
		count        func(projections.Tally) int64
	}{
		{"folded_total", "Events folded.", func(t projections.Tally) int64 { return t.Folded }},
		{"gaps_total", "Gaps in streams that were healed from the log.", func(t projections.Tally) int64 { return t.Gaps }},
		{"parked_total", "Streams parked.", func(t projections.Tally) int64 { return t.Parked }},
		{"lost_total", "Times that messages were gone before they were read: the read model needs a replay.", func(t projections.Tally) int64 { return t.Lost }},
		{"restarts_total", "Times that all messages were read again.", func(t projections.Tally) int64 { return t.Restarts }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "boxoffice_projection_" + c.metric, ConstLabels: labels, Help: c.help,
		}, func() float64 { return float64(c.count(tally())) }))
	}
}
