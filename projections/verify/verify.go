// Package verify proves from the log that Boxoffice kept its promises, and that the read models and the
// topics say what the log says.
//
// It folds the log with small structs of its own and shares no rule with the packages it judges: what
// they get wrong, it must not get wrong in the same way. It reads keyset pages, each in a transaction of
// its own, so it holds no snapshot while it runs and may run beside a service that sells.
//
// Memory: about 280 bytes per order with its payments, 12 more per event when topics are compared, and
// what differs. A million orders, which are six million events or more, take about 280 MB, or 360 MB with topics.
package verify

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Limits of a verification.
const (
	MaxFindings = 1000             // findings that a report lists; more are only counted
	pageEvents  = 1000             // events of one read
	pageRows    = 1000             // rows of one read
	defaultWait = 10 * time.Second // for read models and topics that are behind
	pollEvery   = 100 * time.Millisecond
)

// Config says what is compared with the log beyond the log itself.
type Config struct {
	// Wait is how long rows and topics may be behind the log before that is a finding. 0: 10 s.
	Wait time.Duration
	// Topics reads the topics; nil: they are not looked at.
	Topics TopicReader
	// Kept is what an earlier verification told of the log's end; nil: nothing was kept.
	Kept *Kept
	// Progress, if set, is told after each page how far the log was read, and how far it goes.
	Progress func(position, head int64)
	// Comparing, if set, is told how far the rows of a table or the messages of the topics were compared after that.
	Comparing func(what string, done, total int64)

	// parked reads what is parked; nil: nothing is.
	parked func(context.Context) ([]mark, error)
}

// Report is what a verification found.
type Report struct {
	Head     Head           `json:"head"` // the log's end as far as it was folded
	Events   int64          `json:"events"`
	Shows    int64          `json:"shows"`
	Orders   int64          `json:"orders"`
	Payments int64          `json:"payments"`
	Held     int64          `json:"held"` // tickets of live holds
	Sold     int64          `json:"sold"` // tickets that are sold and not returned
	Money    []Balance      `json:"money"`
	Rows     map[string]int `json:"rows"` // rows equal to the log, by table
	// Discarded are streams that operators have given up for a read model, which is no finding.
	Discarded []Discarded `json:"discarded,omitempty"`
	Topics    *Topics     `json:"topics,omitempty"`  // nil when the topics were not looked at
	Foreign   []Foreign   `json:"foreign,omitempty"` // the first MaxForeign of them
	Kept      *Head       `json:"kept,omitempty"`    // what was kept and is still so; nil when nothing was, or it differs
	// Promises are what was proved, and what was found broken.
	Promises []Promise      `json:"promises"`
	Found    int64          `json:"found"`           // number of findings
	Kinds    map[Kind]int64 `json:"kinds,omitempty"` // of each kind
	Findings []Finding      `json:"findings"`        // the first MaxFindings of them

	Seconds         float64 `json:"seconds"`         // that all took, waiting included
	EventsPerSecond float64 `json:"eventsPerSecond"` // read and folded, before anything was compared
}

// Head is the end of the log.
type Head struct {
	Position int64     `json:"position"`
	Time     time.Time `json:"time"`
	Hash     string    `json:"hash"` // hexadecimal
}

// Balance is the money of one currency, in its smallest unit: Settled = Sold + Refunds, and Open beside it.
type Balance struct {
	Currency string `json:"currency"`
	Settled  int64  `json:"settled"` // money that came and fitted its payment
	Sold     int64  `json:"sold"`    // value of tickets sold and not returned
	Refunds  int64  `json:"refunds"` // refunds requested, whatever became of them
	Open     int64  `json:"open"`    // mismatched and unmatched money that no operator has resolved
}

// Topics is what was read of the topics.
type Topics struct {
	Messages int64 `json:"messages"` // events of the log
	Repeats  int64 `json:"repeats"`  // delivered more than once, which is allowed
	Foreign  int64 `json:"foreign"`  // messages that are no events of the log, which is no finding
}

// Kind names what a finding is about.
type Kind string

// The kinds of findings.
const (
	KindPosition Kind = "position"  // positions are not 1, 2, 3 …
	KindVersion  Kind = "version"   // versions of a stream are not 1, 2, 3 …
	KindTime     Kind = "time"      // time runs backwards
	KindHash     Kind = "hash"      // stored bytes are not those that were hashed
	KindHead     Kind = "head"      // log_head is not the end of the log
	KindEvent    Kind = "event"     // an event can't be read, is unknown, or stands in a stream it does not belong to
	KindCapacity Kind = "capacity"  // not 0 ≤ held + sold ≤ capacity
	KindTotals   Kind = "totals"    // an event's totals are not what its members make
	KindHold     Kind = "hold"      // a hold ended twice, or is not its order's
	KindOrder    Kind = "order"     // an order has not the hold and lines that its status asks for, or shows a payment of another
	KindStatus   Kind = "status"    // a status moved where it may not
	KindMoney    Kind = "money"     // settled money is not tickets and refunds
	KindRefund   Kind = "refund"    // a refund ended twice, was not asked for, or is not what its order tells
	KindTickets  Kind = "tickets"   // tickets issued are not those bought, or are those of another order
	KindOpenItem Kind = "open-item" // an open item is resolved twice, or was never opened
	KindRow      Kind = "row"       // a read model's row differs from the log, is missing or is too many
	KindBehind   Kind = "behind"    // a read model or topic did not reach the log in time
	KindParked   Kind = "parked"    // a read model can't go on with a stream: see boxoffice dlq
	KindKept     Kind = "kept"      // the log has not the hash that was kept of it
	KindTopic    Kind = "topic"     // a topic's message differs from the log, stands in a wrong topic or out of order
)

// Finding is one thing that is not as promised.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Key      string   `json:"key"`                // stream, table and row, or topic
	Position int64    `json:"position,omitempty"` // of the event at which it shows; 0 if none
	Columns  []string `json:"columns,omitempty"`  // of a row: those that differ
	Detail   string   `json:"detail"`
}

// Ok reports whether nothing was found.
func (r Report) Ok() bool { return r.Found == 0 }

// Run verifies the log in db, the read models beside it and, if asked, the topics. An error means that
// it could not be judged; what is wrong is in the report.
func Run(ctx context.Context, db *sqlx.DB, cfg Config) (Report, error) {
	cfg.parked = parkedIn(db)
	return run(ctx, postgresLog{db}, readModels(db), cfg)
}

func run(ctx context.Context, log reader, models []model, cfg Config) (Report, error) {
	if cfg.Wait == 0 {
		cfg.Wait = defaultWait
	}
	begun := time.Now()
	ahead := &prefetch{reader: log}
	defer ahead.wait()
	p := newPass(ahead, cfg)
	if err := p.advance(ctx); err != nil {
		return Report{}, err
	}
	read := max(time.Since(begun), time.Microsecond)
	if err := p.compareKept(ctx); err != nil {
		return Report{}, err
	}
	events := p.events
	for _, m := range models {
		c := comparison{pass: p, model: m, wait: cfg.Wait}
		if err := c.run(ctx); err != nil {
			return Report{}, fmt.Errorf("compare %s with the log: %w", m.table(), err)
		}
	}
	if err := p.tellParked(ctx); err != nil {
		return Report{}, err
	}
	if cfg.Topics != nil {
		if err := compareTopics(ctx, p, cfg); err != nil {
			return Report{}, err
		}
	}
	r := p.report()
	r.Seconds, r.EventsPerSecond = time.Since(begun).Seconds(), float64(events)/read.Seconds()
	return r, nil
}

// reader reads the log as it is stored. It asserts nothing: what is wrong is to be found, not refused.
type reader interface {
	head(ctx context.Context) (eventstore.Head, error)
	// page reads events after a position.
	page(ctx context.Context, after int64, limit int) ([]eventstore.Recorded, error)
	// stream reads events of a stream after a version.
	stream(ctx context.Context, name string, after int64, limit int) ([]eventstore.Recorded, error)
}

// findings gathers what is wrong.
type findings struct {
	count   int64
	list    []Finding
	kinds   map[Kind]int64   // how many there are of each
	against map[string]int64 // how many there are against each promise
}

func (f *findings) add(kind Kind, key string, position int64, format string, args ...any) {
	f.more(kind, key, 1)
	if len(f.list) < MaxFindings {
		f.list = append(f.list, Finding{Kind: kind, Key: key, Position: position, Detail: fmt.Sprintf(format, args...)})
	}
}

// more counts findings that are not listed.
func (f *findings) more(kind Kind, key string, n int64) {
	if f.kinds == nil {
		f.kinds, f.against = map[Kind]int64{}, map[string]int64{}
	}
	f.count += n
	f.kinds[kind] += n
	f.against[promiseOf(kind, key)] += n
}

// addRow adds a row that differs from what the log makes at the same version.
func (f *findings) addRow(r row, columns []string, detail string) {
	f.add(KindRow, r.name(), 0, "version %d: %s", r.version, detail)
	if f.count <= MaxFindings {
		f.list[len(f.list)-1].Columns = columns
	}
}

func (p *pass) report() Report {
	r := Report{
		Head:   Head{p.position, p.at.UTC(), hex.EncodeToString(p.hash)},
		Events: p.events, Shows: int64(len(p.fold.shows)), Orders: int64(p.fold.orders.count()),
		Payments: int64(p.fold.payments.count()), Rows: p.rows, Topics: p.topics, Foreign: p.foreign, Kept: p.kept,
		Promises: p.promises(), Found: p.found.count, Kinds: p.found.kinds, Findings: p.found.list,
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	for _, s := range p.fold.shows {
		for i := range s.types {
			r.Held += s.types[i].Held
			r.Sold += s.types[i].Sold
		}
	}
	r.Money = p.fold.balances()
	r.Discarded = slices.SortedFunc(maps.Values(p.fold.discarded), func(a, b Discarded) int {
		return cmp.Or(cmp.Compare(a.Projection, b.Projection), cmp.Compare(a.Stream, b.Stream))
	})
	return r
}
