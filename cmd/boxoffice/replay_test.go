package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections/replay"
)

// spoken is a stderr that may be read while it is written.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// asked runs a command line on a terminal at which somebody answers.
func asked(t *testing.T, environ []string, answer string, args ...string) result {
	t.Helper()
	var stdout bytes.Buffer
	var stderr spoken
	code := run(t.Context(), args, surroundings{&stdout, &stderr, environ, "test", strings.NewReader(answer), true, true})
	return result{code, stdout.String(), stderr.String()}
}

func TestReplayIsUsedRightly(t *testing.T) {
	t.Parallel()
	nowhere := []string{"DATABASE_URL=postgres://u@" + closedAddress(t) + "/x"}
	for args, want := range map[string]string{
		"replay":                                     "arg",
		"replay shows --yes":                         `no projection "shows"; there are availability, order_status, open_items`,
		"replay availability bookings --yes":         `"bookings"`,
		"replay all availability --yes":              "name no other",
		"replay all --yes --max-rows 0":              "--max-rows",
		"replay all --yes --max-rows many":           "a whole number",
		"replay all":                                 "say --yes, or --dry-run",
		"replay all --json":                          "say --yes",
		"replay all --yes --database-url mysql://x":  "DATABASE_URL",
		"replay all --yes --migrate-database-url xy": "MIGRATE_DATABASE_URL",
	} {
		r := runs(t, nowhere, strings.Fields(args)...).must(t, exitUsage)
		if r.stdout != "" || !strings.HasPrefix(r.stderr, "boxoffice replay: ") || !strings.Contains(r.stderr, want) {
			t.Errorf("%s prints %q and says %q", args, r.stdout, r.stderr)
		}
	}
	if r := asked(t, nowhere, "y\n", "replay", "all", "--json").must(t, exitUsage); !strings.Contains(r.stderr, "say --yes") {
		t.Errorf("a question would stand among the JSON: %s", r.stderr)
	}
	runs(t, nil, "replay", "all", "--yes").must(t, exitUsage)
	for _, args := range [][]string{{"replay", "all", "--dry-run"}, {"replay", "all", "--yes", "--json"}} {
		runs(t, nowhere, args...).must(t, exitUnreachable)
	}
	asked(t, nowhere, "", "replay", "all").must(t, exitUnreachable)
}

func TestReplayCompletesTheNamesOfReadModels(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":             "availability order_status open_items all",
		"availability": "order_status open_items",
		"all":          "",
	} {
		r := runs(t, nil, append(append([]string{"__complete", "replay"}, strings.Fields(args)...), "")...)
		names, _, _ := strings.Cut(r.stdout, ":")
		got := strings.Join(strings.Fields(names), " ")
		for name := range strings.FieldsSeq(want) {
			if !strings.Contains(" "+got+" ", " "+name+" ") {
				t.Errorf("after %q it completes %q, without %s", args, got, name)
			}
		}
		if args != "" && (strings.Contains(got, "availability") || strings.Contains(got, "all")) || args == "all" && got != "" {
			t.Errorf("after %q it completes %q", args, got)
		}
	}
}

func TestReplayNeedsThisVersionsSchema(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	if _, err := db.ExecContext(t.Context(), `ALTER TABLE open_items DROP COLUMN reason`); err != nil {
		t.Fatal(err)
	}
	r := runs(t, environ, "replay", "all", "--yes").must(t, exitFault)
	if !strings.Contains(r.stderr, "open_items.reason") || !strings.Contains(r.stderr, "boxoffice migrate") {
		t.Errorf("it says %s", r.stderr)
	}
}

func TestOneReplayAtATime(t *testing.T) {
	t.Parallel()
	environ, db, _ := soldShow(t)
	if _, err := lockSession(t.Context(), db, lock{replayLock, "boxoffice replay", "rebuilds read models"}, "box-1"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"replay", "all", "--yes"}, {"replay", "availability", "--dry-run", "--json"}} {
		r := runs(t, environ, args...).must(t, exitHeld)
		if r.stdout != "" || !strings.Contains(r.stderr, "on box-1 (boxoffice replay) rebuilds read models since ") {
			t.Errorf("%v prints %q and says %q", args, r.stdout, r.stderr)
		}
	}
}

func TestAReportOfAReplayIsReadable(t *testing.T) {
	t.Parallel()
	report := replay.Report{
		Head: 1234, Events: 2468, Passes: 2, Took: 1300 * time.Millisecond, EventsPerSecond: 949.2,
		ReadModels: []replay.ReadModel{
			{Projection: "availability", Swapped: true, Tables: []replay.Table{
				{Table: "shows", Rows: 1, Equal: 1},
				{Table: "availability", Rows: 30, Equal: 4, Behind: 1, Differ: 24, Surplus: 1, Differences: []replay.Difference{{Key: "1/1\u009b", Version: 7, Detail: "held 3, the log says 2"}}},
			}},
			{
				Projection: "order_status", Swapped: true, Tables: []replay.Table{{Table: "order_status", Rows: 2, Equal: 2}},
				Parked: []replay.Parked{{Stream: "order-a/b", Version: 3, Reason: "panic: \u009b"}},
			},
		},
	}
	want := `head      position 1234
log       2468 events read in 1.3s, 949 a second, in 2 passes
availability  swapped
  shows            1 row: 1 equal, 0 behind, 0 differ, 0 surplus
  availability     30 rows: 4 equal, 1 behind, 24 differ, 1 surplus
    1/1� at version 7: held 3, the log says 2
    and 25 more
order_status  swapped
  order_status     2 rows: 2 equal, 0 behind, 0 differ, 0 surplus
  parked           order-a/b from version 3 on: panic: �
                   see boxoffice dlq show parked/order_status/order-a%2Fb
repaired  25 rows differed from the log; the new tables are what it says, and in use now.
behind    1 row in use stood at an older version, and could not be compared. Run boxoffice lag to see whether
          a projection stands still.
parked    1 stream: the rows stop before the event that can't be folded. With a program that can fold
          it, run boxoffice dlq retry; else give it up with boxoffice dlq discard.
`
	if got := replayText(report); got != want {
		t.Errorf("it is\n%s", got)
	}
	for _, c := range []struct {
		dryRun, swapped bool
		table           replay.Table
		want            string
	}{
		{true, false, replay.Table{}, "ok        the tables in use are what the log says. Nothing was changed."},
		{true, false, replay.Table{Differ: 1}, "DIFFERS   1 row in use differ from the log. Nothing was changed; the same without --dry-run repairs it."},
		{true, false, replay.Table{Behind: 1}, "DIFFERS   the tables in use lack something of the log. Nothing was changed.\nbehind    1 row"},
		{true, false, replay.Table{Rows: 3, Behind: 3, WasEmpty: true}, "DIFFERS   the tables in use lack something of the log. Nothing was changed.\nempty     tables in use have no rows where the log makes 3 rows."},
		{false, false, replay.Table{}, "ok        the tables in use are what the log says. Nothing was changed."},
		{false, false, replay.Table{Surplus: 2}, "DIFFERS   2 rows in use differ from the log. Nothing was changed."},
		{false, true, replay.Table{}, "ok        the new tables are in use; the old ones were what the log says."},
		{false, true, replay.Table{Differ: 2}, "repaired  2 rows differed"},
		{false, true, replay.Table{Behind: 2}, "swapped   the new tables are what the log says, and in use now.\nbehind    2 rows"},
		{false, true, replay.Table{Rows: 3, Behind: 3, WasEmpty: true}, "swapped   the new tables are what the log says, and in use now.\nfilled    tables that were empty: 3 rows"},
	} {
		report := replay.Report{DryRun: c.dryRun, ReadModels: []replay.ReadModel{{Swapped: c.swapped, Tables: []replay.Table{c.table}}}}
		if got := verdict(report); !strings.HasPrefix(got, c.want) || strings.HasPrefix(got, "ok ") == report.Differs() {
			t.Errorf("%+v is told as %s", c, got)
		}
	}
	half := replay.Report{ReadModels: []replay.ReadModel{{Swapped: true, Tables: []replay.Table{{Differ: 2}}}, {Tables: []replay.Table{{}}}}}
	if got := verdict(half); got != "unchanged 1 read model not swapped.\nrepaired  2 rows differed from the log; the new tables are what it says, and in use now.\n" {
		t.Errorf("half of it is told as %s", got)
	}
	for want, table := range map[string]replay.Table{
		"\n  shows            was empty: 30 rows were filled\n": {Table: "shows", Rows: 30, Behind: 30, WasEmpty: true},
		"\n  shows            was empty: 1 row was filled\n":    {Table: "shows", Rows: 1, Behind: 1, WasEmpty: true},
	} {
		got := comparisonText(replay.Report{ReadModels: []replay.ReadModel{{Swapped: true, Tables: []replay.Table{table}}}})
		if !strings.HasSuffix(got, want) {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

func TestAReplayThatFailsHalfwayTellsWhatItHasSwapped(t *testing.T) {
	t.Parallel()
	report := replay.Report{ReadModels: []replay.ReadModel{
		{Projection: "availability", Swapped: true, Tables: []replay.Table{{
			Table: "shows", Rows: 2, Equal: 1, Differ: 1, Differences: []replay.Difference{{Key: "7", Version: 3, Detail: "name is Gala"}},
		}}},
		{Projection: "order_status"},
	}}
	broken := errors.New("no room on the disk")
	var stdout, stderr bytes.Buffer
	r := rebuild{cli: &cli{surroundings: surroundings{stdout: &stdout, stderr: &stderr}}}
	if err := r.failed(t.Context(), report, broken); !errors.Is(err, broken) {
		t.Errorf("it failed with %v", err)
	}
	for _, want := range []string{"availability  swapped\n", "7 at version 3: name is Gala", "unchanged 1 read model", "repaired  1 row"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in %s", want, stdout.String())
		}
	}
	if !strings.Contains(stderr.String(), "Swapped are availability") {
		t.Errorf("it says %s", stderr.String())
	}
	stdout.Reset()
	report.ReadModels[0].Swapped = false
	if err := r.failed(t.Context(), report, broken); !errors.Is(err, broken) || stdout.Len() > 0 || !strings.Contains(stderr.String(), "untouched. The") {
		t.Errorf("it failed with %v and prints %s and says %s", err, stdout.String(), stderr.String())
	}
}

// tampered is the log of a show whose rows a replay has made, and one of which somebody has changed since.
func tampered(t *testing.T) (environ []string, held func() int64) {
	t.Helper()
	environ, db, _ := soldShow(t)
	runs(t, environ, "replay", "all", "--yes").must(t, exitOK)
	if _, err := db.ExecContext(t.Context(), `UPDATE availability SET held = 5`); err != nil {
		t.Fatal(err)
	}
	return environ, func() (held int64) {
		t.Helper()
		if err := db.GetContext(t.Context(), &held, `SELECT held FROM availability`); err != nil {
			t.Fatal(err)
		}
		return held
	}
}

func TestReplayRepairsWhatDiffers(t *testing.T) {
	t.Parallel()
	environ, held := tampered(t)
	t.Run("a dry run only tells", func(t *testing.T) {
		r := runs(t, environ, "replay", "all", "--dry-run").must(t, exitDiffers)
		if !strings.Contains(r.stdout, "DIFFERS   1 row") || !strings.Contains(r.stdout, "1 differ") || strings.Contains(r.stdout, "swapped") || held() != 5 {
			t.Errorf("%d held; it prints %s", held(), r.stdout)
		}
		runs(t, environ, "replay", "order_status", "--dry-run").must(t, exitOK)
		var report replay.Report
		r = runs(t, environ, "replay", "availability", "--dry-run", "--json").must(t, exitDiffers)
		if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || !report.Differs() || !report.DryRun || report.Head != 3 || len(report.ReadModels) != 1 {
			t.Errorf("it prints %s: %v", r.stdout, err)
		}
		phases := map[string]bool{}
		for line := range strings.Lines(r.stderr) {
			var s stepTold
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			phases[s.Phase] = true
		}
		for _, phase := range []replay.Phase{replay.Reading, replay.Writing, replay.Indexing, replay.Comparing} {
			if !phases[string(phase)] {
				t.Errorf("%q is not told: %s", phase, r.stderr)
			}
		}
	})
	t.Run("it asks, and no changes nothing", func(t *testing.T) {
		for _, answer := range []string{"n\n", "", "\n"} {
			r := asked(t, environ, answer, "replay", "availability", "open_items").must(t, exitOK)
			if !strings.Contains(r.stderr, "Swap 2 read models? [y/N]") || !strings.Contains(r.stderr, "1 differ") || !strings.Contains(r.stdout, "Nothing was changed") || held() != 5 {
				t.Errorf("%q: %d held; it prints %s and says %s", answer, held(), r.stdout, r.stderr)
			}
		}
	})
	t.Run("a yes swaps", func(t *testing.T) {
		r := asked(t, environ, "y\n", "replay", "availability").must(t, exitOK)
		if !strings.Contains(r.stdout, "repaired  1 row") || !strings.Contains(r.stderr, "read ") || held() != 0 {
			t.Errorf("%d held; it prints %s and says %s", held(), r.stdout, r.stderr)
		}
		runs(t, environ, "replay", "all", "--dry-run").must(t, exitOK)
		runs(t, environ, "verify").must(t, exitOK)
	})
}

func TestAReplayThatIsInterruptedChangesNothing(t *testing.T) {
	t.Parallel()
	environ, held := tampered(t)
	stdin, typing := io.Pipe() // nobody types
	defer func() { _ = typing.Close() }()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout bytes.Buffer
	var stderr spoken
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"replay", "all"}, surroundings{&stdout, &stderr, environ, "test", stdin, true, true})
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !strings.Contains(stderr.String(), "[y/N]") {
		select {
		case got := <-code:
			t.Fatalf("exit %d: %s", got, stderr.String())
		case <-look.C:
		}
	}
	begun := time.Now()
	interrupt()
	if got := <-code; got != exitInterrupted || stdout.Len() > 0 || !strings.Contains(stderr.String(), "The tables in use are untouched") || held() != 5 {
		t.Errorf("exit %d, %d held, %q, %s", got, held(), stdout.String(), stderr.String())
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("that took %s", took)
	}
	runs(t, environ, "replay", "all", "--yes").must(t, exitOK)
}

func TestReplayWorksAsTheOwnerOfTheTables(t *testing.T) {
	t.Parallel()
	empty := devstack.Postgres(t).Empty(t)
	role, url := empty.Role(t)
	service, owner := "DATABASE_URL="+url, "MIGRATE_DATABASE_URL="+empty.URL
	runs(t, []string{service, owner}, "migrate").must(t, exitOK)
	r := runs(t, []string{service}, "replay", "all", "--yes").must(t, exitFault)
	if !strings.Contains(r.stderr, "MIGRATE_DATABASE_URL") || !strings.Contains(r.stderr, "untouched") {
		t.Errorf("as the service's role it says %s", r.stderr)
	}
	runs(t, []string{service, owner}, "replay", "all", "--yes").must(t, exitOK)
	runs(t, []string{owner}, "replay", "all", "--yes").must(t, exitOK)
	db, err := eventstore.OpenDB(url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, table := range []string{"shows", "ticket_types", "availability", "order_status", "open_items"} {
		for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			var may bool
			if err := db.GetContext(t.Context(), &may, `SELECT has_table_privilege($1, $2, $3)`, role, table, right); err != nil || !may {
				t.Errorf("afterwards the service may not %s %s: %v", right, table, err)
			}
		}
	}
	if r := runs(t, []string{service}, "verify"); r.code != exitOK {
		t.Errorf("afterwards the service says %s", fmt.Sprint(r))
	}
}
