package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// What the whole deployment has in common is sampled in the background, so that a scrape costs the database
// nothing and answers while the database does not. All of it goes over one connection, in short statements.
const (
	progressEvery = 5 * time.Second  // log, relay, projections, oldest snapshot
	countsEvery   = 15 * time.Second // rows of read models
	sampleTimeout = 3 * time.Second  // of one sample's statements together
	lagTimeout    = 20 * time.Second // of one measurement of all lags, with a broker that hangs
	failuresEvery = time.Minute      // how often a failing sample is told
)

// sample is what was last seen, and when. What could not be seen again stays as it was.
type sample struct {
	lag      LagReport
	lagAt    time.Time // by this process' clock, as all of these; zero: never
	kafkaAt  time.Time
	horizon  *eventstore.Horizon // nil: never seen
	counts   counts
	countsAt time.Time
}

// sampler keeps a sample fresh.
type sampler struct {
	db      *sqlx.DB
	store   *eventstore.Store
	meter   *LagMeter
	holdTTL time.Duration
	log     *slog.Logger
	begun   time.Time

	mu   sync.Mutex
	last sample

	told map[string]time.Time // when a kind of failure was last told; of Run's goroutine
}

func newSampler(url string, kafka messaging.Config, holdTTL time.Duration, log *slog.Logger) (*sampler, error) {
	db, err := eventstore.OpenDB(url, 1)
	if err != nil {
		return nil, err
	}
	store := eventstore.New(db, eventstore.Config{})
	return &sampler{
		db: db, store: store, meter: NewLagMeter(db, kafka), holdTTL: holdTTL, log: log, begun: time.Now(),
		last: sample{lag: LagReport{DeadLetters: -1}}, told: map[string]time.Time{},
	}, nil
}

// Run samples until ctx ends.
func (s *sampler) Run(ctx context.Context) error {
	defer func() { _ = errors.Join(s.meter.Close(), s.db.Close()) }()
	progress, counts := time.NewTicker(progressEvery), time.NewTicker(countsEvery)
	defer progress.Stop()
	defer counts.Stop()
	s.sampleProgress(ctx)
	s.sampleCounts(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-progress.C:
			s.sampleProgress(ctx)
		case <-counts.C:
			s.sampleCounts(ctx)
		}
	}
}

func (s *sampler) sampleProgress(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	report, err := s.meter.Measure(limited)
	s.failed(ctx, "how far the log and its readers are is not known", err)
	if err != nil {
		return
	}
	s.failed(ctx, "how far the topics are is not known", report.Kafka)
	horizon, err := s.store.Horizon(limited)
	s.failed(ctx, "the oldest snapshot is not known", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.lag, s.last.lagAt = report, time.Now()
	if report.Kafka == nil {
		s.last.kafkaAt = s.last.lagAt
	}
	if err == nil {
		s.last.horizon = &horizon
	}
}

func (s *sampler) sampleCounts(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	counted, err := s.count(limited)
	s.failed(ctx, "the rows of the read models could not be counted", err)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.counts, s.last.countsAt = counted, time.Now()
}

// failed tells a failure now and then: while a server is away every sample fails.
func (s *sampler) failed(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil || time.Since(s.told[what]) < failuresEvery {
		return
	}
	s.told[what] = time.Now()
	s.log.WarnContext(ctx, "metrics: "+what, "error", err)
}

func (s *sampler) sampled() sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// counts are figures about what the whole deployment has stored.
type counts struct {
	Holds       int64            `db:"holds"`
	TicketsHeld int64            `db:"tickets_held"`
	TicketsSold int64            `db:"tickets_sold"`
	OpenItems   int64            `db:"open_items"`
	parked      map[string]int64 // by projection
}

// mostHolds is where counting open holds ends.
const mostHolds = 200_000

// countsSQL counts holds among the orders that can have one: those placed after a position.
const countsSQL = `SELECT
	(SELECT count(*) FROM (SELECT FROM order_status WHERE placed_position > $1 AND status IN ('PENDING', 'CONFIRMED') LIMIT $2) AS h) AS holds,
	(SELECT coalesce(sum(held), 0)::bigint FROM availability) AS tickets_held,
	(SELECT coalesce(sum(sold), 0)::bigint FROM availability) AS tickets_sold,
	(SELECT count(*) FROM open_items WHERE NOT resolved) AS open_items`

func (s *sampler) count(ctx context.Context) (counts, error) {
	var c counts
	// A hold lives for its TTL and a grace; twice that leaves room for a TTL that was longer yesterday.
	since, err := s.store.PositionAt(ctx, time.Now().Add(-2*s.holdTTL-time.Minute))
	if err != nil {
		return c, err
	}
	if err := s.db.GetContext(ctx, &c, countsSQL, since, mostHolds); err != nil {
		return c, fmt.Errorf("count holds and open items: %w", err)
	}
	c.parked, err = projections.CountParked(ctx, s.db)
	return c, err
}
