package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func TestMain(m *testing.M) { devstack.Main(m) }

// result is what a command line came to.
type result struct {
	code           int
	stdout, stderr string
}

func runs(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, surroundings{&stdout, &stderr, environ, "test", nil, false, false})
	return result{code, stdout.String(), stderr.String()}
}

func (r result) must(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// soldShow is a log with a show whose sales were paused, and its read model.
func soldShow(t *testing.T) (environ []string, db *sqlx.DB, events []eventstore.Recorded) {
	t.Helper()
	pg := devstack.Postgres(t)
	db, err := eventstore.OpenDB(pg.URL, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store := eventstore.New(db, eventstore.Config{})
	totals := []domain.Totals{{TicketTypeID: 1, Capacity: 10}}
	write(t, store,
		domain.ShowCreated{ShowID: 1, Name: "Gala\u009b", Venue: "Hall", Currency: "IDR", Totals: totals, TicketTypes: []domain.TicketType{{TicketTypeID: 1, Name: "Stalls", Price: 100, Capacity: 10}}},
		domain.SalesPaused{ShowID: 1, Totals: totals},
	)
	write(t, store, domain.SalesResumed{ShowID: 1, Totals: totals})
	for _, statement := range []string{
		`INSERT INTO availability VALUES (1, 1, 10, 0, 0, 3)`,
		`INSERT INTO ticket_types VALUES (1, 1, 'Stalls', 100, 0, 0, NULL, NULL, 3)`,
		`INSERT INTO sales_by_day VALUES (1, '1970-01-01', 1, 0, 0, 0, 0, 100, 'IDR', '', 3)`,
		`INSERT INTO shows SELECT 1, E'Gala\u009b', 'Hall', '0001-01-01T00:00:00Z', '', 'IDR', '[]', false, false, 1, time, 3, 3 FROM log_head`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if events, err = store.ReadAll(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	return []string{"DATABASE_URL=" + pg.URL}, db, events
}

// write appends events of show 1 in one commit.
func write(t *testing.T, store *eventstore.Store, events ...domain.Event) {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := eventstore.Batch{Head: head, Time: head.Time.Add(time.Second)}
	for i, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Events = append(b.Events, eventstore.Event{
			Stream: "show-1", Version: head.Position + int64(i) + 1, Type: e.EventType(), SchemaVersion: 1, Data: data, Metadata: []byte(`{"batch":"b"}`),
		})
	}
	if _, err := store.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestWrongUsageExitsWith2(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"dance"},
		{"events", "--dance"},
		{"verify", "extra"},
		{"serve", "extra"},
		{"events", "--from", "x"},
		{"serve"},
		{"serve", "--roles", "cook"},
		{"serve", "--hold-ttl", "never"},
		{"events"},
		{"verify"},
		{"migrate"},
		{"events", "--from", "5", "--to", "3"},
		{"events", "--to", "-1"},
		{"events", "--to", "yesterday"},
		{"events", "--from", "2025-02-05T12:00:00Z", "--to", "2025-02-05T11:59:59Z"},
		{"verify", "--database-url", "mysql://x"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			r := runs(t, nil, args...).must(t, exitUsage)
			if r.stdout != "" || !strings.HasPrefix(r.stderr, "boxoffice") || strings.Contains(r.stderr, "Usage:") {
				t.Errorf("it prints %q and says %q", r.stdout, r.stderr)
			}
		})
	}
}

func TestAllProblemsOfTheConfigurationAreToldAtOnce(t *testing.T) {
	t.Parallel()
	r := runs(t, []string{"HOLD_TTL=never", "LOG_LEVEL=loud"}, "serve", "--http-addr", "8080").must(t, exitUsage)
	for _, name := range []string{"DATABASE_URL", "KAFKA_BROKERS", "SECRET_KEYS", "OPERATOR_KEYS", "PAYMENT_WEBHOOK_SECRET", "HOLD_TTL", "LOG_LEVEL", "HTTP_ADDR"} {
		if !strings.Contains(r.stderr, "\n  "+name+": ") {
			t.Errorf("%s is not among the problems:\n%s", name, r.stderr)
		}
	}
}

func TestHelpIsShortAndHasExamples(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"serve"}, {"migrate"}, {"events"}, {"verify"}, {"version"}} {
		r := runs(t, nil, append(args, "--help")...).must(t, exitOK)
		if lines := strings.Count(r.stdout, "\n"); lines > 40 || !strings.Contains(r.stdout, "Examples:") || r.stderr != "" {
			t.Errorf("the help of %v has %d lines:\n%s", args, lines, r.stdout)
		}
	}
	if r := runs(t, nil, "help", "environment").must(t, exitOK); !strings.Contains(r.stdout, "HOLD_TTL") {
		t.Errorf("the variables are not told:\n%s", r.stdout)
	}
}

func TestVersionTellsWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	var b build
	r := runs(t, nil, "version", "--json").must(t, exitOK)
	if err := json.Unmarshal([]byte(r.stdout), &b); err != nil || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("it prints %s: %v", r.stdout, err)
	}
	if r := runs(t, nil, "version").must(t, exitOK); !strings.HasPrefix(r.stdout, "boxoffice ") {
		t.Errorf("it prints %s", r.stdout)
	}
}

func TestAServerThatIsNotThereExitsWith5(t *testing.T) {
	t.Parallel()
	closed := closedAddress(t)
	database := []string{"DATABASE_URL=postgres://u:secret-word@" + closed + "/x"}
	good, _, _ := soldShow(t)
	dir := t.TempDir()
	stale := config.Demo{DatabaseURL: "postgres://u@" + closed + "/x", KafkaBrokers: []string{closed}}
	if err := stale.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]result{
		"no Postgres for events":  runs(t, database, "events"),
		"no Postgres for verify":  runs(t, database, "verify"),
		"no Postgres for migrate": runs(t, database, "migrate"),
		"no such socket":          runs(t, nil, "verify", "--database-url", "postgres:///x?host="+dir),
		"no Kafka":                runs(t, good, "verify", "--kafka", "--kafka-brokers", closed),
		"no demo":                 runs(t, nil, "verify", "--data", t.TempDir()),
		"a demo that was killed":  runs(t, nil, "verify", "--data", dir),
	} {
		if r.code != exitUnreachable || r.stdout != "" || strings.Count(r.stderr, "\n") < 2 || strings.Contains(r.stderr, "secret-word") {
			t.Errorf("%s: exit %d, %q, %q", name, r.code, r.stdout, r.stderr)
		}
	}
}

// closedAddress is an address on which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// pipe is an output that a reader takes lines from until it goes away.
type pipe struct {
	lines chan string
	gone  bool
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.gone {
		return 0, fmt.Errorf("write: %w", syscall.EPIPE)
	}
	p.lines <- string(b)
	return len(b), nil
}

func TestAReaderThatHasSeenEnoughEndsEventsQuietly(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	for _, args := range [][]string{{"events", "--json", "--follow"}, {"events"}, {"verify"}, {"verify", "--json"}, {"version"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, surroundings{&pipe{gone: true}, &stderr, environ, "test", nil, false, false}); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

func TestMigrateBringsTheSchema(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	if _, err := db.ExecContext(t.Context(), `DROP TABLE open_items`); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, environ, "verify").must(t, exitFault); !strings.Contains(r.stderr, "boxoffice migrate") {
		t.Errorf("without a table it says %s", r.stderr)
	}
	owner := []string{"DATABASE_URL=postgres://boxoffice@127.0.0.1:1/x", "MIGRATE_" + environ[0]}
	if r := runs(t, owner, "migrate", "--json"); !strings.Contains(r.stdout, `"added":["table open_items"]`) {
		t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
	}
	runs(t, environ, "verify").must(t, exitOK)
}

func TestADemoIsFoundByItsDirectory(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	dir := t.TempDir()
	demo := config.Demo{DatabaseURL: strings.TrimPrefix(environ[0], "DATABASE_URL=")}
	if err := demo.Write(dir); err != nil {
		t.Fatal(err)
	}
	runs(t, []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/x"}, "events", "--data", dir).must(t, exitOK)
}
