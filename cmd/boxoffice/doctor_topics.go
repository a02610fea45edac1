package main

import (
	"context"
	"errors"

	"github.com/IBM/sarama"
	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// checkPublished looks whether the topics can have what the relay has published: they may have been made anew, or be
// those of another log. It looks at the ends only; verify --kafka compares every event.
func (d *doctor) checkPublished(ctx context.Context, db *sqlx.DB, kafka messaging.Config) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	const name = "published events"
	store := eventstore.New(db, eventstore.Config{})
	progress, err := store.Progress(ctx) // before the topics, which may grow meanwhile
	if err != nil {
		d.fail(name, advice(err), "%v", err)
		return
	}
	messages, err := everIn(ctx, kafka)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		messages, err = 0, nil // that topics are missing is told as such
	}
	var stranger string
	if err == nil {
		stranger, err = strangerIn(ctx, store, kafka)
	}
	switch {
	case err != nil:
		d.fail(name, "", "%v", err)
	case stranger != "":
		d.fail(name, "give another KAFKA_TOPIC_PREFIX, then publish the log to new topics: boxoffice relay --from 1",
			"%s: the log was set back, or the topics are another log's", stranger)
	case messages < progress.Relayed:
		d.warn(name, "publish them again: boxoffice relay --from 1",
			"the topics have had %d messages, and the relay has published %d events: topics were made anew", messages, progress.Relayed)
	default:
		d.ok(name, "%d of %d, in %d messages", progress.Relayed, progress.Head, messages)
	}
}
