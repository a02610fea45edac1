package verify

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Limits of an auditor.
const (
	auditEvery    = time.Second            // between two looks
	auditTimeout  = 10 * time.Second       // of the statements of one transaction together
	auditRest     = 100 * time.Millisecond // at most, between two pages
	auditFailures = time.Minute            // how often the same failure is told
	auditEvents   = 500                    // of one page; more where one append is larger
	auditStreams  = 200_000                // streams in memory: beyond, all but the shows are forgotten
	auditShows    = 4_000                  // shows in memory: beyond, all are forgotten
)

// AuditConfig says how an auditor works.
type AuditConfig struct {
	// Log takes an error line for each violation. nil: slog.Default.
	Log *slog.Logger
	// Every is the time between two looks at the log. 0: 1 s.
	Every time.Duration

	streams int           // limit; 0: auditStreams
	late    time.Duration // 0: sweepLate
	past    time.Duration // 0: pastTime
}

// Auditor follows the head of the log and judges every append, and the rows of the read models that it touched;
// beside that it goes over the rows of all orders, shows and open items, slowly, round and round. It begins at the head as it
// is when it starts. What the fold needs of the past is read when it is first touched, so its memory is bounded and
// a start costs nothing, however long the log is. What was wrong before is for Run, the verification, to find.
//
// It takes transactions that may only read. Any number of auditors may follow one log.
type Auditor struct {
	cfg  AuditConfig
	open opener

	// What follows belongs to Run's goroutine.
	pass     *pass               // nil: not begun
	tail     []byte              // the stored hash at its position; nil: nothing to know the log by
	caughtUp bool                // at the head, when it was last looked at
	loaded   map[string]struct{} // streams whose past is in the fold
	opaque   map[string]struct{} // streams of orders and shows with events that this program does not know
	outlines map[string]*outline // of shows whose past is being read
	named    []string            // streams whose past is still to be read
	touched  queue               // rows to be compared
	sweeps   sweeps
	findings ledger
	failures map[string]time.Time // when a kind of failure was last told

	mu     sync.Mutex
	status AuditStatus
}

// AuditStatus is how far an auditor has come, and what it found.
type AuditStatus struct {
	Begun      int64          // position at which it began
	Position   int64          // up to here all was judged
	Time       time.Time      // of the event there
	Head       int64          // position of the log's head when it was last looked at
	CaughtUpAt time.Time      // when it was last at the head, by the process' clock; zero: never
	Violations map[Kind]int64 // every kind of AuditKinds is in it
	Last       Finding        // the newest violation
	LastAt     time.Time      // when that was found; zero: there is none
	Unknown    int64          // events of types or schema versions that this program does not know
	Rows       int64          // comparisons of a row that found it equal to the log
	Rounds     int64          // times that the rows of all orders were gone over
	Behind     int64          // rows of orders, shows and open items that were long behind or missing in the last rounds, but parked or discarded ones
}

// AuditKinds are the kinds of findings that an auditor has.
func AuditKinds() []Kind {
	return []Kind{
		KindPosition, KindVersion, KindTime, KindHash, KindHead, KindEvent, KindCapacity, KindTotals, KindHold, KindOrder,
		KindStatus, KindMoney, KindRefund, KindTickets, KindOpenItem, KindRow,
	}
}

// NewAuditor makes an auditor of the log and the read models in db. One connection is enough for it.
func NewAuditor(db *sqlx.DB, cfg AuditConfig) *Auditor { return newAuditor(readOnly(db), cfg) }

func newAuditor(open opener, cfg AuditConfig) *Auditor {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Every == 0 {
		cfg.Every = auditEvery
	}
	if cfg.streams == 0 {
		cfg.streams = auditStreams
	}
	if cfg.late == 0 {
		cfg.late = sweepLate
	}
	if cfg.past == 0 {
		cfg.past = pastTime
	}
	a := &Auditor{cfg: cfg, open: open, outlines: map[string]*outline{}, failures: map[string]time.Time{}}
	a.status.Violations = map[Kind]int64{}
	for _, kind := range AuditKinds() {
		a.status.Violations[kind] = 0
	}
	return a
}

// Run audits until ctx ends, and then returns nil. While the database is away it waits, and goes on where it was.
func (a *Auditor) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		a.look(ctx)
		timer.Reset(a.cfg.Every)
	}
}

// Status tells how far it is. It may be called from any goroutine.
func (a *Auditor) Status() AuditStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.status
	s.Violations = maps.Clone(s.Violations)
	return s
}

// look reads rows that were touched, then the log up to its head, which must have made those rows by then, and
// then a few rows of the round. It reports whether all of it could be read.
func (a *Auditor) look(ctx context.Context) bool {
	ok := true
	if a.caughtUp {
		ok = a.worked(ctx, "the rows of read models could not be read", a.open(ctx, a.compareTouched))
	}
	ok = a.worked(ctx, "the log could not be read", a.follow(ctx)) && ok
	if a.caughtUp && a.sweeps.due() {
		ok = a.worked(ctx, "the round over the read models could not go on", a.sweep(ctx)) && ok
	}
	return ok
}

// worked tells a failure now and then: while the database is away every look fails.
func (a *Auditor) worked(ctx context.Context, what string, err error) bool {
	if err != nil && ctx.Err() == nil && time.Since(a.failures[what]) >= auditFailures {
		a.failures[what] = time.Now()
		a.cfg.Log.WarnContext(ctx, "auditor: "+what, "error", err)
	}
	return err == nil
}

// publish shows how far it is.
func (a *Auditor) publish(head int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.status
	s.Position, s.Time, s.Head = a.pass.position, a.pass.at.UTC(), head
	if a.caughtUp {
		s.CaughtUpAt = time.Now()
	}
}
