package serve

import (
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// NewRelay is the relay of the service for a tool that publishes the log: the same messages to the same topics, and
// of all of them one is active.
func NewRelay(store *eventstore.Store, kafka messaging.Config, log *slog.Logger) *eventstore.Relay {
	return newRelay(store, kafka, log, prometheus.NewRegistry())
}

func newRelay(store *eventstore.Store, kafka messaging.Config, log *slog.Logger, registry *prometheus.Registry) *eventstore.Relay {
	open := func() (message.Publisher, error) { return messaging.Open(kafka) }
	return eventstore.NewRelay(store, open, newUnsent(Route, log, registry).Route, eventstore.RelayConfig{Log: log})
}
