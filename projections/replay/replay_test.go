package replay_test

import (
	"context"
	"strings"
	"testing"

	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/replay"
)

func TestARebuiltReadModelEqualsTheOneThatWasProjectedLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6_000)
	w.project(t)
	live, shape := w.digest(t), w.shape(t)
	report := w.replay(t, replay.Config{})
	for _, m := range report.ReadModels {
		if !m.Swapped {
			t.Errorf("%s was not swapped", m.Projection)
		}
		for _, table := range m.Tables {
			if table.Equal != table.Rows {
				t.Errorf("%+v", table)
			}
		}
	}
	if report.Differs() || report.Passes != 1 || report.Head != w.log.Head.Position {
		t.Errorf("%+v", report)
	}
	if now := w.digest(t); now != live {
		t.Errorf("rebuilt\n%s\nlive\n%s", now, live)
	}
	if now := w.shape(t); now != shape {
		t.Errorf("the tables are now\n%s\nand were\n%s", now, shape)
	}
	if left := w.text(t, `SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE '%replay'`); left != "0" {
		t.Error("the schema of the new tables is still there")
	}
	w.proves(t)
}

func TestEmptyReadModelsAreFilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3_000)
	w.replay(t, replay.Config{})
	w.proves(t)
	t.Run("and a log that has nothing makes empty ones", func(t *testing.T) {
		w := newWorld(t, 1)
		w.exec(t, `TRUNCATE shows, ticket_types, availability, order_status, open_items`)
		w.replay(t, replay.Config{})
		w.proves(t)
	})
}

func TestRowsThatDoNotFitIntoMemoryAreFoldedByRangesOfKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6_000)
	w.project(t)
	live := w.digest(t)
	more := 0
	report := w.replay(t, replay.Config{MaxRows: 150, Progress: func(p replay.Progress) {
		if p.Phase == replay.Indexing && p.Done == 0 && more == 0 {
			more = 1
			logtest.Write(t, w.db, logtest.Plan{Events: 6_000, Shows: 2, Seed: 8}) // so there is something to catch up with
		}
	}})
	if report.Passes < 4 || report.Head <= w.log.Head.Position {
		t.Errorf("%+v", report)
	}
	w.proves(t)
	if w.digest(t) == live {
		t.Error("what was appended meanwhile is not there")
	}
}

func TestWhatIsAppendedMeanwhileIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6_000)
	phases := map[replay.Phase]bool{}
	report := w.replay(t, replay.Config{Progress: func(p replay.Progress) {
		if !phases[p.Phase] && (p.Phase == replay.Indexing || p.Phase == replay.Comparing || p.Phase == replay.Swapping) {
			logtest.Write(t, w.db, logtest.Plan{Events: 6_000, Shows: 2, Seed: 9})
		}
		phases[p.Phase] = true
	}})
	for _, phase := range []replay.Phase{replay.Reading, replay.Writing, replay.Indexing, replay.Catching, replay.Comparing, replay.Swapping} {
		if !phases[phase] {
			t.Errorf("nothing was told of phase %s", phase)
		}
	}
	if report.Head < 4*5_000 {
		t.Errorf("%+v", report)
	}
	w.proves(t)
}

func TestAReplayNamesWhatDiffersAndRepairsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6_000)
	w.project(t)
	live := w.digest(t)
	order := w.text(t, `SELECT order_id FROM order_status WHERE status = 'COMPLETED' ORDER BY order_id LIMIT 1`)
	w.exec(t, `UPDATE order_status SET total = total + 1 WHERE order_id = $1`, order)
	gone := w.text(t, `DELETE FROM order_status WHERE order_id = (SELECT max(order_id) FROM order_status) RETURNING order_id`)
	w.exec(t, `UPDATE availability SET sold = sold + 1, version = version + 5 WHERE (show_id, ticket_type_id) = (SELECT min(show_id), 1 FROM availability)`)
	w.exec(t, `INSERT INTO ticket_types SELECT show_id, 99, name, price, max_per_order, max_per_customer, sales_from, sales_to, version FROM ticket_types LIMIT 1`)
	tampered := w.digest(t)

	dry := w.replay(t, replay.Config{DryRun: true})
	if w.digest(t) != tampered {
		t.Fatal("a dry run has changed something")
	}
	for _, report := range []replay.Report{dry, w.replay(t, replay.Config{})} {
		if !report.Differs() {
			t.Errorf("%+v", report)
		}
		orders, types, left := table(t, report, "order_status"), table(t, report, "ticket_types"), table(t, report, "availability")
		if orders.Differ != 1 || orders.Behind != 1 || orders.Surplus != 0 || types.Surplus != 1 || left.Surplus != 1 {
			t.Errorf("order_status %+v\nticket_types %+v\navailability %+v", orders, types, left)
		}
		wants(t, orders, order, "total is")
		wants(t, orders, gone, "is missing")
		wants(t, types, "/99", "the log makes no such row")
		wants(t, left, "/1", "the log's newest is")
	}
	if w.digest(t) != live {
		t.Error("the replay has not repaired it")
	}
}

func table(t *testing.T, r replay.Report, name string) replay.Table {
	t.Helper()
	for _, m := range r.ReadModels {
		for _, table := range m.Tables {
			if table.Table == name {
				return table
			}
		}
	}
	t.Fatalf("no table %s in %+v", name, r)
	return replay.Table{}
}

func wants(t *testing.T, table replay.Table, key, detail string) {
	t.Helper()
	for _, d := range table.Differences {
		if strings.HasSuffix(d.Key, key) && strings.Contains(d.Detail, detail) {
			return
		}
	}
	t.Errorf("%s: no difference at %s that says %q in %+v", table.Table, key, detail, table.Differences)
}

func TestNothingIsSwappedUnlessItIsConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3_000)
	w.exec(t, `INSERT INTO open_items SELECT 'x', 'k', '', '', 1, '', now(), '', false, NULL, '', 1, 1`)
	before := w.digest(t)
	var asked replay.Report
	report := w.replay(t, replay.Config{Confirm: func(_ context.Context, r replay.Report) (bool, error) {
		asked = r
		return false, nil
	}})
	if len(asked.ReadModels) == 0 || asked.ReadModels[0].Swapped || report.ReadModels[0].Swapped || w.digest(t) != before {
		t.Errorf("asked with %+v, ended with %+v", asked, report)
	}
}

func TestAReadModelOfAnOlderDefinitionIsKnownUntilItIsRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_000)
	w.project(t)
	w.exec(t, `UPDATE read_models SET number = 0 WHERE projection = 'order_status'`)
	older := func() (names []string) {
		made, err := projections.ReadModels(t.Context(), w.db)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range made {
			if m.Number < m.Wanted {
				names = append(names, m.Projection)
			}
		}
		return names
	}
	if names := older(); len(names) != 1 || names[0] != "order_status" {
		t.Errorf("%v", names)
	}
	w.project(t)
	if names := older(); len(names) != 1 {
		t.Errorf("a consumer made it a new one: %v", names)
	}
	w.replay(t, replay.Config{})
	if names := older(); len(names) != 0 {
		t.Errorf("%v", names)
	}
}
