package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/projections/verify"
)

// auditor shows what an auditor has found, and how far it is.
func (m *metrics) auditor(status func() verify.AuditStatus) {
	for _, kind := range verify.AuditKinds() { // there from the start, so that a rate has a beginning
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "boxoffice_invariant_violations_total", ConstLabels: prometheus.Labels{"kind": string(kind)},
			Help: "Violations that this process' auditor has found in the log and the read models since it began; each is counted once.",
		}, func() float64 { return float64(status().Violations[kind]) }))
	}
	for _, c := range []struct {
		name, help string
		count      func(verify.AuditStatus) int64
	}{
		{"unknown_events_total", "Events that the auditor can't judge, because a newer program wrote them.", func(s verify.AuditStatus) int64 { return s.Unknown }},
		{"rows_total", "Comparisons of a read model's row with the log that found them equal.", func(s verify.AuditStatus) int64 { return s.Rows }},
		{"rounds_total", "Times that the auditor has gone over the rows of all orders.", func(s verify.AuditStatus) int64 { return s.Rounds }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "boxoffice_auditor_" + c.name, Help: c.help,
		}, func() float64 { return float64(c.count(status())) }))
	}
	begun := time.Now()
	for _, g := range []struct {
		name, help string
		value      func(verify.AuditStatus) float64
	}{
		{"position", "Position of the log up to which the auditor has judged all since it began.", func(s verify.AuditStatus) float64 { return float64(s.Position) }},
		{"lag_events", "Events of the log that the auditor has not judged yet, when it last looked.", func(s verify.AuditStatus) float64 { return float64(s.Head - s.Position) }},
		{"lag_seconds", "Time since the auditor was last at the log's head.", func(s verify.AuditStatus) float64 {
			if s.CaughtUpAt.IsZero() {
				return time.Since(begun).Seconds()
			}
			return time.Since(s.CaughtUpAt).Seconds()
		}},
		{"rows_behind", "Rows of orders, shows and open items that were missing or behind for more than 5 minutes in the auditor's last rounds, parked and discarded streams left out.", func(s verify.AuditStatus) float64 { return float64(s.Behind) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "boxoffice_auditor_" + g.name, Help: g.help,
		}, func() float64 { return g.value(status()) }))
	}
}
