package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of the embedded server

	"boxoffice/internal/devstack"
)

// stack is the demo's own Postgres and broker.
type stack struct {
	postgres *devstack.PostgresServer
	kafka    *devstack.KafkaBroker
}

// settings of the embedded Postgres: durable like a real one, with room for an on-sale on a small machine.
func settings() map[string]string {
	return map[string]string{"shared_buffers": "256MB", "max_wal_size": "2GB", "max_connections": "100"}
}

func startStack(ctx context.Context, o options, stderr io.Writer) (*stack, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	postgres, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{
		Dir: filepath.Join(o.data, "postgres"), Settings: settings(), Log: stderr,
	})
	if err != nil {
		return nil, err
	}
	s := &stack{postgres: postgres}
	if err := createDatabase(ctx, postgres.URL("postgres")); err != nil {
		return nil, errors.Join(err, s.stop(time.Now().Add(goneWithin)))
	}
	s.kafka, err = devstack.StartKafka(devstack.KafkaConfig{Dir: filepath.Join(o.data, "kafka"), Log: stderr})
	if err != nil {
		return nil, errors.Join(err, s.stop(time.Now().Add(goneWithin)))
	}
	return s, nil
}

// stop ends both servers, by force if they have not ended at the deadline.
func (s *stack) stop(deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline) // what ends us does not end this
	defer cancel()
	var errs []error
	if s.kafka != nil {
		errs = append(errs, s.kafka.Stop())
	}
	return errors.Join(append(errs, s.postgres.Stop(ctx))...)
}

func createDatabase(ctx context.Context, url string) (err error) {
	db, err := sqlx.ConnectContext(ctx, "postgres", url)
	if err != nil {
		return fmt.Errorf("connect to the embedded Postgres: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var there bool
	if err := db.GetContext(ctx, &there, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if there {
		return nil
	}
	if _, err := db.ExecContext(ctx, `CREATE DATABASE `+strings.ToLower(database)); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}
