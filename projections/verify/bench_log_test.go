package verify

import (
	"context"
	options "flag"
	"math"
	"testing"
	"time"

	"boxoffice/projections/logtest"
)

var logEvents = options.Int("log.events", 100_000, "events of the log that benchmarks measure on")

// BenchmarkLog measures time and memory of a verification of one log, without and with its read models:
//
//	go test -run '^$' -bench Log ./projections/verify -args -log.events 1000000
func BenchmarkLog(b *testing.B) {
	db := empty(b)
	log := logtest.Write(b, db, logtest.Plan{Events: *logEvents})
	project(b, db, math.MaxInt64)
	if _, err := db.ExecContext(b.Context(), `VACUUM (ANALYZE)`); err != nil {
		b.Fatal(err)
	}
	measure := func(verified func(context.Context, Config) (Report, error)) func(b *testing.B) {
		return func(b *testing.B) {
			var peak, live int64
			var took time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				for _, weigh := range []bool{false, true} { // looking at the heap takes time
					before, begun := logtest.LiveHeap(), time.Now()
					cfg := Config{}
					if weigh {
						cfg.Progress = func(position, head int64) {
							if position == head {
								live = logtest.LiveHeap() - before
							}
						}
					}
					verify := func() {
						r, err := verified(b.Context(), cfg)
						if err != nil || !r.Ok() || r.Events != log.Events {
							b.Errorf("%d events of %d, %d findings, %v", r.Events, log.Events, r.Found, err)
						}
					}
					if weigh {
						peak = max(peak, logtest.PeakHeap(verify)-before)
						continue
					}
					verify()
					took += time.Since(begun)
				}
			}
			orders, events := float64(log.Placed()), float64(log.Events)*float64(rounds)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds()/float64(rounds), "s/run")
			b.ReportMetric(events/took.Seconds(), "events/s")
			b.ReportMetric(float64(live)/orders, "live-B/order")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		}
	}
	b.Run("without read models", measure(func(ctx context.Context, cfg Config) (Report, error) {
		return run(ctx, postgresLog{db}, nil, cfg)
	}))
	b.Run("with read models", measure(func(ctx context.Context, cfg Config) (Report, error) { return Run(ctx, db, cfg) }))
}
