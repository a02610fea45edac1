package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
)

// stored writes the story into a database of the test's own.
func stored(t *testing.T, commits appends) *sqlx.DB {
	t.Helper()
	db := empty(t)
	appendAll(t, db, commits)
	return db
}

// empty is a database with our schema and nothing in it.
func empty(t testing.TB) *sqlx.DB {
	t.Helper()
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func appendAll(t *testing.T, db *sqlx.DB, commits appends) {
	t.Helper()
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, commit := range commits {
		b := batch(t, head, commit, func(stream string) int64 {
			version, err := store.VersionAt(t.Context(), stream, head.Position)
			if err != nil {
				t.Fatal(err)
			}
			return version
		})
		if head, err = store.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// project folds the log into the read models with the projections' own code, up to a position.
func project(t testing.TB, db *sqlx.DB, upTo int64) {
	t.Helper()
	projectWith(t, db, upTo, projections.All()...)
}

func projectWith(t testing.TB, db *sqlx.DB, upTo int64, models ...projections.Projection) {
	t.Helper()
	store := eventstore.New(db, eventstore.Config{})
	all := make([]projections.Rows, len(models))
	for i, p := range models {
		all[i] = p.Rows()
	}
	for after, more := int64(0), true; more; {
		events, err := store.ReadAll(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if after = e.Position; after > upTo {
				break
			}
			for i, p := range models {
				key, ok, err := p.Key(e)
				if err == nil && ok {
					_, err = all[i].Fold(key, e)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if more = len(events) == 1000 && after < upTo; !more || after/50_000 != (after-1000)/50_000 {
			saveAll(t, db, all)
		}
	}
}

func saveAll(t testing.TB, db *sqlx.DB, all []projections.Rows) {
	t.Helper()
	tx, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range all {
		if err := rows.Save(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// force runs a statement as a superuser could who switches the trigger off.
func force(t *testing.T, db *sqlx.DB, statement string) {
	t.Helper()
	for _, s := range []string{`ALTER TABLE events DISABLE TRIGGER USER`, statement, `ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only`} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func found(t *testing.T, db *sqlx.DB, wait time.Duration) []string {
	t.Helper()
	r, err := Run(t.Context(), db, Config{Wait: wait})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Kind)+" "+f.Key)
	}
	slices.Sort(out)
	return out
}

func TestReadModelsOfTheProjectionsEqualTheFold(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	project(t, db, 1000)
	r, err := Run(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("found %+v", f)
	}
	want := map[string]int{"availability": 2, "shows": 1, "ticket_types": 2, "order_status": 4, "open_items": 3}
	for table, n := range want {
		if r.Rows[table] != n {
			t.Errorf("%d rows of %s were compared, want %d", r.Rows[table], table, n)
		}
	}
}

func TestEveryDifferenceOfARowIsNamed(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	for statement, want := range map[string]string{
		`UPDATE availability SET held = held + 1 WHERE ticket_type_id = 2`:                                    "row availability 1/2",
		`UPDATE availability SET version = version - 1 WHERE ticket_type_id = 1`:                              "behind availability 1/1",
		`UPDATE availability SET version = version + 1 WHERE ticket_type_id = 1`:                              "row availability 1/1",
		`DELETE FROM availability WHERE ticket_type_id = 2`:                                                   "behind availability 1/2",
		`INSERT INTO availability SELECT show_id, 9, capacity, held, sold, version FROM availability LIMIT 1`: "row availability 1/9",
		`INSERT INTO availability VALUES (-5, 1, 0, 0, 0, 1)`:                                                 "row availability -5/1",
		`UPDATE shows SET canceled = true`:                                                                    "row shows 1",
		`DELETE FROM shows`:                                                                                   "behind shows 1",
		`UPDATE ticket_types SET price = 1 WHERE ticket_type_id = 1`:                                          "row ticket_types 1/1",
		`UPDATE order_status SET status = 'COMPLETED' WHERE order_id = '` + orderA + `'`:                      "row order_status " + orderA,
		`UPDATE order_status SET reason = '' WHERE order_id = '` + orderA + `'`:                               "row order_status " + orderA,
		`UPDATE order_status SET lines = '[]' WHERE order_id = '` + orderA + `'`:                              "row order_status " + orderA,
		`UPDATE order_status SET tickets = '[]' WHERE order_id = '` + orderB + `'`:                            "row order_status " + orderB,
		`UPDATE order_status SET refunds = '[]' WHERE order_id = '` + orderA + `'`:                            "row order_status " + orderA,
		`UPDATE order_status SET total = 0 WHERE order_id = '` + orderD + `'`:                                 "row order_status " + orderD,
		`DELETE FROM order_status WHERE order_id = '` + orderD + `'`:                                          "behind order_status " + orderD,
		`UPDATE order_status SET order_id = 'ORDER-20261122-ffffffff' WHERE order_id = '` + orderD + `'`:      "behind order_status " + orderD + ", row order_status ORDER-20261122-ffffffff",
		`UPDATE open_items SET resolved = true WHERE NOT resolved`:                                            "row open_items payment-" + payID(orderD) + ":2",
		`DELETE FROM open_items WHERE id = 'inbox-202611:1'`:                                                  "behind open_items inbox-202611:1",
	} {
		t.Run(statement, func(t *testing.T) {
			if _, err := db.ExecContext(t.Context(), `TRUNCATE availability, shows, ticket_types, order_status, open_items`); err != nil {
				t.Fatal(err)
			}
			project(t, db, 1000)
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(found(t, db, time.Nanosecond), ", "); got != want {
				t.Errorf("found %s, want %s", got, want)
			}
		})
	}
}

func TestAReadModelThatIsMerelyBehindIsWaitedFor(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	project(t, db, 20)
	done := make(chan []string)
	go func() { done <- found(t, db, time.Minute) }()
	awaitActivity(t, db)
	project(t, db, 1000)
	if got := <-done; len(got) != 0 {
		t.Errorf("found %q", got)
	}
}

// awaitActivity returns when the verification has begun to read rows again.
func awaitActivity(t *testing.T, db *sqlx.DB) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		var n int
		err := db.GetContext(t.Context(), &n, `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FROM availability WHERE show_id ||%' AND pid <> pg_backend_pid()
			AND datname = current_database()`)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("the verification never read a row again")
}

func TestARowAheadOfTheFoldIsMetAtItsVersion(t *testing.T) {
	t.Parallel()
	commits := story()
	db := stored(t, commits)
	project(t, db, 1000)
	// The fold stops before the last commit, as if it had come after the log was read.
	r := postgresLog{db}
	p := newPass(&shortLog{reader: r, stop: 39}, Config{})
	if err := p.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.log = r
	for _, m := range readModels(db) {
		c := comparison{pass: p, model: m, wait: time.Nanosecond}
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if report := p.report(); !report.Ok() || report.Events != 43 || report.Rows["availability"] != 2 {
		t.Errorf("the report is %+v", report)
	}
}

func TestATamperedLogIsNamed(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		`UPDATE events SET data = replace(data::text, '"amount":200', '"amount":100')::json WHERE position = 14`: "hash order-" + orderA + ":3, money order-" + orderA + ", money payment-" + payID(orderA) + ":3",
		`UPDATE events SET metadata = '{}' WHERE position = 1`:                                                   "hash show-1:1",
		`UPDATE events SET recorded_at = recorded_at + interval '1 hour' WHERE position = 2`:                     "hash payment-" + payID(orderD) + ":1, time order-" + orderA,
		`UPDATE events SET recorded_at = 'infinity' WHERE position = 43`:                                         "head log_head, time order-" + orderA + ":7",
		`UPDATE log_head SET time = 'infinity'`:                                                                  "head log_head",
		`DELETE FROM events WHERE position = 1`:                                                                  "",
		`UPDATE log_head SET hash = decode(repeat('00', 32), 'hex')`:                                             "head log_head",
		`UPDATE log_head SET position = position - 1`:                                                            "hash events, head log_head",
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			db := stored(t, story())
			project(t, db, 1000)
			force(t, db, statement)
			got := strings.Join(found(t, db, time.Nanosecond), ", ")
			if got == "" || !strings.HasPrefix(got, want) {
				t.Errorf("found %s, want %s", got, want)
			}
		})
	}
}

func TestTheWholeLogIsReadInPages(t *testing.T) {
	t.Parallel()
	db := stored(t, story()[:1])
	var many appends
	for range 3 {
		var commit []entry
		for range pageEvents/2 + 1 {
			commit = append(commit, entry{"show-1", pausing(len(commit))})
		}
		many = append(many, commit)
	}
	appendAll(t, db, many)
	var told []int64
	compared := map[string]bool{}
	r, err := Run(t.Context(), db, Config{
		Wait:      time.Nanosecond,
		Progress:  func(position, _ int64) { told = append(told, position) },
		Comparing: func(what string, _, _ int64) { compared[what] = true },
	})
	if err != nil || r.Events != 3*(pageEvents/2+1)+1 || !slices.Equal(told, []int64{pageEvents, r.Events}) {
		t.Errorf("%d events, told %v, %v", r.Events, told, err)
	}
	if !compared["order_status"] || !compared["wait for shows"] {
		t.Errorf("told of %v", compared)
	}
}
