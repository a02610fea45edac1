package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/projections"
)

// gauges are the sample's figures. They are the same in every process of a deployment, as far as their samples
// are equally old.
type gauges struct {
	sampler *sampler

	head, headTime                  *prometheus.Desc
	relayEvents, relaySeconds       *prometheus.Desc
	projEvents, projSeconds, parked *prometheus.Desc
	consumerEvents, consumerSeconds *prometheus.Desc
	holds, ticketsHeld, ticketsSold *prometheus.Desc
	openItems, deadLetters          *prometheus.Desc
	xminTransactions, xminSeconds   *prometheus.Desc
	age                             *prometheus.Desc
}

func newGauges(s *sampler) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("boxoffice_"+name, help, labels, nil)
	}
	return &gauges{
		sampler: s,

		head:     desc("log_head_position", "Last position of the log."),
		headTime: desc("log_head_timestamp_seconds", "Time of the last append, since 1970."),

		relayEvents:  desc("relay_lag_events", "Events of the log that are not published to Kafka."),
		relaySeconds: desc("relay_lag_seconds", "Age of the oldest event that is not published to Kafka; 0: all are."),

		projEvents:  desc("projection_lag_events", "Messages that a projection has not applied, and events that are not published.", "projection"),
		projSeconds: desc("projection_lag_seconds", "Age of the oldest event that a projection has not applied; 0: it is up to date.", "projection"),
		parked:      desc("projection_parked_streams", "Streams that a projection can't go on with and somebody must look at.", "projection"),

		consumerEvents:  desc("consumer_lag_events", "Messages that a consumer group has not done with, and events that are not published.", "group"),
		consumerSeconds: desc("consumer_lag_seconds", "Age of the oldest event that a consumer group has not done with; 0: it is up to date.", "group"),

		holds:       desc("holds_open", "Orders that hold tickets and are not paid, of those placed within twice this process' HOLD_TTL; counted up to 200000."),
		ticketsHeld: desc("tickets_held", "Tickets of all shows that unpaid orders hold."),
		ticketsSold: desc("tickets_sold", "Tickets of all shows that are sold."),
		openItems:   desc("open_items", "Open items that nobody has resolved."),
		deadLetters: desc("dead_letters", "Dead letters that nobody has sent again or discarded."),

		xminTransactions: desc("oldest_xmin_transactions", "Transactions begun since the oldest snapshot that anything in the database holds."),
		xminSeconds:      desc("oldest_xmin_seconds", "Age of the oldest transaction that holds a snapshot, as far as this role can see it."),

		age: desc("sample_age_seconds", "How long ago the figures that are sampled were seen: log, topics, counts.", "sample"),
	}
}

// startSampler keeps the figures of the whole deployment fresh.
func (s *service) startSampler(front start) error {
	sampler, err := newSampler(s.Config.DatabaseURL.Reveal(), s.kafka, s.Config.HoldTTL, s.Log)
	if err != nil {
		return err
	}
	s.metrics.registry.MustRegister(newGauges(sampler))
	front("samples for metrics", sampler.Run)
	return nil
}

// Describe tells nothing, so that figures that are not known yet may be left out.
func (*gauges) Describe(chan<- *prometheus.Desc) {}

// Collect hands over the last sample; what was never seen is left out.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	now, last := time.Now(), g.sampler.sampled()
	set := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for name, at := range map[string]time.Time{"log": last.lagAt, "topics": last.kafkaAt, "counts": last.countsAt} {
		if at.IsZero() {
			at = g.sampler.begun
		}
		set(g.age, now.Sub(at).Seconds(), name)
	}
	if !last.lagAt.IsZero() {
		g.collectLag(set, last)
	}
	if last.countsAt.IsZero() {
		return
	}
	set(g.holds, float64(last.counts.Holds))
	set(g.ticketsHeld, float64(last.counts.TicketsHeld))
	set(g.ticketsSold, float64(last.counts.TicketsSold))
	set(g.openItems, float64(last.counts.OpenItems))
	for _, p := range projections.All() {
		set(g.parked, float64(last.counts.parked[p.Definition().Name]), p.Definition().Name)
	}
}

func (g *gauges) collectLag(set func(*prometheus.Desc, float64, ...string), last sample) {
	set(g.head, float64(last.lag.Head))
	set(g.headTime, float64(last.lag.HeadAt.UnixMicro())/float64(time.Second/time.Microsecond))
	if last.horizon != nil {
		set(g.xminTransactions, float64(last.horizon.Transactions))
		set(g.xminSeconds, float64(last.horizon.Seconds))
	}
	for _, l := range last.lag.Lags {
		switch l.Kind {
		case RelayReader:
			set(g.relayEvents, float64(l.Events))
			set(g.relaySeconds, l.Age.Seconds())
		case ProjectionReader:
			set(g.projEvents, float64(l.Events), l.Reader)
			set(g.projSeconds, l.Age.Seconds(), l.Reader)
		case ConsumerReader:
			set(g.consumerEvents, float64(l.Events), l.Reader)
			set(g.consumerSeconds, l.Age.Seconds(), l.Reader)
		}
	}
	if last.lag.DeadLetters >= 0 {
		set(g.deadLetters, float64(last.lag.DeadLetters))
	}
}
