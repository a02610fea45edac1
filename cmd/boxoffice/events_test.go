package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func TestEventsPrintsTheLog(t *testing.T) {
	t.Parallel()
	environ, _, events := soldShow(t)
	first, second := events[0].RecordedAt, events[2].RecordedAt // a second apart; the first append has two events
	stamp := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
	for _, c := range []struct {
		args []string
		want string // positions
		told string // on stderr
	}{
		{nil, "1 2 3", ""},
		{[]string{"--from", "2"}, "2 3", ""},
		{[]string{"--from", "0", "--to", "0"}, "1 2 3", ""},
		{[]string{"--to", "2"}, "1 2", ""},
		{[]string{"--from", "2", "--to", "2"}, "2", ""},
		{[]string{"--from", "4"}, "", ""},
		{[]string{"--type", "SalesPaused"}, "2", ""},
		{[]string{"--stream", "show-1", "--from", "3"}, "3", ""},
		{[]string{"--stream", "show-1", "--from", "9"}, "", ""},
		{[]string{"--stream", "show-1", "--to", "1"}, "1", ""},
		{[]string{"--from", stamp(first)}, "1 2 3", ""},
		{[]string{"--from", stamp(first.Add(time.Nanosecond))}, "3", ""},
		{[]string{"--from", stamp(second)}, "3", ""},
		{[]string{"--from", stamp(second.In(time.FixedZone("", 7*3600)))}, "3", ""},
		{[]string{"--from", stamp(second.Add(time.Microsecond))}, "", ""},
		{[]string{"--to", stamp(second)}, "1 2 3", ""},
		{[]string{"--to", stamp(second.Add(-time.Nanosecond))}, "1 2", ""},
		{[]string{"--to", stamp(first.Add(-time.Microsecond))}, "", ""},
		{[]string{"--to", stamp(time.Now().Add(time.Hour))}, "1 2 3", ""},
		{[]string{"--to", "0001-01-01T00:00:00Z"}, "", ""},
		{[]string{"--follow", "--to", "0001-01-01T00:00:00Z"}, "", ""},
		{[]string{"--from", "0001-01-01T00:00:00Z"}, "1 2 3", ""},
		{[]string{"--from", stamp(first), "--to", stamp(first)}, "1 2", ""},
		{[]string{"--from", "2", "--to", stamp(first)}, "2", ""},
		{[]string{"--from", "3", "--to", stamp(first)}, "", ""},
		{[]string{"--stream", "show-1", "--from", stamp(second)}, "3", ""},
		{[]string{"--follow", "--to", "3"}, "1 2 3", ""},
		{[]string{"--follow", "--to", stamp(second.Add(-time.Second))}, "1 2", ""},
		{[]string{"--follow", "--stream", "show-1", "--to", "2"}, "1 2", ""},
		{[]string{"--stream", "show-9"}, "", `there is no stream "show-9"`},
		{[]string{"--stream", "ORDER-20250205-00000001"}, "", "did you mean order-ORDER-20250205-00000001?"},
		{[]string{"--stream", "PAY-20250205-00000001-1"}, "", "did you mean payment-PAY-20250205-00000001-1?"},
		{[]string{"--stream", "Gala"}, "", "streams have names like show-42"},
		{[]string{"--type", "salespaused"}, "", "did you mean SalesPaused?"},
		{[]string{"--type", "Refund"}, "", "did you mean OrderRefunded or RefundRequested or RefundCompleted or RefundFailed?"},
		{[]string{"--type", "TicketAdmitted"}, "", "a newer program may have written it"},
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
		if strings.Join(got, " ") != c.want || (r.stderr == "") != (c.told == "") || !strings.Contains(r.stderr, c.told) {
			t.Errorf("%v prints %v and says %q, want %s and %q", c.args, got, r.stderr, c.want, c.told)
		}
	}
}

func TestEventsTellsPeopleInWords(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newer := eventstore.Event{
		Stream: "show-1", Version: 4, Type: "ShowDanced", SchemaVersion: 1, Data: []byte(`{"to":"` + strings.Repeat("x", 300) + `"}`), Metadata: []byte(`{}`),
	}
	if _, err := store.Append(t.Context(), eventstore.Batch{Head: head, Time: head.Time, Events: []eventstore.Event{newer}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(runs(t, environ, "events").must(t, exitOK).stdout, "\n")
	for i, want := range [][]string{
		{"show-1:1", "ShowCreated", `Show 1 is "Gala`, `1 "Stalls" at 100 IDR, capacity 10`},
		{"show-1:2", "SalesPaused", "Sales paused"},
		{"show-1:3", "SalesResumed", "Sales go on"},
		{"show-1:4", "ShowDanced", `{"to":"xxx`},
	} {
		for _, word := range want {
			if !strings.Contains(lines[i], word) || strings.Contains(lines[i], "\u009b") || len(lines[i]) > 400 {
				t.Errorf("line %d is %q, without %s", i+1, lines[i], word)
			}
		}
	}
}

func TestEventsRefusesWhatIsNoRange(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{
		"--from=x": `--from: "x" is not a position of the log or a time like`,
		"--to=-3":  `--to: "-3" is not a position of the log or a time like`,
		"--from=2025-02-05T12:00:00Z --to=0001-01-01T00:00:00Z": "from 2025-02-05T12:00:00Z to 0001-01-01T00:00:00Z is no range",
		"--from=2025-02-05": `--from: "2025-02-05" is not a position of the log or a time like`,
	} {
		if r := runs(t, nil, append([]string{"events"}, strings.Fields(flag)...)...).must(t, exitUsage); !strings.Contains(r.stderr, want) {
			t.Errorf("%s: it says %s", flag, r.stderr)
		}
	}
}

// following is a run of events --follow whose output is read line by line.
type following struct {
	out, talk *pipe
	code      chan int
	interrupt context.CancelFunc
}

func follows(t *testing.T, environ []string, args ...string) *following {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	f := &following{&pipe{lines: make(chan string, 9)}, &pipe{lines: make(chan string, 9)}, make(chan int, 1), interrupt}
	go func() {
		f.code <- run(ctx, append([]string{"events", "--follow"}, args...), surroundings{stdout: f.out, stderr: f.talk, environ: environ, hostname: "test"})
	}()
	t.Cleanup(interrupt)
	return f
}

// line is the next line of an output, which must have a word.
func line(t *testing.T, p *pipe, word string) {
	t.Helper()
	select {
	case got := <-p.lines:
		if !strings.Contains(got, word) {
			t.Fatalf("there comes %q, without %s", got, word)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing with %s came", word)
	}
}

func (f *following) ends(t *testing.T, code int) {
	t.Helper()
	select {
	case got := <-f.code:
		if got != code || len(f.talk.lines) > 0 || len(f.out.lines) > 0 {
			t.Errorf("exit %d, with %d lines of output and %d of talk unread", got, len(f.out.lines), len(f.talk.lines))
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it did not end")
	}
}

func TestEventsFollowsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	f := follows(t, environ, "--from", "3")
	line(t, f.out, "SalesResumed")
	write(t, eventstore.New(db, eventstore.Config{}), domain.SalesPaused{ShowID: 1})
	line(t, f.out, "show-1:4")
	f.interrupt()
	f.ends(t, exitInterrupted)
}

func TestEventsFollowsUpToTheLastThatIsWanted(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	store, later := eventstore.New(db, eventstore.Config{}), time.Now().Add(time.Hour)
	byPosition, byTime := follows(t, environ, "--from", "3", "--to", "4"), follows(t, environ, "--from", "3", "--to", later.Format(time.RFC3339Nano))
	ofNothing := follows(t, environ, "--stream", "show-2", "--to", "5")
	line(t, byPosition.out, "show-1:3")
	line(t, byTime.out, "show-1:3")
	line(t, ofNothing.talk, "there is no stream")
	write(t, store, domain.SalesPaused{ShowID: 1})
	line(t, byPosition.out, "show-1:4")
	byPosition.ends(t, exitOK)
	line(t, byTime.out, "show-1:4")
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tooLate := eventstore.Event{Stream: "show-1", Version: 5, Type: "SalesResumed", SchemaVersion: 1, Data: []byte(`{}`), Metadata: []byte(`{}`)}
	if _, err := store.Append(t.Context(), eventstore.Batch{Head: head, Time: later.Add(time.Second).Truncate(time.Second), Events: []eventstore.Event{tooLate}}); err != nil {
		t.Fatal(err)
	}
	byTime.ends(t, exitOK)
	ofNothing.ends(t, exitOK)
}

func TestEventsFollowsThroughARestartOfPostgres(t *testing.T) {
	t.Parallel()
	pg := devstack.OwnPostgres(t, nil)
	db := pg.Open(t)
	store := eventstore.New(db, eventstore.Config{})
	write(t, store, domain.ShowCreated{ShowID: 1, Name: "Gala"})
	f := follows(t, []string{"DATABASE_URL=" + pg.URL})
	line(t, f.out, "show-1:1")
	if err := pg.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	line(t, f.talk, "waiting for it")
	if err := pg.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	line(t, f.talk, "there again")
	write(t, store, domain.SalesPaused{ShowID: 1})
	line(t, f.out, "show-1:2")
	f.interrupt()
	f.ends(t, exitInterrupted)
}

func TestEventsEndsWhenTheLogWasReplaced(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	f := follows(t, environ, "--from", "3")
	line(t, f.out, "show-1:3")
	// As a restored backup, or a replica that lagged, would have it.
	if _, err := db.ExecContext(t.Context(), `UPDATE log_head SET position = 2`); err != nil {
		t.Fatal(err)
	}
	line(t, f.talk, "the log ends at 2 now, after 3 was seen")
	f.ends(t, exitFault)
}

func TestEventsEndsWhenTheLogWasReplacedByOneThatIsAsLong(t *testing.T) {
	t.Parallel()
	for name, replaces := range map[string]func(*testing.T, *sqlx.DB){
		"and ends there": func(t *testing.T, db *sqlx.DB) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), `UPDATE log_head SET hash = sha256('another')`); err != nil {
				t.Fatal(err)
			}
		},
		"and goes on": func(t *testing.T, db *sqlx.DB) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), `ALTER TABLE events DISABLE TRIGGER events_append_only;
				UPDATE events SET hash = sha256('another') WHERE position = 3`); err != nil {
				t.Fatal(err)
			}
			write(t, eventstore.New(db, eventstore.Config{}), domain.SalesPaused{ShowID: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ, db, _ := soldShow(t)
			f := follows(t, environ, "--from", "3")
			line(t, f.out, "show-1:3")
			replaces(t, db)
			line(t, f.talk, "the append that ends at 3 is another one than was seen")
			f.ends(t, exitFault)
		})
	}
}

func TestEventsAreInterruptedAlsoWhereNothingIsFollowed(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, talk bytes.Buffer
	if code := run(ctx, []string{"events"}, surroundings{stdout: &out, stderr: &talk, environ: environ, hostname: "test"}); code != exitInterrupted || out.Len() > 0 {
		t.Errorf("exit %d, %q %q", code, out.String(), talk.String())
	}
}
