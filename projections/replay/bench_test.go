package replay_test

import (
	"database/sql"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/replay"
)

var logEvents = flag.Int("log.events", 100_000, "events of the log that benchmarks measure on")

// BenchmarkReplay measures replays on one log, on a server with durable settings:
//
//	go test -run '^$' -bench Replay -benchtime 5x ./projections/replay -args -log.events 1000000
//
// What is compared is measured in turns, and the median of the rounds counts.
func BenchmarkReplay(b *testing.B) {
	w := newLogWorld(b)
	w.fill(b) // the tables in use have rows to be compared with, as in service
	b.Run("beside a raw read", w.besideARawRead)
	b.Run("memory", w.memory)
	b.Run("beside a transaction per event", w.besideSingles)
	b.Run("catching up", w.catchingUp)
}

// logWorld is a big log on a server of its own.
type logWorld struct {
	db  *sqlx.DB
	log logtest.Written
}

func newLogWorld(b *testing.B) *logWorld {
	b.Helper()
	db := pool(b, devstack.OwnPostgres(b, map[string]string{"max_wal_size": "4GB"}).URL)
	w := &logWorld{db: db, log: logtest.Write(b, db, logtest.Plan{Events: *logEvents})}
	w.settled(b)
	b.Logf("%d events and %d orders were written in %s", w.log.Events, w.log.Placed(), w.log.Took.Round(time.Millisecond))
	return w
}

func pool(b *testing.B, url string) *sqlx.DB {
	b.Helper()
	const connections = 8
	db, err := eventstore.OpenDB(url, connections)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// settled lets the server do now what it would do at some time of its own.
func (w *logWorld) settled(b *testing.B) {
	b.Helper()
	for _, statement := range []string{`VACUUM (ANALYZE) events`, `CHECKPOINT`} {
		if _, err := w.db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// twoModels are those that the goal speaks of.
func twoModels() []projections.Projection {
	return []projections.Projection{projections.Availability(), projections.OrderStatus()}
}

// fill runs the first replay, into empty tables.
func (w *logWorld) fill(b *testing.B) {
	b.Helper()
	session, err := w.db.Connx(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	if _, err := replay.Run(b.Context(), w.db, session, replay.Config{Projections: projections.All()}); err != nil {
		b.Fatal(err)
	}
}

// replay runs a whole replay, up to and with the swap, and returns how long it took.
func (w *logWorld) replay(b *testing.B, models []projections.Projection, told func(replay.Progress)) (replay.Report, time.Duration) {
	b.Helper()
	session, err := w.db.Connx(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	begun := time.Now()
	report, err := replay.Run(b.Context(), w.db, session, replay.Config{
		Projections: models, MaxRows: 10 * replay.DefaultMaxRows, Progress: told, Wait: time.Millisecond, // nobody applies what comes meanwhile
	})
	took := time.Since(begun)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range report.ReadModels {
		for _, t := range m.Tables {
			if t.Differ+t.Surplus > 0 || !m.Swapped || report.Passes != 1 {
				b.Fatalf("%d passes, %s of %s: %+v", report.Passes, t.Table, m.Projection, t)
			}
		}
	}
	return report, took
}

// rawRead reads the log in keyset pages and does nothing with it.
func (w *logWorld) rawRead(b *testing.B, page int64) time.Duration {
	b.Helper()
	begun := time.Now()
	var position int64
	for {
		after := position
		if position = w.rawPage(b, after, page); position < after+page {
			break
		}
	}
	if position < w.log.Head.Position {
		b.Fatalf("%d events were read of %d", position, w.log.Head.Position)
	}
	return time.Since(begun)
}

// rawPage reads a page and returns the position of its last event.
func (w *logWorld) rawPage(b *testing.B, after, page int64) int64 {
	b.Helper()
	rows, err := w.db.QueryContext(b.Context(), `SELECT position, stream, version, type, schema_version, data, recorded_at
		FROM events WHERE position > $1 ORDER BY position LIMIT $2`, after, page)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	var version, schema int64
	var stream, kind, data sql.RawBytes
	var at time.Time
	for rows.Next() {
		if err := rows.Scan(&after, &stream, &version, &kind, &schema, &data, &at); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return after
}

func (w *logWorld) besideARawRead(b *testing.B) {
	const page, largePage = 5_000, 20_000
	var raw, best, two, all, twoOfRaw, twoOfBest, allOfRaw, allOfBest rounds
	for b.Loop() {
		five, twenty := w.rawRead(b, page), w.rawRead(b, largePage)
		_, tookTwo := w.replay(b, twoModels(), nil)
		_, tookAll := w.replay(b, projections.All(), nil)
		quicker := min(five, twenty)
		raw, best, two, all = append(raw, w.rate(five)), append(best, w.rate(quicker)), append(two, w.rate(tookTwo)), append(all, w.rate(tookAll))
		twoOfRaw, twoOfBest = append(twoOfRaw, ratio(five, tookTwo)), append(twoOfBest, ratio(quicker, tookTwo))
		allOfRaw, allOfBest = append(allOfRaw, ratio(five, tookAll)), append(allOfBest, ratio(quicker, tookAll))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(raw.median(), "raw-events/s")
	b.ReportMetric(best.median(), "best-raw-events/s")
	b.ReportMetric(two.median(), "two-models-events/s")
	b.ReportMetric(all.median(), "all-models-events/s")
	b.ReportMetric(twoOfRaw.median(), "two/raw")
	b.ReportMetric(twoOfBest.median(), "two/best-raw")
	b.ReportMetric(allOfRaw.median(), "all/raw")
	b.ReportMetric(allOfBest.median(), "all/best-raw")
}

// rate is events of the log a second.
func (w *logWorld) rate(took time.Duration) float64 {
	return float64(w.log.Head.Position) / took.Seconds()
}

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }

// rounds are what was measured, once in each round.
type rounds []float64

func (r rounds) median() float64 {
	sorted := slices.Sorted(slices.Values(r))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
