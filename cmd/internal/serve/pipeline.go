package serve

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// closeTimeout is how long a router waits for its handlers when the process stops.
const closeTimeout = 3 * time.Second

// withTopics lets a part wait until all topics are there. Nothing else waits for Kafka.
func (s *service) withTopics(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-s.topics:
			return run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// single opens a publisher of single messages, however long Kafka is away. An error means that ctx ended.
func (s *service) single(ctx context.Context) (publisher message.Publisher, err error) {
	err = persistently(ctx, func(err error) { s.news.away(ctx, s.Log, err) }, func() (err error) {
		publisher, err = messaging.OpenSingle(s.kafka, s.watermill())
		return err
	})
	if err == nil {
		s.news.there(ctx, s.Log)
	}
	return publisher, err
}

func (s *service) relay(ctx context.Context) error {
	relay := newRelay(s.store, s.kafka, s.Log, s.metrics.registry)
	s.metrics.relay(relay)
	return relay.Run(ctx)
}

// startProjections starts a consumer for each projection, each in a group of its own.
func (s *service) startProjections(back start) {
	for _, p := range projections.All() {
		definition := p.Definition()
		applier := projections.NewApplier(p, s.reads, s.store, s.Log)
		consumer := messaging.NewBatchConsumer(s.kafka, messaging.BatchConfig{
			Group: "projection-" + definition.Name, Topics: []string{definition.Topic}, Start: applier.Start, Log: s.Log,
			Wants: func(key []byte) bool { return bytes.HasPrefix(key, []byte(definition.Prefix)) },
			Handle: s.tracedBatches("project "+definition.Name, func(ctx context.Context, claim messaging.Claim, batch []messaging.Message) error {
				messages := make([]projections.Message, len(batch))
				for i, m := range batch {
					messages[i] = projections.Message{Offset: m.Offset, Message: m.Message}
				}
				err := applier.Apply(ctx, claim.Topic, claim.Partition, messages)
				if errors.Is(err, projections.ErrClaimLost) {
					return errors.Join(messaging.ErrDropClaim, err)
				}
				return err
			}),
		})
		s.metrics.projection(definition.Name, applier.Tally)
		back("projection "+definition.Name, s.withTopics(consumer.Run))
	}
}
