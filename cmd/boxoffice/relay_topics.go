package main

import (
	"context"
	"errors"
	"fmt"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// eventTopics are those that have every event of the log once.
func eventTopics() []string { return []string{messaging.OrdersTopic, messaging.PaymentsTopic} }

// strangerIn looks at the newest message of each partition for an event that the log has not, or has otherwise: a
// log that was restored to an earlier state goes on beside such topics, with the same ids for other events. It says
// which event that is; empty: none was found, which proves nothing (verify --kafka does). Messages that are no
// events at all don't count.
func strangerIn(ctx context.Context, store *eventstore.Store, kafka messaging.Config) (stranger string, err error) {
	for _, topic := range eventTopics() {
		err := messaging.ReadNewest(ctx, kafka, topic, 1, func(partition int32, m messaging.Message) error {
			e, err := eventstore.FromMessage(m.Message)
			if errors.Is(err, eventstore.ErrForeign) || stranger != "" {
				return nil
			}
			// It was committed before it was published, so the log has it by now.
			found, err := store.ReadAll(ctx, e.Position-1, 1)
			where := fmt.Sprintf("%s%s/%d ends with %s of position %d", kafka.TopicPrefix, topic, partition, printable(e.ID()), e.Position)
			switch {
			case err != nil:
				return err
			case len(found) == 0:
				stranger = where + ", which the log does not have"
			case found[0].ID() != e.ID() || !found[0].RecordedAt.Equal(e.RecordedAt):
				stranger = fmt.Sprintf("%s, where the log has %s", where, printable(found[0].ID()))
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("look at the end of %s: %w", topic, err)
		}
	}
	return stranger, nil
}

// everIn is how many messages the topics of events have had; the relay has written one for every event.
func everIn(ctx context.Context, kafka messaging.Config) (messages int64, err error) {
	for _, topic := range eventTopics() {
		all, err := messaging.TopicBounds(ctx, kafka, topic)
		if err != nil {
			return 0, fmt.Errorf("ends of %s: %w", topic, err)
		}
		for _, b := range all {
			messages += b.Newest
		}
	}
	return messages, nil
}

// arrived makes sure that the events went to these topics: the active relay may belong to a service that publishes
// elsewhere, because it was not told of the new broker or prefix.
func (a *again) arrived(ctx context.Context, before, events int64) error {
	after, err := everIn(ctx, a.kafka)
	if err != nil {
		return err
	}
	if after-before >= events {
		return nil
	}
	return fmt.Errorf("only %d of %d events are in these topics: a running service has published to others. Stop what publishes elsewhere (other KAFKA_BROKERS or KAFKA_TOPIC_PREFIX) and run this again",
		after-before, events)
}
