package serve

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// unsent keeps the relay going past events that no broker takes: a message that is too large would come again
// and again, and nothing after it would ever be published.
type unsent struct {
	route func(eventstore.Recorded) ([]eventstore.Routed, error)
	log   *slog.Logger
	count prometheus.Counter
}

func newUnsent(route func(eventstore.Recorded) ([]eventstore.Routed, error), log *slog.Logger, registry *prometheus.Registry) *unsent {
	u := &unsent{route: route, log: log, count: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "boxoffice_relay_unsent_total", Help: "Messages that Kafka does not take; they are dead letters.",
	})}
	registry.MustRegister(u.count)
	return u
}

// Route is route, with every message that can't be sent replaced: by a dead letter that says why and, for the
// event itself, by its message without the data, so that readers look into the log.
func (u *unsent) Route(e eventstore.Recorded) ([]eventstore.Routed, error) {
	routed, err := u.route(e)
	for i := range routed {
		if messaging.CheckSize(routed[i].Topic, routed[i].Message) != nil {
			return u.replace(e, routed), err
		}
	}
	return routed, err
}

func (u *unsent) replace(e eventstore.Recorded, routed []eventstore.Routed) []eventstore.Routed {
	var fit []eventstore.Routed
	for _, r := range routed {
		reason := messaging.CheckSize(r.Topic, r.Message)
		if reason == nil {
			fit = append(fit, r)
			continue
		}
		u.count.Inc()
		u.log.Error("an event does not fit into Kafka and is a dead letter there",
			"event", e.ID(), "position", e.Position, "topic", r.Topic, "reason", reason)
		if r.Message.UUID == e.ID() {
			if stub := eventstore.WithoutData(r.Message); messaging.CheckSize(r.Topic, stub) == nil {
				fit = append(fit, eventstore.Routed{Topic: r.Topic, Message: stub})
			}
		}
		letter := messaging.Unsent(r.Message, r.Topic, messaging.RelayGroup, reason)
		fit = append(fit, eventstore.Routed{Topic: messaging.DeadLetterTopic, Message: letter})
	}
	return fit
}
