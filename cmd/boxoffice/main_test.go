package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
	"boxoffice/projections/verify"
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
	code := run(t.Context(), args, surroundings{&stdout, &stderr, environ, "test", nil, false})
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
		`INSERT INTO shows VALUES (1, E'Gala\u009b', 'Hall', now(), 'UTC', 'IDR', '[]', false, false, 1, now(), 3, 3)`,
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

func TestEventsPrintsTheLog(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	for _, c := range []struct {
		args []string
		want string // positions
	}{
		{nil, "1 2 3"},
		{[]string{"--from", "2"}, "2 3"},
		{[]string{"--to", "2"}, "1 2"},
		{[]string{"--from", "2", "--to", "2"}, "2"},
		{[]string{"--type", "SalesPaused"}, "2"},
		{[]string{"--stream", "show-1", "--from", "3"}, "3"},
		{[]string{"--stream", "show-1", "--to", "1"}, "1"},
		{[]string{"--stream", "show-9"}, ""},
	} {
		r := runs(t, environ, append([]string{"events", "--json"}, c.args...)...).must(t, exitOK)
		var got []string
		for line := range strings.Lines(r.stdout) {
			var e eventLine
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Stream != "show-1" || e.Version != e.Position || e.SchemaVersion != 1 || e.Time.IsZero() || string(e.Metadata) != `{"batch":"b"}` ||
				(len(e.Hash) == 64) != (e.Position > 1) {
				t.Errorf("the line is %s", line)
			}
			got = append(got, fmt.Sprint(e.Position))
		}
		if strings.Join(got, " ") != c.want || r.stderr != "" {
			t.Errorf("%v prints %v, want %s", c.args, got, c.want)
		}
	}
	r := runs(t, environ, "events").must(t, exitOK)
	if strings.Count(r.stdout, "\n") != 3 || !strings.Contains(r.stdout, "show-1:2") || !strings.Contains(r.stdout, "SalesPaused") || strings.Contains(r.stdout, "\u009b") {
		t.Errorf("it prints %q", r.stdout)
	}
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

func TestEventsFollowsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	ctx, interrupt := context.WithCancel(t.Context())
	out, code := &pipe{lines: make(chan string, 9)}, make(chan int)
	var stderr bytes.Buffer
	go func() {
		code <- run(ctx, []string{"events", "--follow", "--from", "3"}, surroundings{out, &stderr, environ, "test", nil, false})
	}()
	if first := <-out.lines; !strings.Contains(first, "SalesResumed") {
		t.Errorf("first comes %q", first)
	}
	write(t, eventstore.New(db, eventstore.Config{}), domain.SalesPaused{ShowID: 1})
	if next := <-out.lines; !strings.Contains(next, "show-1:4") {
		t.Errorf("then comes %q", next)
	}
	interrupt()
	if got := <-code; got != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit %d, %q", got, stderr.String())
	}
}

func TestAReaderThatHasSeenEnoughEndsEventsQuietly(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	for _, args := range [][]string{{"events", "--json", "--follow"}, {"events"}, {"verify"}, {"verify", "--json"}, {"version"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, surroundings{&pipe{gone: true}, &stderr, environ, "test", nil, false}); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

func TestVerifyTellsWhatItFound(t *testing.T) {
	t.Parallel()
	environ, db, events := soldShow(t)
	r := runs(t, environ, "verify").must(t, exitOK)
	if hash := fmt.Sprintf("position 3, hash %x", events[2].Hash); !strings.Contains(r.stdout, hash) || !strings.Contains(r.stdout, "all invariants hold") {
		t.Errorf("it prints %s", r.stdout)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE availability SET held = 1`); err != nil {
		t.Fatal(err)
	}
	r = runs(t, environ, "verify").must(t, exitDiffers)
	if !strings.Contains(r.stdout, "availability 1/1") || !strings.Contains(r.stderr, "1 findings") {
		t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
	}
	r = runs(t, environ, "verify", "--json").must(t, exitDiffers)
	var report struct {
		Head     struct{ Position int64 }
		Findings []struct{ Kind, Key string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || report.Head.Position != 3 || len(report.Findings) != 1 || report.Findings[0].Key != "availability 1/1" {
		t.Errorf("it prints %s: %v", r.stdout, err)
	}
}

func TestVerifyComparesTheTopics(t *testing.T) {
	t.Parallel()
	environ, _, events := soldShow(t)
	kafka := devstack.Kafka(t)
	environ = append(environ, "KAFKA_BROKERS="+strings.Join(kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX="+kafka.Prefix)
	cfg := messaging.Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix, Partitions: 2, CreateTopics: true}

	r := runs(t, environ, "verify", "--kafka").must(t, exitFault)
	if !strings.Contains(r.stderr, "KAFKA_TOPIC_PREFIX") {
		t.Errorf("without topics it says %s", r.stderr)
	}
	if err := messaging.EnsureTopics(t.Context(), cfg, messaging.EventTopics()...); err != nil {
		t.Fatal(err)
	}
	publisher, err := messaging.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := publisher.Publish(messaging.OrdersTopic, eventstore.ToMessage(e)); err != nil {
			t.Fatal(err)
		}
	}
	stray := message.NewMessage("stray", []byte("{}"))
	stray.Metadata.Set(messaging.KeyMetadata, "x")
	if err := publisher.Publish(messaging.OrdersTopic, stray); err != nil {
		t.Fatal(err)
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	r = runs(t, environ, "verify", "--kafka", "--json").must(t, exitOK)
	var report verify.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || report.Topics.Foreign != 1 || len(report.Foreign) != 1 {
		t.Fatalf("it prints %s: %v", r.stdout, err)
	}
	f := report.Foreign[0]
	if place := fmt.Sprintf("%s/%d at offset %d: ", messaging.OrdersTopic, f.Partition, f.Offset); !strings.Contains(r.stderr, place) || !strings.Contains(r.stderr, "warning: 1 message") {
		t.Errorf("it does not name %s: %s", place, r.stderr)
	}
	if r := runs(t, environ, "verify", "--kafka").must(t, exitOK); !strings.Contains(r.stdout, "topics  3 events, 0 repeats") {
		t.Errorf("it prints %s", r.stdout)
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
