package verify

import (
	"context"
	"math"
	"syscall"
	"testing"
	"time"

	"boxoffice/projections/logtest"
)

// BenchmarkAuditor measures what it costs to follow a log that is there already, from its tenth part on, and what a
// step of the rounds costs: processor time of this process alone.
func BenchmarkAuditor(b *testing.B) {
	db := empty(b)
	logtest.Write(b, db, logtest.Plan{Events: *logEvents})
	project(b, db, math.MaxInt64)
	if _, err := db.ExecContext(b.Context(), `VACUUM (ANALYZE)`); err != nil {
		b.Fatal(err)
	}
	var start int64
	if err := db.GetContext(b.Context(), &start, `SELECT max(position) FROM events WHERE position <= $1 AND hash IS NOT NULL`, *logEvents/10); err != nil {
		b.Fatal(err)
	}
	before := logtest.LiveHeap()
	a := auditingIn(db)
	sound := a.open
	a.open = func(ctx context.Context, fn func(context.Context, source) error) error {
		return sound(ctx, func(ctx context.Context, s source) error {
			s.reader = &shortLog{reader: s.reader, stop: start}
			return fn(ctx, s)
		})
	}
	if err := a.follow(b.Context()); err != nil {
		b.Fatal(err)
	}
	a.open = sound
	cpu, begun := processorTime(b), time.Now()
	if err := a.follow(b.Context()); err != nil {
		b.Fatal(err)
	}
	events := float64(a.Status().Position - start)
	b.ReportMetric(events/time.Since(begun).Seconds(), "events/s")
	b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/events, "cpu-µs/event")
	b.ReportMetric(float64(logtest.LiveHeap()-before)/float64(len(a.loaded)), "B/stream")
	cpu, begun = processorTime(b), time.Now()
	steps := 0
	for ; a.Status().Rounds == 0; steps++ {
		if err := a.sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/float64(steps), "cpu-µs/step")
	b.ReportMetric(float64(time.Since(begun).Microseconds())/float64(steps), "µs/step")
	b.ReportMetric(float64(steps), "steps")
	b.ReportMetric(0, "ns/op")
	expects(b, a, nil)
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
