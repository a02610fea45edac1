package eventstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

// broker is a broker in memory whose publishers may fail.
type broker struct {
	t *testing.T
	// fail is asked before every message; an error ends the publisher, with what came before it written.
	fail func() error

	mu     sync.Mutex
	topics map[string][]int64 // positions, as they were written
	opened int
	living int // opened and not closed
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
	b.living++
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
	p.living--
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
