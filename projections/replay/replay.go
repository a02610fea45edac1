// Package replay builds read models anew from the log, beside those that are in use, and swaps them.
//
// It reads the log in pages, each in a transaction of its own, folds it in memory by the fold that the live
// consumers use, and copies the rows into tables of the same names in a schema of its own. Keys and indexes are made
// afterwards; then it folds what was appended meanwhile until it is at the head, compares the new rows with the
// old ones, and swaps the tables of one read model after the other, each in one short transaction. Until then the
// tables in use are only read. It sends nothing to anybody.
//
// Memory: a row of order_status that is held takes 1,050 bytes, a million of them 1.1 GB, beside what the collector
// has not collected yet. Above Config.MaxRows it folds by ranges of keys, and reads the log once for each.
package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/projections"
)

// Config says what is rebuilt, and how.
type Config struct {
	Projections []projections.Projection
	// MaxRows is how many rows are held in memory at once; more are folded in several passes. 0: DefaultMaxRows.
	MaxRows int64
	// DryRun builds and compares, and leaves everything as it was.
	DryRun bool
	// Confirm is asked once before anything is swapped, with what was compared. Nil: yes.
	Confirm func(context.Context, Report) (bool, error)
	// Progress, if set, is told how far a phase is, a few times a second at most.
	Progress func(Progress)
	// Wait is how long rows may be behind the log before the report says so. 0: 5 s.
	Wait time.Duration
}

// DefaultMaxRows is 0.5 GB of rows.
const DefaultMaxRows = 500_000

const defaultWait = 5 * time.Second

// ErrChanged says that a stream was discarded while its read model was built: the replay has to begin again.
var ErrChanged = errors.New("a stream was discarded meanwhile, start again")

// rebuild is one replay.
type rebuild struct {
	cfg     Config
	db      *sqlx.DB
	session *sqlx.Conn
	log     *eventstore.Store
	live    string // the schema of the tables in use
	shadow  string // the schema of the new ones
	pid     int    // of the session
	models  []*model
	parts   eventstore.Parts
	at      int64 // position of the log that the new tables show
	filled  int64 // the head up to which each pass went
	passes  int
	stored  bool // the rows are in the new tables, which have their keys, and not in memory
	begun   time.Time

	telling sync.Mutex
	told    time.Time // when progress was last told
}

// model is a read model that is rebuilt.
type model struct {
	projections.Definition
	projection projections.Projection
	build      *projections.Build
	out        map[string]int64 // discarded streams
	tables     []*table
	ahead      int64 // of the others, by what was folded under its lock; 0: it is where they are
	found      ReadModel
}

// Run builds read models anew and swaps them, each in a transaction of its own on session. That is the session
// that holds the caller's lock, so whoever has lost the lock swaps nothing. It works as the owner of the tables.
// Errors: ErrChanged, *DependentsError, faults; the tables in use are as they were, but for those that the report
// calls swapped.
func Run(ctx context.Context, db *sqlx.DB, session *sqlx.Conn, cfg Config) (report Report, err error) {
	if cfg.MaxRows <= 0 {
		cfg.MaxRows = DefaultMaxRows
	}
	if cfg.Wait == 0 {
		cfg.Wait = defaultWait
	}
	r := &rebuild{cfg: cfg, db: db, session: session, log: eventstore.New(db, eventstore.Config{}), begun: time.Now()}
	if err := r.prepare(ctx); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.clearUp(ctx)) }()
	if err := r.fill(ctx); err != nil {
		return r.report(), err
	}
	if err := r.catchUp(ctx); err != nil {
		return r.report(), err
	}
	if err := r.compare(ctx); err != nil {
		return r.report(), err
	}
	if !cfg.DryRun && cfg.Confirm != nil {
		yes, err := cfg.Confirm(ctx, r.report())
		if err != nil || !yes {
			return r.report(), err
		}
	}
	for i, m := range r.models {
		r.progress(Progress{Phase: Swapping, Done: int64(i), Total: int64(len(r.models)), Unit: unitReadModels}, true)
		if err := r.finish(ctx, m); err != nil {
			return r.report(), fmt.Errorf("swap %s: %w", m.Name, err)
		}
	}
	r.progress(Progress{Phase: Swapping, Done: int64(len(r.models)), Total: int64(len(r.models)), Unit: unitReadModels}, true)
	return r.report(), nil
}

// prepare finds the tables in use and makes empty ones beside them.
func (r *rebuild) prepare(ctx context.Context) error {
	discarded, err := projections.DiscardedIn(ctx, r.db)
	if err != nil {
		return err
	}
	if err := r.session.GetContext(ctx, &r.pid, `SELECT pg_backend_pid()`); err != nil {
		return err
	}
	if err := r.db.GetContext(ctx, &r.live, `SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = 'checkpoints'::regclass`); err != nil {
		return fmt.Errorf("find the read models' schema: %w", err)
	}
	r.shadow = r.live + "_replay"
	for _, p := range r.cfg.Projections {
		d := p.Definition()
		m := &model{Definition: d, projection: p, out: discarded[d.Name], found: ReadModel{Projection: d.Name}}
		m.build = projections.NewBuild(p, r.log, m.out)
		switch {
		case len(d.Types) > 0:
			r.parts.Types = append(r.parts.Types, d.Types...)
		case d.Prefix != "":
			r.parts.Prefixes = append(r.parts.Prefixes, d.Prefix)
		default:
			r.parts.All = true
		}
		for _, name := range d.Tables {
			t, err := r.describe(ctx, name)
			if err != nil {
				return err
			}
			m.tables = append(m.tables, t)
		}
		r.models = append(r.models, m)
	}
	return r.makeShadows(ctx)
}

func (r *rebuild) report() Report {
	took := time.Since(r.begun)
	report := Report{
		Head: r.at, Events: int64(r.passes)*r.filled + r.at - r.filled, Passes: r.passes, Took: took, Seconds: took.Seconds(),
		EventsPerSecond: float64(r.at) / took.Seconds(), DryRun: r.cfg.DryRun, ReadModels: []ReadModel{},
	}
	for _, m := range r.models {
		found := m.found
		found.Tables = []Table{}
		for _, t := range m.tables {
			found.Tables = append(found.Tables, t.found)
		}
		for _, p := range m.build.Parked() {
			found.Parked = append(found.Parked, Parked{p.Stream, p.Version, p.Reason})
		}
		report.ReadModels = append(report.ReadModels, found)
	}
	return report
}

// progressEvery is how often a phase is told at most.
const progressEvery = 200 * time.Millisecond

func (r *rebuild) progress(p Progress, always bool) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if now := time.Now(); r.cfg.Progress != nil && (always || now.Sub(r.told) >= progressEvery) {
		r.told = now
		r.cfg.Progress(p)
	}
}
