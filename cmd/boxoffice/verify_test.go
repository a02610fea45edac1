package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
	"boxoffice/projections/verify"
)

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
	if !strings.Contains(r.stdout, "availability 1/1: version 3: held is 1, the log makes 0") || !strings.Contains(r.stdout, "boxoffice replay availability") ||
		!strings.Contains(r.stderr, "1 findings") {
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

func TestVerifyComparesTheHeadThatWasKept(t *testing.T) {
	t.Parallel()
	environ, db, events := soldShow(t)
	first, head := fmt.Sprintf("2:%x", events[1].Hash), fmt.Sprintf("3:%x", events[2].Hash)
	for _, kept := range []string{first, head} {
		r := runs(t, environ, "verify", "--head", kept).must(t, exitOK)
		if !strings.Contains(r.stdout, "proved  the log still has the hash that was kept of it") {
			t.Errorf("it prints %s", r.stdout)
		}
	}
	for _, kept := range []string{"3:" + first[2:], "1:" + first[2:], "4:" + first[2:]} {
		r := runs(t, environ, "verify", "--head", kept).must(t, exitDiffers)
		if !strings.Contains(r.stdout, "BROKEN  the log still has the hash that was kept of it: 1 findings") || !strings.Contains(r.stdout, "events at "+kept[:1]+": ") {
			t.Errorf("%s: it prints %s", kept, r.stdout)
		}
	}
	for _, wrong := range []string{"", "3", "3:", ":" + first[2:], "0:" + first[2:], "3:abc", "3:" + first[4:], "3:" + first[2:] + "00"} {
		if r := runs(t, environ, "verify", "--head", wrong).must(t, exitUsage); !strings.Contains(r.stderr, "POSITION:HASH") {
			t.Errorf("%q: it says %s", wrong, r.stderr)
		}
	}
	t.Run("a past that was rebuilt is found by it alone", func(t *testing.T) {
		e := events[2].Event
		e.Metadata = []byte(`{}`)
		hash := eventstore.Chain(events[1].Hash, []eventstore.Event{e}, events[2].RecordedAt, 3)
		for _, statement := range []string{
			`ALTER TABLE events DISABLE TRIGGER USER`,
			fmt.Sprintf(`UPDATE events SET metadata = '{}', hash = '\x%x' WHERE position = 3`, hash),
			fmt.Sprintf(`UPDATE log_head SET hash = '\x%x'`, hash),
		} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		runs(t, environ, "verify").must(t, exitOK)
		runs(t, environ, "verify", "--head", first).must(t, exitOK)
		runs(t, environ, "verify", "--head", head).must(t, exitDiffers)
	})
}

func TestTheReportOfAVerificationSaysWhatToDo(t *testing.T) {
	t.Parallel()
	t.Run("every kind of finding has words", func(t *testing.T) {
		t.Parallel()
		kinds := map[verify.Kind]bool{}
		for _, k := range kindTexts() {
			if k.what == "" || k.next == "" || kinds[k.kind] {
				t.Errorf("%+v", k)
			}
			kinds[k.kind] = true
		}
		for _, kind := range append(verify.AuditKinds(), verify.KindBehind, verify.KindParked, verify.KindTopic, verify.KindKept) {
			if !kinds[kind] {
				t.Errorf("%s has none", kind)
			}
		}
	})
	t.Run("findings stand together by kind, the worst first", func(t *testing.T) {
		t.Parallel()
		text := reportText(verify.Report{
			Found: 5, Kinds: map[verify.Kind]int64{verify.KindRow: 3, verify.KindHash: 1, verify.KindBehind: 1},
			Promises: []verify.Promise{{Name: "rows", Text: "rows are equal", Checked: true, Found: 4}, {Name: "topics", Text: "topics are equal"}},
			Findings: []verify.Finding{
				{Kind: verify.KindRow, Key: "order_status ORDER-1", Columns: []string{"total"}, Detail: "total is 1, the log makes 2\x1b[2J"},
				{Kind: verify.KindHash, Key: "show-1:1", Position: 1, Detail: "not what was hashed"},
				{Kind: verify.KindBehind, Key: "orders-topic", Position: 7, Detail: "not in the topic"},
				{Kind: verify.KindRow, Key: "ticket_types 1/1", Detail: "price is 1, the log makes 2"},
			},
		})
		lines := []string{
			"BROKEN  rows are equal: 4 findings\n", "-       topics are equal: not looked at, ask for it with --kafka\n", "DIFFERS 5 findings\n",
			"\nhash (1): ", "  hash      show-1:1 at 1: not what was hashed\n",
			"\nrow (3): ", "boxoffice replay availability and boxoffice replay order_status.", "  row       order_status ORDER-1: total is 1, the log makes 2�[2J\n",
			"  row       ticket_types 1/1: ", "  and 1 more\n", "\nbehind (1): ", "boxoffice replay PROJECTION",
		}
		at := make([]int, len(lines))
		for i, line := range lines {
			at[i] = strings.Index(text, line)
		}
		if !slices.IsSorted(at) || at[0] < 0 {
			t.Errorf("it prints %s", text)
		}
	})
}
