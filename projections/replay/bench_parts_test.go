package replay_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/replay"
)

// memory tells what a replay needs at most, and what its rows need by themselves.
func (w *logWorld) memory(b *testing.B) {
	var peak, rows int64
	for b.Loop() {
		before := logtest.LiveHeap()
		peak = max(peak, logtest.PeakHeap(func() { w.replay(b, projections.All(), nil) })-before)
		var once sync.Once
		report, _ := w.replay(b, []projections.Projection{projections.OrderStatus()}, func(p replay.Progress) {
			if p.Phase == replay.Writing {
				once.Do(func() { rows = logtest.LiveHeap() - before })
			}
		})
		rows /= report.ReadModels[0].Tables[0].Rows
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(float64(rows), "live-B/order")
	b.ReportMetric(float64(peak)/float64(w.log.Placed()), "peak-B/order")
}

// besideSingles compares with a consumer that has a transaction for each event: row read, folded and written,
// checkpoint moved, committed.
func (w *logWorld) besideSingles(b *testing.B) {
	const sample = 5_000 // events
	db := pool(b, devstack.OwnPostgres(b, nil).URL)
	log := logtest.Write(b, db, logtest.Plan{Events: sample})
	events, err := eventstore.New(db, eventstore.Config{}).ReadAll(b.Context(), 0, int(log.Events))
	if err != nil {
		b.Fatal(err)
	}
	singles := func(commit string) float64 {
		s := singles{db: db, commit: commit}
		s.empty(b)
		begun := time.Now()
		for _, e := range events {
			s.add(b, e)
		}
		return float64(len(events)) / time.Since(begun).Seconds()
	}
	var durable, lazy, ofDurable, ofLazy rounds
	for b.Loop() {
		_, took := w.replay(b, twoModels(), nil)
		on, off := singles("on"), singles("off")
		durable, lazy = append(durable, on), append(lazy, off)
		ofDurable, ofLazy = append(ofDurable, w.rate(took)/on), append(ofLazy, w.rate(took)/off)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(durable.median(), "single-events/s")
	b.ReportMetric(lazy.median(), "single-lazy-events/s")
	b.ReportMetric(ofDurable.median(), "two/single")
	b.ReportMetric(ofLazy.median(), "two/single-lazy")
}

// singles folds event by event into two read models.
type singles struct {
	db     *sqlx.DB
	commit string // synchronous_commit
}

func (s singles) empty(b *testing.B) {
	b.Helper()
	for _, statement := range []string{
		`TRUNCATE order_status, availability, shows, ticket_types`,
		`INSERT INTO checkpoints (name, topic, partition) VALUES ('singles', '', 0) ON CONFLICT DO NOTHING`,
	} {
		if _, err := s.db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// add folds an event into the model that it feeds. One that feeds none costs nothing, not even a checkpoint.
func (s singles) add(b *testing.B, e eventstore.Recorded) {
	b.Helper()
	for _, p := range twoModels() {
		key, feeds, err := p.Key(e)
		if err != nil {
			b.Fatal(err)
		}
		if !feeds {
			continue
		}
		tx, err := s.db.BeginTxx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if s.commit != "on" {
			if _, err := tx.ExecContext(b.Context(), `SET LOCAL synchronous_commit = `+s.commit); err != nil {
				b.Fatal(err)
			}
		}
		rows := p.Rows()
		if err := rows.Load(b.Context(), tx, []string{key}); err != nil {
			b.Fatal(err)
		}
		if _, err := rows.Fold(key, e); err != nil {
			b.Fatal(err)
		}
		if err := rows.Save(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
		if _, err := tx.ExecContext(b.Context(), `UPDATE checkpoints SET position = $1 WHERE name = 'singles'`, e.Position); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// catchingUp measures the events that are appended while a replay writes what it has read. The replay stands
// still meanwhile.
func (w *logWorld) catchingUp(b *testing.B) {
	var rates rounds
	for b.Loop() {
		var from, to int64
		var begun, ended time.Time
		var once sync.Once
		w.replay(b, twoModels(), func(p replay.Progress) {
			switch p.Phase {
			case replay.Reading:
				from = p.Total
			case replay.Writing:
				once.Do(func() {
					w.log.Head = logtest.Write(b, w.db, logtest.Plan{Events: *logEvents / 4, Seed: uint64(len(rates)) + 1}).Head
				})
			case replay.Indexing:
				begun = time.Now() // the last time it is told counts
			case replay.Catching:
				to, ended = p.Done, time.Now()
			}
		})
		if from == 0 || to < w.log.Head.Position*9/10 || !ended.After(begun) {
			b.Fatalf("it went from %d to %d of %d in %s", from, to, w.log.Head.Position, ended.Sub(begun))
		}
		rates = append(rates, float64(to-from)/ended.Sub(begun).Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rates.median(), "tail-events/s")
}
