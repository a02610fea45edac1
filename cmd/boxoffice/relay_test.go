package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/serve"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
)

// unpublished is a log with three events of a show, and a broker without any topic.
func unpublished(t *testing.T) (environ []string, cfg messaging.Config, db *sqlx.DB, events []eventstore.Recorded) {
	t.Helper()
	environ, db, events = soldShow(t)
	kafka := devstack.Kafka(t)
	environ = append(environ, "KAFKA_BROKERS="+strings.Join(kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX="+kafka.Prefix, "KAFKA_REPLICATION=1")
	return environ, messaging.Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix}, db, events
}

// onTopic are the ids of a topic's messages, partition after partition.
func onTopic(t *testing.T, cfg messaging.Config, topic string) (ids []string) {
	t.Helper()
	err := messaging.ReadTopic(t.Context(), cfg, topic, func(_ int32, m messaging.Message) error {
		ids = append(ids, m.Metadata.Get(eventstore.HeaderID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// checkpointRows are the rows of checkpoints as text.
func checkpointRows(t *testing.T, db *sqlx.DB) (rows []string) {
	t.Helper()
	err := db.SelectContext(t.Context(), &rows, `SELECT concat_ws(' ', name, topic, partition, next_offset, position, epoch)
		FROM checkpoints ORDER BY name, topic, partition`)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRelayIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"relay"},
		{"relay", "--yes"},
		{"relay", "--from", "0", "--yes"},
		{"relay", "--from", "-3", "--yes"},
		{"relay", "--from", "x", "--yes"},
		{"relay", "1", "--yes"},
		{"relay", "--from", "1"},
		{"relay", "--from", "1", "--yes"}, // no servers are named
	} {
		r := runs(t, nil, args...).must(t, exitUsage)
		if r.stdout != "" || !strings.HasPrefix(r.stderr, "boxoffice relay") {
			t.Errorf("%v prints %q and says %q", args, r.stdout, r.stderr)
		}
	}
	environ, _, db, _ := unpublished(t)
	before := checkpointRows(t, db)
	if r := runs(t, environ, "relay", "--from", "2", "--yes").must(t, exitUsage); !strings.Contains(r.stderr, "up to position 0 of 3: it is at most 1") {
		t.Errorf("with the first event unpublished it says %s", r.stderr)
	}
	for name, gone := range map[string][]string{
		"Postgres": {"--database-url", "postgres://u:secret-word@" + closedAddress(t) + "/x"}, "Kafka": {"--kafka-brokers", closedAddress(t)},
	} {
		r := runs(t, environ, append([]string{"relay", "--from", "1", "--yes"}, gone...)...).must(t, exitUnreachable)
		if !strings.Contains(r.stderr, name) || strings.Contains(r.stderr, "secret-word") {
			t.Errorf("without %s it says %s", name, r.stderr)
		}
	}
	if after := checkpointRows(t, db); !slices.Equal(before, after) {
		t.Errorf("the checkpoints are %v, they were %v", after, before)
	}
}

func TestRelayAsksFirst(t *testing.T) {
	t.Parallel()
	environ, cfg, db, _ := unpublished(t)
	before := checkpointRows(t, db)
	ask := func(answer string) (code int, stdout, stderr string) {
		var out, talk bytes.Buffer
		code = run(t.Context(), []string{"relay", "--from", "1"}, surroundings{&out, &talk, environ, "test", strings.NewReader(answer), true, false})
		return code, out.String(), talk.String()
	}
	code, stdout, stderr := ask("n\n")
	if code != exitOK || stdout != "" || !slices.Equal(before, checkpointRows(t, db)) {
		t.Errorf("told no, exit %d: %s %s", code, stdout, stderr)
	}
	for _, want := range []string{"3 events, positions 1 to 3, will be published again", cfg.Brokers[0], "up to position 0", "repeats", "[y/N]", "nothing was changed"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing in %s", want, stderr)
		}
	}
	if code, stdout, stderr = ask("y\n"); code != exitOK || !strings.Contains(stdout, "Published 3 events again, positions 1 to 3") {
		t.Errorf("told yes, exit %d: %s %s", code, stdout, stderr)
	}
}

func TestRelayPublishesTheLogAgain(t *testing.T) {
	t.Parallel()
	environ, cfg, db, events := unpublished(t)
	var did relayed
	r := runs(t, environ, "relay", "--from", "1", "--yes", "--json").must(t, exitOK)
	if err := json.Unmarshal([]byte(r.stdout), &did); err != nil || did.From != 1 || did.To != 3 || did.Events != 3 || did.Seconds <= 0 {
		t.Errorf("it prints %s: %v", r.stdout, err)
	}
	for line := range strings.Lines(r.stderr) {
		if !json.Valid([]byte(line)) {
			t.Errorf("with --json it says %s", line)
		}
	}
	if got := onTopic(t, cfg, messaging.OrdersTopic); fmt.Sprint(got) != "[show-1:1 show-1:2 show-1:3]" {
		t.Errorf("published are %v", got)
	}
	runs(t, environ, "relay", "--from", "2", "--yes").must(t, exitOK)
	elsewhere := append(slices.Clone(environ), "KAFKA_TOPIC_PREFIX="+cfg.TopicPrefix+"empty-")
	if r := runs(t, elsewhere, "relay", "--from", "2", "--yes").must(t, exitUsage); !strings.Contains(r.stderr, "the topics are empty") {
		t.Errorf("with empty topics it says %s", r.stderr)
	}
	runs(t, environ, "relay", "--from", "4", "--yes").must(t, exitOK) // the head is published: nothing is left
	if r := runs(t, environ, "relay", "--from", "5", "--yes").must(t, exitUsage); !strings.Contains(r.stderr, "at most 4") {
		t.Errorf("beyond the log it says %s", r.stderr)
	}
	var i int
	order := []int{0, 1, 2, 1, 2}
	err := messaging.ReadTopic(t.Context(), cfg, messaging.OrdersTopic, func(_ int32, m messaging.Message) error {
		want := eventstore.ToMessage(events[order[i]])
		i++
		for header, value := range want.Metadata {
			if m.Metadata.Get(header) != value {
				t.Errorf("%s of message %d is %q, want %q", header, i, m.Metadata.Get(header), value)
			}
		}
		if !bytes.Equal(m.Payload, want.Payload) || m.Key != "show-1" {
			t.Errorf("message %d is %s of %s", i, m.Payload, m.Key)
		}
		return nil
	})
	if err != nil || i != len(order) {
		t.Errorf("%d messages, %v", i, err)
	}
	if r := runs(t, environ, "verify", "--kafka").must(t, exitOK); !strings.Contains(r.stdout, "topics  3 events, 2 repeats") {
		t.Errorf("verify says %s", r.stdout)
	}
	if _, err := db.ExecContext(t.Context(), `DROP TABLE checkpoints`); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitFault); !strings.Contains(r.stderr, "boxoffice migrate") {
		t.Errorf("without a table it says %s", r.stderr)
	}
}

func TestOneAtATimePublishesTheLogAgain(t *testing.T) {
	t.Parallel()
	environ, _, db, _ := unpublished(t)
	conn, err := db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), `SELECT set_config('application_name', 'ana at the box', false), pg_advisory_lock($1)`, relayAgainLock); err != nil {
		t.Fatal(err)
	}
	before := checkpointRows(t, db)
	if r := runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitHeld); !strings.Contains(r.stderr, "ana at the box publishes the log again") {
		t.Errorf("it says %s", r.stderr)
	}
	if after := checkpointRows(t, db); !slices.Equal(before, after) {
		t.Errorf("the checkpoints are %v, they were %v", after, before)
	}
}

func TestRelayRefusesTopicsWithAnotherHistory(t *testing.T) {
	t.Parallel()
	environ, cfg, db, events := unpublished(t)
	runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitOK)
	for what, change := range map[string]func(*eventstore.Recorded){
		"show-1:9 of position 9, which the log does not have": func(e *eventstore.Recorded) { e.Version, e.Position = 9, 9 },
		"show-7:3 of position 3, where the log has show-1:3":  func(e *eventstore.Recorded) { e.Stream = "show-7" },
		"show-1:3 of position 3, where the log has show-1:3":  func(e *eventstore.Recorded) { e.RecordedAt = e.RecordedAt.Add(time.Second) },
	} {
		e := events[2]
		change(&e)
		msg := eventstore.ToMessage(e)
		msg.Metadata.Set(messaging.KeyMetadata, "show-1")
		publisher, err := messaging.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := publisher.Publish(messaging.OrdersTopic, msg); err != nil {
			t.Fatal(err)
		}
		if err := publisher.Close(); err != nil {
			t.Fatal(err)
		}
		before := checkpointRows(t, db)
		r := runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitFault)
		if !strings.Contains(r.stderr, what) || !strings.Contains(r.stderr, "KAFKA_TOPIC_PREFIX") {
			t.Errorf("with %s it says %s", what, r.stderr)
		}
		if after := checkpointRows(t, db); !slices.Equal(before, after) {
			t.Errorf("the checkpoints are %v, they were %v", after, before)
		}
	}
	runs(t, append(environ, "KAFKA_TOPIC_PREFIX="+cfg.TopicPrefix+"new-"), "relay", "--from", "1", "--yes").must(t, exitOK)
}

func TestRelayWarnsOfTopicsThatBeginInTheMiddle(t *testing.T) {
	t.Parallel()
	environ, cfg, db, _ := unpublished(t)
	if r := runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitOK); strings.Contains(r.stderr, "Warning") {
		t.Errorf("to empty topics it says %s", r.stderr)
	}
	// A relay that goes on into new topics begins there with what is new.
	environ = append(environ, "KAFKA_TOPIC_PREFIX="+cfg.TopicPrefix+"second-")
	ensured := messaging.Config{Brokers: cfg.Brokers, TopicPrefix: cfg.TopicPrefix + "second-", Partitions: 1, CreateTopics: true}
	if err := messaging.EnsureTopics(t.Context(), ensured, messaging.Topics()...); err != nil {
		t.Fatal(err)
	}
	store := eventstore.New(db, eventstore.Config{})
	write(t, store, domain.SalesPaused{ShowID: 1, Totals: []domain.Totals{{TicketTypeID: 1, Capacity: 10}}})
	if _, err := db.ExecContext(t.Context(), `UPDATE shows SET version = 4, position = 4, paused = true; UPDATE availability SET version = 4;
		UPDATE ticket_types SET version = 4; UPDATE sales_by_day SET version = 4`); err != nil {
		t.Fatal(err)
	}
	relay := serve.NewRelay(store, ensured, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for relay.Position() < 4 {
		<-look.C
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r := runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitOK)
	if !strings.Contains(r.stderr, "Warning: the topics have had 1 messages of 4 events") {
		t.Errorf("it says %s", r.stderr)
	}
	if got := onTopic(t, ensured, messaging.OrdersTopic); fmt.Sprint(got) != "[show-1:4 show-1:1 show-1:2 show-1:3 show-1:4]" {
		t.Errorf("published are %v", got)
	}
	if r := runs(t, environ, "verify", "--kafka").must(t, exitDiffers); !strings.Contains(r.stdout, "version 4 of show-1 comes after 0") {
		t.Errorf("verify says %s", r.stdout)
	}
}

// activeRelay holds the relays' lock as one that is active and does nothing, until the returned function is called.
func activeRelay(t *testing.T, db *sqlx.DB) (release func()) {
	t.Helper()
	const key = int64(0x626f786f72656c79)
	conn, err := db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), `SELECT pg_advisory_lock($1)`, key); err != nil {
		t.Fatal(err)
	}
	// Without a sign of life it would be ended.
	if _, err := conn.ExecContext(t.Context(), `UPDATE checkpoints SET updated_at = clock_timestamp() + interval '1 hour' WHERE name = 'relay'`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), `SELECT pg_advisory_unlock($1)`, key); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// relaying runs relay --from 1 until it has set the relay back.
func relaying(t *testing.T, environ []string, db *sqlx.DB) (ended chan result, interrupt func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended = make(chan result, 1)
	go func() {
		var stdout, stderr bytes.Buffer
		code := run(ctx, []string{"relay", "--from", "1", "--yes"}, surroundings{&stdout, &stderr, environ, "test", nil, false, false})
		ended <- result{code, stdout.String(), stderr.String()}
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !slices.Contains(checkpointRows(t, db), "relay  0 0 0 1") {
		<-look.C
		if len(ended) > 0 {
			t.Fatalf("it has ended: %+v", <-ended)
		}
	}
	return ended, cancel
}

func TestAnInterruptedRelaySaysHowFarItIs(t *testing.T) {
	t.Parallel()
	environ, cfg, db, _ := unpublished(t)
	release := activeRelay(t, db)
	ended, interrupt := relaying(t, environ, db)
	begun := time.Now()
	interrupt()
	r := <-ended
	if took := time.Since(begun); r.code != exitInterrupted || took > 2*time.Second || !strings.Contains(r.stderr, "Published up to position 0; from there") {
		t.Errorf("after %s: %+v", took, r)
	}
	release()
	runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitOK)
	if got := onTopic(t, cfg, messaging.OrdersTopic); len(got) != 3 {
		t.Errorf("published are %v", got)
	}
}

func TestAnActiveRelayThatPublishesElsewhereIsNoSuccess(t *testing.T) {
	t.Parallel()
	environ, _, db, _ := unpublished(t)
	release := activeRelay(t, db)
	ended, _ := relaying(t, environ, db)
	if _, err := db.ExecContext(t.Context(), `UPDATE checkpoints SET position = 3 WHERE name = 'relay'`); err != nil {
		t.Fatal(err)
	}
	r := <-ended
	release()
	r.must(t, exitFault)
	if r.stdout != "" || !strings.Contains(r.stderr, "only 0 of 3 events") || !strings.Contains(r.stderr, "Stop what publishes elsewhere") {
		t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
	}
}
