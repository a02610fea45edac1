package eventstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"boxoffice"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func connect(t *testing.T, url string) *sqlx.DB {
	t.Helper()
	db, err := eventstore.OpenDB(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestWhatIsMissingOfASchemaIsNamed(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	db, empty := connect(t, pg.URL), connect(t, pg.Empty(t).URL)
	missing := func(db *sqlx.DB) (string, bool) {
		t.Helper()
		names, none, err := eventstore.Missing(t.Context(), db, boxoffice.Schema())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, ", "), none
	}
	if names, none := missing(db); names != "" || none {
		t.Errorf("of a new database: %s, %t", names, none)
	}
	if names, none := missing(empty); !none || !strings.HasPrefix(names, "table events, table log_head, ") {
		t.Errorf("of an empty database: %s, %t", names, none)
	}
	for _, change := range []string{`DROP TABLE due`, `ALTER TABLE shows DROP COLUMN defined`, `ALTER TABLE shows ADD COLUMN newer text`, `CREATE TABLE other (x text)`} {
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	if names, none := missing(db); names != "table due, column shows.defined" || none {
		t.Errorf("of an older database: %s, %t", names, none)
	}
}

// The list is read from the text, so it is held against what the text makes: no column may be overlooked.
func TestEveryColumnOfTheSchemaIsLookedFor(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	db, empty := connect(t, pg.URL), connect(t, pg.Empty(t).URL)
	var columns []string
	if err := db.SelectContext(t.Context(), &columns, `SELECT 'column ' || c.relname || '.' || a.attname FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace`); err != nil {
		t.Fatal(err)
	}
	var tables []string
	if err := db.SelectContext(t.Context(), &tables, `SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, err := empty.ExecContext(t.Context(), `CREATE TABLE `+table+` (none_of_these text)`); err != nil {
			t.Fatal(err)
		}
	}
	found, _, err := eventstore.Missing(t.Context(), empty, boxoffice.Schema())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	slices.Sort(columns)
	if !slices.Equal(found, columns) {
		t.Errorf("it looks for\n%s\nand the schema makes\n%s", strings.Join(found, "\n"), strings.Join(columns, "\n"))
	}
}

func TestAServiceGetsItsRightsAndNoMore(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	owner := connect(t, pg.URL)
	role, url := pg.Role(t)
	service := eventstore.Service{Role: role, Rights: boxoffice.Rights}
	db := connect(t, url)
	own := eventstore.Service{Rights: boxoffice.Rights}

	lacking, excess, err := own.Compare(t.Context(), db, boxoffice.Schema())
	if err != nil || len(excess) > 0 || !slices.Contains(lacking, "INSERT on events") {
		t.Fatalf("before it lacks %v and has %v too many, %v", lacking, excess, err)
	}
	// What it had before is taken away.
	if _, err := owner.ExecContext(t.Context(), `GRANT ALL ON ALL TABLES IN SCHEMA public TO `+role); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if excess, err := eventstore.MigrateFor(t.Context(), owner, boxoffice.Schema(), service); err != nil || len(excess) > 0 {
			t.Fatalf("migrate: %v, %v", excess, err)
		}
	}
	lacking, excess, err = own.Compare(t.Context(), db, boxoffice.Schema())
	if err != nil || len(lacking) > 0 || len(excess) > 0 {
		t.Fatalf("after it lacks %v and has %v too many, %v", lacking, excess, err)
	}
	for _, refused := range []string{
		`UPDATE events SET type = 'x'`, `DELETE FROM events`, `TRUNCATE events`, `DELETE FROM log_head`, `INSERT INTO log_head VALUES (false, 1, now(), '')`,
		`UPDATE customer_key SET key = ''`, `DELETE FROM contacts`, `DROP TABLE due`, `CREATE TABLE mine (x text)`,
		`ALTER TABLE events DISABLE TRIGGER events_append_only`, `CREATE OR REPLACE FUNCTION events_append_only() RETURNS trigger LANGUAGE sql AS ''`,
	} {
		if err := execute(t.Context(), db, refused); !isRefused(err) {
			t.Errorf("%s: %v", refused, err)
		}
	}
	t.Run("what can't be taken is told", func(t *testing.T) {
		if _, err := owner.ExecContext(t.Context(), `GRANT DELETE ON due, order_status TO PUBLIC; GRANT UPDATE ON events TO PUBLIC`); err != nil {
			t.Fatal(err)
		}
		excess, err := eventstore.MigrateFor(t.Context(), owner, boxoffice.Schema(), service)
		if err != nil || strings.Join(excess, ", ") != "UPDATE on events" {
			t.Errorf("too many are %v, %v", excess, err)
		}
	})
	t.Run("a role that is not there is named", func(t *testing.T) {
		_, err := eventstore.MigrateFor(t.Context(), owner, boxoffice.Schema(), eventstore.Service{Role: "nobody there", Rights: boxoffice.Rights})
		if err == nil || !strings.Contains(err.Error(), "nobody there") {
			t.Errorf("got %v", err)
		}
	})
}

func execute(ctx context.Context, db *sqlx.DB, statement string) error {
	_, err := db.ExecContext(ctx, statement)
	return err
}

func isRefused(err error) bool {
	refused, ok := err.(*pq.Error) //nolint:errorlint // the driver's own
	return ok && refused.Code == pqerror.InsufficientPrivilege
}

// A migration of a running system must never make an append wait, nor wait for one.
func TestAMigrationLocksNoTableThatExists(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	db := connect(t, pg.URL)
	role, _ := pg.Role(t)
	appending, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = appending.Rollback() }()
	var tables []string
	if err := appending.SelectContext(t.Context(), &tables, `SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, err := appending.ExecContext(t.Context(), fmt.Sprintf(`LOCK TABLE %s IN ROW EXCLUSIVE MODE`, table)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eventstore.MigrateFor(t.Context(), db, boxoffice.Schema(), eventstore.Service{Role: role, Rights: boxoffice.Rights}); err != nil {
		t.Fatalf("beside an append: %v", err)
	}
	migrating, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = migrating.Rollback() }()
	if _, err := migrating.ExecContext(t.Context(), boxoffice.Schema()); err != nil {
		t.Fatal(err)
	}
	var locks []string
	if err := migrating.SelectContext(t.Context(), &locks, `SELECT l.relation::regclass::text || ' ' || l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
		WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')`); err != nil {
		t.Fatal(err)
	}
	if len(locks) > 0 {
		t.Errorf("applying the schema again takes %v", locks)
	}
}
