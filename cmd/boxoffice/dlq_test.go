package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

const parkedShow = "parked/availability/show-1"

// parkedLog is a log whose show is parked at version 2, with an event behind that.
func parkedLog(t *testing.T) (environ []string, db *sqlx.DB) {
	t.Helper()
	environ, db, _ = soldShow(t)
	for _, statement := range []string{
		`UPDATE shows SET (version, position, changed_at) = (SELECT version, position, recorded_at FROM events WHERE position = 1)`,
		`UPDATE availability SET version = 1`, `UPDATE ticket_types SET version = 1`,
		`INSERT INTO parked (projection, stream, version, position, type, reason, parked_at) VALUES
			('availability', 'show-1', 2, 2, 'SalesPaused', 'panic: once', '2025-02-05T12:00:00Z')`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return environ, db
}

// withLetters adds a broker with dead letters in one partition, and their publisher.
func withLetters(t *testing.T, environ []string, letters ...*message.Message) ([]string, messaging.Config) {
	t.Helper()
	kafka := devstack.Kafka(t)
	cfg := messaging.Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix, Partitions: 1, CreateTopics: true}
	if err := messaging.EnsureTopics(t.Context(), cfg, messaging.Topics()...); err != nil {
		t.Fatal(err)
	}
	publisher, err := messaging.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		l.SetContext(t.Context())
		if err := publisher.Publish(messaging.DeadLetterTopic, l); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	return append(environ, "KAFKA_BROKERS="+strings.Join(kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX="+kafka.Prefix), cfg
}

func deadCommand(payload string) *message.Message {
	msg := message.NewMessage("id-"+payload, []byte(payload))
	msg.Metadata = message.Metadata{
		"ce_type": "PlaceOrder", messaging.KeyMetadata: "1", messaging.DeadReason: "quantity\u009b is missing",
		messaging.DeadTopic: messaging.CommandsTopic, messaging.DeadGroup: "commands", messaging.DeadPartition: "0", messaging.DeadOffset: "4",
	}
	return msg
}

func (r result) page(t *testing.T) (ids []string, next string) {
	t.Helper()
	var page asidePage
	if err := json.Unmarshal([]byte(r.stdout), &page); err != nil {
		t.Fatalf("%s: %v", r.stdout, err)
	}
	for _, v := range page.Items {
		ids = append(ids, v.ID)
	}
	return ids, page.Next
}

func TestDlqIsUsedRightly(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"dlq"},
		{"dlq", "list", "--limit", "0"},
		{"dlq", "list", "--limit", "1001"},
		{"dlq", "list", "--newest", "0"},
		{"dlq", "list", "--after", "yesterday"},
		{"dlq", "list"},
		{"dlq", "show"},
		{"dlq", "show", "x"},
		{"dlq", "show", "dead/1"},
		{"dlq", "show", "dead/-1/1"},
		{"dlq", "show", "parked//show-1"},
		{"dlq", "show", "parked/availability/%zz"},
		{"dlq", "retry"},
		{"dlq", "retry", "--all", parkedShow},
		{"dlq", "retry", "--parked", parkedShow},
		{"dlq", "discard", parkedShow},
		{"dlq", "discard", parkedShow, "--reason", " "},
		{"dlq", "discard", parkedShow, "--reason", "x", "--by", "two words"},
	} {
		r := runs(t, nil, args...).must(t, exitUsage)
		if r.stdout != "" || !strings.HasPrefix(r.stderr, "boxoffice dlq") {
			t.Errorf("%v prints %q and says %q", args, r.stdout, r.stderr)
		}
	}
	for _, args := range [][]string{{"dlq"}, {"dlq", "list"}, {"dlq", "show"}, {"dlq", "retry"}, {"dlq", "discard"}} {
		r := runs(t, nil, append(args, "--help")...).must(t, exitOK)
		if !strings.Contains(r.stdout, "Examples:") {
			t.Errorf("the help of %v is %s", args, r.stdout)
		}
	}
}

func TestIDsOfWhatStandsAsideAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for id, want := range map[aside]string{
		{projection: "order_status", stream: "order-ORDER-20250205-338aa78d"}: "parked/order_status/order-ORDER-20250205-338aa78d",
		{projection: "p", stream: "a/b c%\u009b"}:                             "parked/p/a%2Fb%20c%25%C2%9B",
		{dead: true, partition: 3, offset: 1 << 40}:                           "dead/3/1099511627776",
	} {
		back, err := parseAside(want)
		if err != nil || back != id || id.String() != want {
			t.Errorf("%+v is %s, and that is %+v, %v", id, id, back, err)
		}
	}
}

func TestDlqListsWhatStandsAside(t *testing.T) {
	t.Parallel()
	environ, db := parkedLog(t)
	if ids, next := runs(t, environ, "dlq", "list", "--parked", "--json").must(t, exitOK).page(t); fmt.Sprint(ids) != "["+parkedShow+"]" || next != "" {
		t.Errorf("it lists %v, then %q", ids, next)
	}
	environ, _ = withLetters(t, environ, deadCommand(`{"n":0}`), deadCommand(`{"n":1}`))
	all := []string{parkedShow, "dead/0/0", "dead/0/1"} // the stream was parked long ago
	r := runs(t, environ, "dlq", "list").must(t, exitOK)
	for i, line := range strings.Split(strings.TrimSpace(r.stdout), "\n") {
		if i >= len(all) || !strings.HasPrefix(line, all[i]+"  20") || strings.Contains(line, "\u009b") {
			t.Errorf("line %d is %q", i, line)
		}
	}
	if !strings.Contains(r.stdout, "SalesPaused:2") || !strings.Contains(r.stdout, "of commands from commands-topic") || r.stderr != "" {
		t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
	}
	t.Run("page by page", func(t *testing.T) {
		var got []string
		for next := ""; ; {
			ids, more := runs(t, environ, "dlq", "list", "--limit", "1", "--json", "--after", next).must(t, exitOK).page(t)
			got, next = append(got, ids...), more
			if next == "" {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("the pages have %v", got)
		}
		r := runs(t, environ, "dlq", "list", "--limit", "2").must(t, exitOK)
		if !strings.Contains(r.stderr, "--after 20") || strings.Count(r.stdout, "\n") != 2 {
			t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
		}
	})
	t.Run("of each partition the newest", func(t *testing.T) {
		if ids, _ := runs(t, environ, "dlq", "list", "--newest", "1", "--json").must(t, exitOK).page(t); fmt.Sprint(ids) != "["+parkedShow+" dead/0/1]" {
			t.Errorf("it lists %v", ids)
		}
	})
	t.Run("what one server says, although the other can't be reached", func(t *testing.T) {
		r := runs(t, environ, "dlq", "list", "--json", "--kafka-brokers", closedAddress(t)).must(t, exitUnreachable)
		if ids, _ := r.page(t); fmt.Sprint(ids) != "["+parkedShow+"]" {
			t.Errorf("it lists %v", ids)
		}
	})
	if _, err := db.ExecContext(t.Context(), `DROP TABLE parked`); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, environ, "dlq", "list").must(t, exitFault); !strings.Contains(r.stderr, "boxoffice migrate") {
		t.Errorf("without a table it says %s", r.stderr)
	}
}

func TestDlqShowsOneThingWhole(t *testing.T) {
	t.Parallel()
	environ, _ := parkedLog(t)
	r := runs(t, environ, "dlq", "show", parkedShow).must(t, exitOK)
	for _, want := range []string{"panic: once", "1 events of the stream come after it", "boxoffice.SalesPaused.v1", `"capacity":10`, `{"batch":"b"}`} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("it does not show %s:\n%s", want, r.stdout)
		}
	}
	var whole asideWhole
	r = runs(t, environ, "dlq", "show", parkedShow, "--json").must(t, exitOK)
	if err := json.Unmarshal([]byte(r.stdout), &whole); err != nil || whole.Event == nil || whole.Event.Version != 2 || whole.Waiting != 1 {
		t.Errorf("it shows %s: %v", r.stdout, err)
	}
	environ, _ = withLetters(t, environ, deadCommand(`{"n":0}`), deadCommand("\xff\x00"), deadCommand("no json"))
	for id, want := range map[string]string{"dead/0/0": `"payload":{"n":0}`, "dead/0/1": `"payloadBase64":"/wA="`, "dead/0/2": `"payloadText":"no json"`} {
		r := runs(t, environ, "dlq", "show", id, "--json").must(t, exitOK)
		if !strings.Contains(r.stdout, want) || !strings.Contains(r.stdout, `"offset":4`) {
			t.Errorf("%s is shown as %s", id, r.stdout)
		}
		if r := runs(t, environ, "dlq", "show", id).must(t, exitOK); !strings.Contains(r.stdout, "commands-topic/0 at offset 4") || strings.ContainsAny(r.stdout, "\x00\u009b") {
			t.Errorf("%s is shown as %s", id, r.stdout)
		}
	}
	for _, id := range []string{"parked/availability/show-2", "parked/nothing/show-1", "dead/0/3", "dead/9/0"} {
		if r := runs(t, environ, "dlq", "show", id).must(t, exitFault); r.stdout != "" || !strings.Contains(r.stderr, id+": nothing stands aside") {
			t.Errorf("%s: it prints %s and says %s", id, r.stdout, r.stderr)
		}
	}
}

func TestDlqRetriesWhatStandsAside(t *testing.T) {
	t.Parallel()
	environ, db := parkedLog(t)
	if _, err := db.ExecContext(t.Context(), `INSERT INTO parked (projection, stream, version, position, type, reason)
		VALUES ('of_another_program', 'show-1', 1, 1, 'ShowCreated', 'x')`); err != nil {
		t.Fatal(err)
	}
	environ, cfg := withLetters(t, environ, deadCommand(`{"n":0}`), deadCommand(`{"n":1}`))
	r := runs(t, environ, "dlq", "retry", "parked/availability/show-9", "dead/0/7", "dead/0/1").must(t, exitFault)
	if strings.Count(r.stdout, "unknown: nothing stands aside") != 2 || !strings.Contains(r.stdout, "dead/0/1  retried: sent to commands-topic again") || !strings.Contains(r.stderr, ": 2 were handled before or are not known") {
		t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
	}
	r = runs(t, environ, "dlq", "retry", "dead/0/1").must(t, exitFault)
	if !strings.Contains(r.stdout, "dead/0/1  handled: was sent again") || strings.Contains(r.stderr, "stay") || !strings.Contains(r.stderr, "1 were handled before") {
		t.Errorf("a second time it prints %s and says %s", r.stdout, r.stderr)
	}
	r = runs(t, environ, "dlq", "retry", "--all", "--json").must(t, exitFault)
	outcomes := map[string]string{}
	for line := range strings.Lines(r.stdout) {
		var o asideOutcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		outcomes[o.ID] = o.Outcome
	}
	want := map[string]string{parkedShow: wentOn, "parked/of_another_program/show-1": staysPut, "dead/0/0": wentOn}
	if fmt.Sprint(outcomes) != fmt.Sprint(want) {
		t.Errorf("it prints %v, want %v", outcomes, want)
	}
	var version int64
	if err := db.GetContext(t.Context(), &version, `SELECT version FROM shows`); err != nil || version != 3 {
		t.Errorf("the row is at %d, %v", version, err)
	}
	var sent []string
	err := messaging.ReadTopic(t.Context(), cfg, messaging.CommandsTopic, func(_ int32, m messaging.Message) error {
		sent = append(sent, m.Key+" "+m.Metadata.Get("ce_type")+" "+string(m.Payload))
		return nil
	})
	if err != nil || fmt.Sprint(sent) != `[1 PlaceOrder {"n":1} 1 PlaceOrder {"n":0}]` {
		t.Errorf("sent were %v, %v", sent, err)
	}
	if ids, _ := runs(t, environ, "dlq", "list", "--json").must(t, exitOK).page(t); fmt.Sprint(ids) != "[parked/of_another_program/show-1]" {
		t.Errorf("aside are %v", ids)
	}
	if _, err := db.ExecContext(t.Context(), `DELETE FROM parked`); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, environ, "dlq", "retry", "--all").must(t, exitOK); r.stdout != "" {
		t.Errorf("with nothing to do it prints %s", r.stdout)
	}
}

func TestOneAtATimeRetriesOrDiscards(t *testing.T) {
	t.Parallel()
	environ, db := parkedLog(t)
	environ, cfg := withLetters(t, environ, deadCommand(`{"n":0}`))
	conn, err := db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), `SELECT set_config('application_name', 'ana at the box', false), pg_advisory_lock($1)`, dlqLock); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"dlq", "retry", "--all"}, {"dlq", "retry", "dead/0/0"}, {"dlq", "discard", parkedShow, "--reason", "x"}} {
		if r := runs(t, environ, args...).must(t, exitHeld); r.stdout != "" || !strings.Contains(r.stderr, "ana at the box") {
			t.Errorf("%v prints %s and says %s", args, r.stdout, r.stderr)
		}
	}
	if _, err := conn.ExecContext(t.Context(), `SELECT pg_advisory_unlock($1)`, dlqLock); err != nil {
		t.Fatal(err)
	}
	t.Run("so that a letter is sent once", func(t *testing.T) {
		const at = 6
		var all sync.WaitGroup
		results := make([]result, at)
		for i := range results {
			all.Go(func() { results[i] = runs(t, environ, "dlq", "retry", "dead/0/0") })
		}
		all.Wait()
		sent, went := 0, 0
		for _, r := range results {
			if r.code == exitOK {
				went++
			} else if r.code == exitHeld && !strings.Contains(r.stderr, "on test (boxoffice dlq)") && !strings.Contains(r.stderr, "just ended") {
				t.Errorf("it does not name the holder: %s", r.stderr)
			}
		}
		err := messaging.ReadTopic(t.Context(), cfg, messaging.CommandsTopic, func(int32, messaging.Message) error { sent++; return nil })
		if err != nil || sent != 1 || went != 1 {
			t.Errorf("%d sent it, %d times it came, %v: %+v", went, sent, err, results)
		}
	})
}

func TestALetterOfSomebodyElseIsCalledUnknown(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	letter := message.NewMessage("x", []byte("hello"))
	letter.Metadata.Set(messaging.KeyMetadata, "x")
	environ, _ = withLetters(t, environ, letter)
	if r := runs(t, environ, "dlq", "list").must(t, exitOK); !strings.Contains(r.stdout, "of unknown from unknown  unknown\n") {
		t.Errorf("it prints %s", r.stdout)
	}
	if r := runs(t, environ, "dlq", "show", "dead/0/0").must(t, exitOK); !strings.Contains(r.stdout, "reason    unknown\n") {
		t.Errorf("it shows %s", r.stdout)
	}
}

func TestDlqDiscardsForAReason(t *testing.T) {
	t.Parallel()
	environ, db := parkedLog(t)
	environ, _ = withLetters(t, environ, deadCommand(`{"n":0}`))
	r := runs(t, environ, "verify").must(t, exitDiffers)
	if !strings.Contains(r.stdout, "parked    availability show-1 at 2") || !strings.Contains(r.stdout, "DIFFERS 1 findings") {
		t.Errorf("parked, verify says %s", r.stdout)
	}
	begun := time.Now()
	runs(t, environ, "dlq", "discard", parkedShow, "--reason", "written by hand", "--by", "ana").must(t, exitOK)
	runs(t, environ, "dlq", "discard", "dead/0/0", "--reason", "spam").must(t, exitOK)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("that took %s", took)
	}
	if ids, _ := runs(t, environ, "dlq", "list", "--json").must(t, exitOK).page(t); len(ids) != 0 {
		t.Errorf("aside are %v", ids)
	}
	events, err := eventstore.New(db, eventstore.Config{}).ReadAll(t.Context(), 3, 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("the log has %+v, %v", events, err)
	}
	var got []domain.StreamDiscarded
	for _, e := range events {
		ev, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
		if err != nil || !strings.HasPrefix(e.Stream, "inbox-") {
			t.Fatalf("%+v, %v", e, err)
		}
		got = append(got, ev.(domain.StreamDiscarded))
	}
	if d := got[0]; d.Projection != "availability" || d.Stream != "show-1" || d.Version != 2 || d.Reason != "written by hand" || !strings.Contains(string(events[0].Metadata), `"operator:ana"`) {
		t.Errorf("the log has %+v with %s", d, events[0].Metadata)
	}
	if d := got[1]; d.Letter == nil || d.Letter.Topic != messaging.CommandsTopic || d.Letter.Partition != 0 || d.Letter.Offset != 0 || !strings.Contains(string(events[1].Metadata), `"operator:cli"`) {
		t.Errorf("the log has %+v with %s", d, events[1].Metadata)
	}
	r = runs(t, environ, "dlq", "list", "--discarded").must(t, exitOK)
	if !strings.HasPrefix(r.stdout, parkedShow+"  ") || !strings.Contains(r.stdout, "from version 2 on  written by hand") {
		t.Errorf("discarded are %s", r.stdout)
	}
	if r := runs(t, environ, "verify").must(t, exitOK); !strings.Contains(r.stdout, "left out") || !strings.Contains(r.stdout, "availability show-1 from version 2 on: written by hand") {
		t.Errorf("verify says %s", r.stdout)
	}
	for _, id := range []string{parkedShow, "dead/0/0"} {
		runs(t, environ, "dlq", "discard", id, "--reason", "twice").must(t, exitFault)
		runs(t, environ, "dlq", "retry", id).must(t, exitFault)
	}
	if n, err := projections.CountParked(t.Context(), db); err != nil || len(n) != 0 {
		t.Errorf("parked are %v, %v", n, err)
	}
}
