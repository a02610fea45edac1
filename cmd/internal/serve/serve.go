// Package serve runs Boxoffice: it wires the parts by hand, starts those that the process' roles ask for,
// and stops them in an order that loses nothing.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"boxoffice/cmd/internal/config"
	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/internal/payments"
	"boxoffice/internal/tracing"
)

// Connections to Postgres of one process.
const (
	logConnections  = 12 // the writer, the relay and whoever reads the log
	readConnections = 12 // projections and queries
)

const (
	firstPause = 100 * time.Millisecond // between tries to reach a server
	lastPause  = 3 * time.Second
	clockEvery = 30 * time.Second
)

// Options are what a program decides beside its configuration.
type Options struct {
	Config config.Config
	Log    *slog.Logger
	// Listener and Metrics, where HTTP and metrics are served; nil listens on the configured addresses.
	Listener net.Listener
	Metrics  net.Listener
	// Demo opens what only a demo bound to loopback may open: unsigned deliveries and the simulator's buttons.
	Demo bool
	// Told hears of every command that was decided; it must not block. May be nil.
	Told func(domain.Command, commands.Origin, commands.Answer, error)
	// StopWithin is how long Run waits for its parts once ctx has ended; 0 means 9 s.
	StopWithin time.Duration
}

// service is one running process.
type service struct {
	Options
	db    *sqlx.DB // the log
	reads *sqlx.DB // read models
	store *eventstore.Store
	// readStore reads the log for queries and payments, so that they never stand in front of an append.
	readStore *eventstore.Store
	deciding  <-chan struct{} // closed when the command bus has its handlers
	kafka     messaging.Config
	topics    chan struct{} // closed when all topics are there
	news      kafkaNews
	prepared  atomic.Bool // the database fits
	writer    *commands.Writer
	send      commands.Sender
	metrics   *metrics
	secrets   secrets
	gateway   payments.Gateway
	parser    payments.StandardParser
	tracer    *tracing.Tracer // nil: there are no traces
}

// wire starts the parts of the process' roles: those in front take work in, those behind do it.
func (s *service) wire(front, back start) error {
	roles := s.Config.Roles
	if err := s.startTracing(back); err != nil {
		return err
	}
	back("log", s.store.Run)
	back("clock", s.syncClock)
	back("topics", s.awaitTopics)
	if err := s.startSampler(front); err != nil {
		return err
	}
	if roles.Has(config.API) || roles.Has(config.Payments) {
		if err := s.startWriter(back); err != nil {
			return err
		}
		if err := s.newGateway(); err != nil {
			return err
		}
	}
	if roles.Has(config.API) {
		front("timekeeper", s.whenDeciding(commands.Timekeeper{Store: s.store, Send: s.send, Log: s.Log}.Run))
		if err := s.startHTTP(front); err != nil {
			return err
		}
		s.startCommandsTopic(front)
	}
	if roles.Has(config.Relay) {
		back("relay", s.withTopics(s.relay))
	}
	if roles.Has(config.Projections) {
		s.startProjections(back)
		if err := s.startAuditor(front); err != nil {
			return err
		}
	}
	if roles.Has(config.Payments) {
		s.startPayments(front)
	}
	if roles.Has(config.Notifications) {
		if err := s.startNotifications(front); err != nil {
			return err
		}
	}
	return nil
}

// open makes what needs no server to answer.
func (s *service) open() (err error) {
	s.Log = s.tracedLog()
	if s.secrets, err = newSecrets(s.Config); err != nil {
		return err
	}
	if s.db, err = eventstore.OpenDB(s.Config.DatabaseURL.Reveal(), logConnections); err != nil {
		return err
	}
	if s.reads, err = eventstore.OpenDB(s.Config.DatabaseURL.Reveal(), readConnections); err != nil {
		return err
	}
	s.store = eventstore.New(s.db, eventstore.Config{Log: s.Log, URL: s.Config.DatabaseURL.Reveal()})
	s.readStore = eventstore.New(s.reads, eventstore.Config{Log: s.Log})
	s.kafka, err = s.Config.Kafka.Messaging(s.Config.InstanceID)
	return err
}

// prepare waits for Postgres and its schema, which it brings up to date if it may.
func (s *service) prepare(ctx context.Context) error {
	return patiently(ctx, s.Log, "waiting for Postgres", func() (err error) {
		if err := s.bringSchema(ctx); err != nil {
			return err
		}
		if s.secrets.customer, err = s.store.CustomerKey(ctx); err != nil {
			return fmt.Errorf("read the customers' key: %w", err)
		}
		return errors.Join(s.store.SyncClock(ctx), s.readStore.SyncClock(ctx))
	})
}

// syncClock keeps the readers' clock at the database's; the writer learns it at every append.
func (s *service) syncClock(ctx context.Context) error {
	ticker := time.NewTicker(clockEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.readStore.SyncClock(ctx); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "the database's clock was not asked", "error", err)
			}
		}
	}
}

// refusedBy reports whether Postgres refused with one of these codes.
func refusedBy(err error, codes ...pqerror.Code) bool {
	refused, ok := errors.AsType[*pq.Error](err)
	return ok && slices.Contains(codes, refused.Code)
}

// patiently tries until it works or ctx ends, and tells each time that it does not.
func patiently(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	return persistently(ctx, func(err error) { log.WarnContext(ctx, what, "error", err) }, try)
}

// persistently tries until it works or ctx ends; failed hears of each failure that waiting may mend.
func persistently(ctx context.Context, failed func(error), try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if refusedBy(err, pqerror.InvalidPassword, pqerror.InvalidAuthorizationSpecification) {
			return err // waiting does not make a password right
		}
		if errors.Is(err, errSchema) {
			return err
		}
		failed(err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
