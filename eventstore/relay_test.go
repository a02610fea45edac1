package eventstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/eventstore"
)

var errBroker = errors.New("the broker is away")

func TestRelay(t *testing.T) {
	t.Parallel()

	t.Run("publishes what is there and what comes, in order, and closes its publisher", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		for range 10 {
			r.writer.write(100, `{}`)
		}
		relay, stop := r.start(eventstore.RelayConfig{})
		for range 50 {
			r.writer.write(3, `{}`)
		}
		r.caughtUp(relay)
		if relay.Position() != r.writer.head.Position || !relay.Active() {
			t.Errorf("position %d of %d, active %v", relay.Position(), r.writer.head.Position, relay.Active())
		}
		stop()
		if r.broker.opened != 1 || r.broker.living != 0 || relay.Active() {
			t.Errorf("opened %d publishers, %d are open, active %v", r.broker.opened, r.broker.living, relay.Active())
		}
	})
	t.Run("goes on where it stopped", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		for range 5 {
			r.writer.write(20, `{}`)
			relay, stop := r.start(eventstore.RelayConfig{})
			r.caughtUp(relay)
			stop()
		}
		total := len(r.broker.topics["shows"]) + len(r.broker.topics["orders"])
		if int64(total) != r.writer.head.Position {
			t.Errorf("%d messages for %d events", total, r.writer.head.Position)
		}
	})
	t.Run("reaches the head after a burst with nobody to wake it", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		relay, _ := r.start(eventstore.RelayConfig{})
		r.eventually("it is active", relay.Active)
		other := eventstore.New(r.db, eventstore.Config{}) // another process: its appends wake nobody here
		r.writer.store = other
		for range 200 {
			r.writer.write(5, `{}`)
		}
		r.caughtUp(relay)
	})
	t.Run("limits its pages in bytes too", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		for range 30 {
			r.writer.write(1, `"`+string(slices.Repeat([]byte("x"), 500_000))+`"`)
		}
		r.writer.write(500, `{}`)
		relay, _ := r.start(eventstore.RelayConfig{})
		r.caughtUp(relay)
		if r.broker.calls < 4 { // 15 MB
			t.Errorf("published in %d calls", r.broker.calls)
		}
	})
	t.Run("a route that fails stops it and skips nothing", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		r.writer.write(10, `{}`)
		var tries atomic.Int64
		relay := eventstore.NewRelay(r.store, r.broker.Open, func(e eventstore.Recorded) ([]eventstore.Routed, error) {
			if e.Position == 5 && tries.Add(1) < 3 {
				return nil, errBroker
			}
			return routeByStream(e)
		}, eventstore.RelayConfig{Page: 4})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- relay.Run(ctx) }()
		r.caughtUp(relay)
		cancel()
		if err := <-done; err != nil || tries.Load() != 3 {
			t.Errorf("got %v after %d tries", err, tries.Load())
		}
	})
}

func TestRelayFaults(t *testing.T) {
	t.Parallel()

	t.Run("a publisher that fails at random places", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		var faults atomic.Int64
		faults.Store(12)
		r.broker.fail = func() error {
			if rand.IntN(60) == 0 && faults.Add(-1) >= 0 {
				return errBroker
			}
			return nil
		}
		relay, _ := r.start(eventstore.RelayConfig{Page: 50})
		for range 100 {
			r.writer.write(20, `{}`)
		}
		r.caughtUp(relay)
		if r.broker.opened < 3 {
			t.Errorf("only %d publishers were needed", r.broker.opened)
		}
	})
	t.Run("a broker away and back under load", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		var away atomic.Bool
		r.broker.fail = func() error {
			if away.Load() {
				return errBroker
			}
			return nil
		}
		relay, _ := r.start(eventstore.RelayConfig{})
		for i := range 300 {
			away.Store(i%100 >= 50)
			r.writer.write(4, `{}`)
		}
		if lag, err := relay.Lag(t.Context()); err != nil || lag == 0 {
			t.Errorf("lag %d, %v, while the broker is away", lag, err)
		}
		away.Store(false)
		r.caughtUp(relay)
	})
	t.Run("of two one is active, and the other takes over when its connection ends", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		first, _ := r.start(eventstore.RelayConfig{})
		second, _ := r.start(eventstore.RelayConfig{})
		one := func() bool { return first.Active() != second.Active() }
		r.eventually("one is active", one)
		for range 5 {
			r.writer.write(50, `{}`)
			r.eventually("somebody holds the lock", func() bool { return r.killHolder() == 1 })
		}
		r.caughtUp(first)
		r.eventually("one is active", one)
		if err := r.broker.whole(r.writer.head.Position); err != nil {
			t.Error(err)
		}
	})
	t.Run("a standby ends a silent holder", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		conn, err := r.db.Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.ExecContext(t.Context(), `SELECT pg_advisory_lock($1)`, int64(0x626f786f72656c79)); err != nil {
			t.Fatal(err)
		}
		r.writer.write(10, `{}`)
		relay, _ := r.start(eventstore.RelayConfig{Silence: 300 * time.Millisecond})
		r.caughtUp(relay)
	})
	t.Run("a holder that only publishes for long is not silent", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		held, release := make(chan struct{}), make(chan struct{})
		var messages atomic.Int64
		r.broker.fail = func() error {
			if messages.Add(1) == 5 { // in the middle of a batch
				close(held)
				<-release
			}
			return nil
		}
		first, _ := r.start(eventstore.RelayConfig{})
		r.eventually("it is active", first.Active)
		second, _ := r.start(eventstore.RelayConfig{Silence: 2 * time.Second})
		r.writer.write(10, `{}`)
		<-held
		<-time.After(4 * time.Second) // twice what counts as silence
		if !first.Active() || second.Active() {
			t.Error("the standby has taken over")
		}
		close(release)
		r.caughtUp(first)
	})
	t.Run("one that was overtaken while it published stops, and the order holds", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		held, release := make(chan struct{}), make(chan struct{})
		var messages atomic.Int64
		r.broker.fail = func() error {
			if messages.Add(1) == 30 {
				close(held)
				<-release
			}
			return nil
		}
		first, _ := r.start(eventstore.RelayConfig{})
		r.eventually("it is active", first.Active)
		r.writer.write(100, `{}`)
		<-held // in the middle of a batch
		second, _ := r.start(eventstore.RelayConfig{})
		r.killHolder()
		r.eventually("the other is active", second.Active)
		r.writer.write(100, `{}`)
		r.caughtUp(second)
		close(release)
		r.eventually("the first has noticed", func() bool { return !first.Active() })
		r.writer.write(100, `{}`)
		r.caughtUp(second)
	})
}
