// Package storetest is what a log must hold, as tests that run on a real Postgres.
package storetest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"boxoffice/eventstore"
)

// Backend is the Postgres to test on.
type Backend struct {
	// Schema is the text of schema.sql.
	Schema string
	// Database returns the URL of a new database with the schema applied and nothing in it.
	Database func(t *testing.T) string
	// Server returns the same on a server that the test may crash and restart.
	Server func(t *testing.T) Server
	// Staller returns a command that runs Stall(url) in a process of its own.
	Staller func(t *testing.T, url string) *exec.Cmd
}

// Server is a server of one test.
type Server struct {
	URL     string
	Crash   func() error // as a power cut would
	Restart func() error // at the same address
}

const (
	patience    = 30 * time.Second // for anything that must happen at all
	pollEvery   = 5 * time.Millisecond
	connections = 6 // per store
)

// Run runs all of them.
func Run(t *testing.T, b Backend) {
	t.Helper()
	groups := []struct {
		name string
		test func(t *testing.T, b Backend)
	}{
		{"append", testAppend},
		{"refusals", testRefusals},
		{"fence", testFence},
		{"again", testAgain},
		{"turns", testTurns},
		{"ends of turns", testTurnEnds},
		{"tail", testTail},
		{"replaced", testReplaced},
		{"stalled turn", testStalled},
		{"order", testOrder},
		{"cut connections", testCuts},
		{"cut and overtaken", testCutRaces},
		{"unknown outcome", testUnknown},
		{"cut turns", testTurnCuts},
		{"crash", testCrash},
		{"append-only", testAppendOnly},
		{"tables beside", testBeside},
		{"reads", testReads},
		{"limits", testLimits},
		{"as of", testAsOf},
		{"requests", testRequests},
		{"order ids", testOrderIDs},
		{"snapshots", testSnapshots},
		{"clock", testClock},
		{"wakes", testWakes},
		{"migrate", testMigrate},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			g.test(t, b)
		})
	}
}

// open makes a store with a pool of its own, as another process would.
func open(t *testing.T, url string) *eventstore.Store {
	t.Helper()
	return openWith(t, url, eventstore.Config{URL: url})
}

func openWith(t *testing.T, url string, cfg eventstore.Config) *eventstore.Store {
	t.Helper()
	db, err := eventstore.OpenDB(url, connections)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return eventstore.New(db, cfg)
}

// query opens a plain connection to look behind the store.
func query(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := eventstore.OpenDB(url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db.DB
}

func count(t *testing.T, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func headOf(t *testing.T, s *eventstore.Store) eventstore.Head {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// event is one with some JSON in it.
func event(stream string, version int64) eventstore.Event {
	return eventstore.Event{
		Stream: stream, Version: version, Type: "Tested", SchemaVersion: 1,
		Data:     json.RawMessage(fmt.Sprintf(`{"of": %q,  "n":%d}`, stream, version)),
		Metadata: json.RawMessage(`{"batch":"b"}`),
	}
}

// batch is events on a head, stamped as a Writer would.
func batch(s *eventstore.Store, head eventstore.Head, events ...eventstore.Event) eventstore.Batch {
	at := s.Now()
	if at.Before(head.Time) {
		at = head.Time
	}
	return eventstore.Batch{Head: head, Time: at, Events: events}
}

// appendTo appends events at the head, whoever else has written.
func appendTo(t *testing.T, s *eventstore.Store, events ...eventstore.Event) eventstore.Head {
	t.Helper()
	head, err := tryAppend(t.Context(), s, events...)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func tryAppend(ctx context.Context, s *eventstore.Store, events ...eventstore.Event) (eventstore.Head, error) {
	for {
		head, err := s.Head(ctx)
		if err != nil {
			return head, err
		}
		head, err = s.Append(ctx, batch(s, head, events...))
		if !errors.Is(err, eventstore.ErrFenced) {
			return head, err
		}
	}
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		<-tick.C
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func wantNone(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantWhole checks the whole log: dense, as long as its head says, every version of a stream once and
// in order, and the chain of hashes unbroken from the first append to the head.
func wantWhole(t *testing.T, s *eventstore.Store) []eventstore.Recorded {
	t.Helper()
	head := headOf(t, s)
	log := readAll(t, s, 0)
	if int64(len(log)) != head.Position {
		t.Fatalf("%d events, head at %d", len(log), head.Position)
	}
	versions := map[string]int64{}
	var prev []byte
	var open []eventstore.Event
	var last time.Time
	for _, e := range log {
		if versions[e.Stream]++; e.Version != versions[e.Stream] {
			t.Fatalf("position %d is version %d of %s, want %d", e.Position, e.Version, e.Stream, versions[e.Stream])
		}
		if e.RecordedAt.Before(last) {
			t.Fatalf("position %d was recorded at %s, the one before at %s", e.Position, e.RecordedAt, last)
		}
		last = e.RecordedAt
		open = append(open, e.Event)
		if e.Hash == nil {
			continue
		}
		prev = eventstore.Chain(prev, open, e.RecordedAt, e.Position-int64(len(open))+1)
		if string(prev) != string(e.Hash) {
			t.Fatalf("the hash at position %d does not follow from what is before it", e.Position)
		}
		open = nil
	}
	if len(log) > 0 && (len(open) > 0 || string(prev) != string(head.Hash) || !last.Equal(head.Time)) {
		t.Fatalf("the log's end does not match its head")
	}
	return log
}

func readAll(t *testing.T, s *eventstore.Store, after int64) []eventstore.Recorded {
	t.Helper()
	const page = 100
	var log []eventstore.Recorded
	for {
		events, err := s.ReadAll(t.Context(), after, page)
		wantNone(t, err)
		log = append(log, events...)
		if len(events) < page {
			return log
		}
		after = events[len(events)-1].Position
	}
}
