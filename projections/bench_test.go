package projections_test

import (
	"flag"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
)

var logEvents = flag.Int("log.events", 100_000, "events of the log that benchmarks measure on")

// BenchmarkApplier measures how fast a consumer catches up from the messages of one partition, each read model by
// itself and two of them after each other, on a server with durable settings:
//
//	go test -run '^$' -bench Applier ./projections -args -log.events 1000000
//
// The messages are made while the clock stands still: Kafka and its client are not part of it.
func BenchmarkApplier(b *testing.B) {
	db, err := eventstore.OpenDB(devstack.OwnPostgres(b, map[string]string{"max_wal_size": "4GB"}).URL, 4)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	log := logtest.Write(b, db, logtest.Plan{Events: *logEvents})
	for _, p := range projections.All() {
		b.Run(p.Definition().Name, func(b *testing.B) { benchmarkCatchUp(b, db, log, p) })
	}
	b.Run("availability and order_status", func(b *testing.B) {
		benchmarkCatchUp(b, db, log, projections.Availability(), projections.OrderStatus())
	})
}

func benchmarkCatchUp(b *testing.B, db *sqlx.DB, log logtest.Written, models ...projections.Projection) {
	b.Helper()
	const batch = 1_000 // as the consumer hands over at most
	var took time.Duration
	var folded int64
	rounds := 0
	for b.Loop() {
		rounds++
		for _, p := range models {
			d := p.Definition()
			empty(b, db, d)
			a := projections.NewApplier(p, db, eventstore.New(db, eventstore.Config{}), slog.New(slog.DiscardHandler))
			if _, err := a.Start(b.Context(), d.Topic, 0, 0, 0); err != nil {
				b.Fatal(err)
			}
			eachBatch(b, db, d, batch, func(messages []projections.Message) {
				begun := time.Now()
				if err := a.Apply(b.Context(), d.Topic, 0, messages); err != nil {
					b.Fatal(err)
				}
				took += time.Since(begun)
			})
			tally := a.Tally()
			if tally.Folded == 0 || tally.Repeats+tally.Gaps+tally.Parked+tally.Foreign > 0 {
				b.Fatalf("%s: %+v", d.Name, tally)
			}
			folded += tally.Folded
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(log.Events)*float64(rounds)/took.Seconds(), "events/s")
	b.ReportMetric(float64(folded)/took.Seconds(), "folded/s")
}

// empty lets a read model begin anew.
func empty(b *testing.B, db *sqlx.DB, d projections.Definition) {
	b.Helper()
	for _, statement := range []string{
		`TRUNCATE ` + strings.Join(d.Tables, ", "),
		`DELETE FROM checkpoints WHERE topic <> ''`,
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// eachBatch makes the log's messages of a topic, as one partition would have them.
func eachBatch(b *testing.B, db *sqlx.DB, d projections.Definition, size int, take func([]projections.Message)) {
	b.Helper()
	store := eventstore.New(db, eventstore.Config{})
	var batch []projections.Message
	var after, offset int64
	for {
		events, err := store.ReadAll(b.Context(), after, eventstore.MaxPage)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			after = e.Position
			ofOrders := strings.HasPrefix(e.Stream, "order-") || strings.HasPrefix(e.Stream, "show-")
			if ofOrders != (d.Topic == projections.OrdersTopic) {
				continue
			}
			m := projections.Message{Offset: offset}
			offset++
			if strings.HasPrefix(e.Stream, d.Prefix) { // else the consumer passes over it
				m.Message = eventstore.ToMessage(e)
			}
			if batch = append(batch, m); len(batch) == size {
				take(batch)
				batch = batch[:0]
			}
		}
		if len(events) < eventstore.MaxPage {
			break
		}
	}
	if len(batch) > 0 {
		take(batch)
	}
}
