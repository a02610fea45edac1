package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections/verify"
)

const (
	toolConnections = 4
	connectTimeout  = 10 * time.Second
)

// openDatabase connects to Postgres, so that a server that is not there is told in words.
func openDatabase(ctx context.Context, address config.URL) (*sqlx.DB, error) {
	db, err := eventstore.OpenDB(address.Reveal(), toolConnections)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	err = db.PingContext(within)
	if err == nil {
		return db, nil
	}
	err = errors.Join(err, db.Close())
	if ctx.Err() == nil && (within.Err() != nil || offline(err)) {
		return nil, &unreachable{"Postgres at " + hostOf(address), err}
	}
	return nil, fmt.Errorf("connect to Postgres at %s: %w", hostOf(address), err)
}

// hostOf is where a server is, without anything that may be secret.
func hostOf(address config.URL) string {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return "an address that can't be read"
	}
	if u.Host == "" {
		return u.Query().Get("host")
	}
	return u.Host
}

// topicReader reads topics for verify.
func topicReader(k config.Kafka) (verify.TopicReader, error) {
	cfg, err := k.Messaging("")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
		return messaging.ReadTopic(ctx, cfg, topic, func(partition int32, m messaging.Message) error {
			return fn(partition, m.Offset, m.Message)
		})
	}, nil
}
