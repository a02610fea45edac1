package eventstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

var errBroker = errors.New("the broker is away")

// broker is a broker in memory whose publishers may fail.
type broker struct {
	t *testing.T
	// fail is asked before every message; an error ends the publisher, with what came before it written.
	fail func() error

	mu     sync.Mutex
	topics map[string][]int64 // positions, as they were written
	opened int
	open   int
	calls  int
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	return &broker{t: t, topics: map[string][]int64{}, fail: func() error { return nil }}
}

type brokerPublisher struct {
	*broker
	ended bool
}

func (b *broker) Open() (message.Publisher, error) {
	if err := b.fail(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	b.open++
	return &brokerPublisher{broker: b}, nil
}

func (p *brokerPublisher) Publish(topic string, messages ...*message.Message) error {
	if p.ended {
		p.t.Error("a publisher is used after its first error")
	}
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	for _, m := range messages {
		if err := p.fail(); err != nil {
			p.ended = true
			return err
		}
		e, err := eventstore.FromMessage(m)
		if err != nil {
			p.t.Error(err)
		}
		p.mu.Lock()
		p.topics[topic] = append(p.topics[topic], e.Position)
		p.mu.Unlock()
	}
	return nil
}

func (p *brokerPublisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broker.open--
	return nil
}

// whole reports whether every position up to head is in its topic, first occurrences in order.
func (b *broker) whole(head int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []int64
	for topic, positions := range b.topics {
		var last int64
		seen := map[int64]bool{}
		for _, p := range positions {
			if seen[p] {
				continue
			}
			if p < last {
				return fmt.Errorf("%s: position %d comes first after %d", topic, p, last)
			}
			seen[p], last = true, p
			all = append(all, p)
		}
	}
	slices.Sort(all)
	for i, p := range all {
		if p != int64(i)+1 {
			return fmt.Errorf("position %d is missing", i+1)
		}
	}
	if int64(len(all)) != head {
		return fmt.Errorf("%d positions of %d", len(all), head)
	}
	return nil
}

// routeByStream gives shows and orders a topic each.
func routeByStream(e eventstore.Recorded) ([]eventstore.Routed, error) {
	topic := "orders"
	if e.Stream[0] == 's' {
		topic = "shows"
	}
	return []eventstore.Routed{{Topic: topic, Message: eventstore.ToMessage(e)}}, nil
}

// logWriter appends events to one show and many orders.
type logWriter struct {
	t     testing.TB
	store *eventstore.Store
	head  eventstore.Head
	show  int64
	order int
}

// write appends one batch of n events.
func (w *logWriter) write(n int, data string) {
	w.t.Helper()
	batch := eventstore.Batch{Head: w.head, Time: w.head.Time}
	add := func(stream string, version int64) {
		batch.Events = append(batch.Events, eventstore.Event{
			Stream: stream, Version: version, Type: "Tested", SchemaVersion: 1,
			Data: json.RawMessage(data), Metadata: json.RawMessage(`{"batch":"b"}`),
		})
	}
	w.show++
	add("show-1", w.show)
	for range n - 1 {
		w.order++
		add(fmt.Sprintf("order-%d", w.order), 1)
	}
	var err error
	if w.head, err = w.store.Append(w.t.Context(), batch); err != nil {
		w.t.Fatalf("append: %v", err)
	}
}

type relayTest struct {
	*testing.T
	store  *eventstore.Store
	db     *sqlx.DB
	writer *logWriter
	broker *broker
}

func newRelayTest(t *testing.T) *relayTest {
	t.Helper()
	pg := devstack.Postgres(t)
	db, err := eventstore.OpenDB(pg.URL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &relayTest{T: t, store: store, db: db, writer: &logWriter{t: t, store: store, head: head}, broker: newBroker(t)}
}

// start runs a relay; the returned function stops it and waits for it.
func (t *relayTest) start(cfg eventstore.RelayConfig) (relay *eventstore.Relay, stop func()) {
	t.Helper()
	relay = eventstore.NewRelay(t.store, t.broker.Open, routeByStream, cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(stop)
	return relay, stop
}

func (t *relayTest) eventually(what string, holds func() bool) {
	t.Helper()
	const limit = 30 * time.Second
	for deadline := time.Now().Add(limit); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// caughtUp waits until nothing is left to publish, and then judges what was published.
func (t *relayTest) caughtUp(relay *eventstore.Relay) {
	t.Helper()
	t.eventually("the relay is at the head", func() bool {
		lag, err := relay.Lag(t.Context())
		return err == nil && lag == 0
	})
	if err := t.broker.whole(t.writer.head.Position); err != nil {
		t.Error(err)
	}
}

// killHolder ends the connection that holds the relay's lock.
func (t *relayTest) killHolder() (killed int) {
	t.Helper()
	err := t.db.GetContext(t.Context(), &killed, `SELECT count(pg_terminate_backend(pid)) FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		t.Fatal(err)
	}
	return killed
}

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
		if r.broker.opened != 1 || r.broker.open != 0 || relay.Active() {
			t.Errorf("opened %d publishers, %d are open, active %v", r.broker.opened, r.broker.open, relay.Active())
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
		faults.Store(30)
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
		if r.broker.opened < 5 {
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
		var once sync.Once
		r.broker.fail = func() error {
			once.Do(func() {
				close(held)
				<-release
			})
			return nil
		}
		first, _ := r.start(eventstore.RelayConfig{})
		r.eventually("it is active", first.Active)
		r.broker.mu.Lock()
		opened := r.broker.opened
		r.broker.mu.Unlock()
		_ = opened
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
