package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"boxoffice"
	"boxoffice/internal/devstack"
)

// emptyDatabase is a database without any table.
func emptyDatabase(t *testing.T) *devstack.TestPostgres {
	t.Helper()
	pg := devstack.Postgres(t)
	if _, err := pg.Open(t).ExecContext(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	return pg
}

// keptTables are those that a backup needs: all but the read models, snapshots and checkpoints. Partitions are in
// their tables.
func keptTables(t *testing.T) (kept []string) {
	t.Helper()
	heading := regexp.MustCompile(`(?m)^-{90,}\n-- (.+)$`)
	makes := regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(`)
	schema := boxoffice.Schema()
	for _, at := range heading.FindAllStringSubmatchIndex(schema, -1) {
		title, section := schema[at[2]:at[3]], schema[at[1]:]
		if next := heading.FindStringIndex(section); next != nil {
			section = section[:next[0]]
		}
		if strings.HasPrefix(title, "Read models") {
			continue
		}
		for _, made := range makes.FindAllStringSubmatch(section, -1) {
			kept = append(kept, made[1])
		}
	}
	kept = slices.DeleteFunc(kept, func(table string) bool { return table == "snapshots" || table == "checkpoints" })
	for _, known := range []string{"events", "log_head", "requests", "requests_mark", "contacts", "order_ids", "customer_key", "notifications", "simulator_payments"} {
		if !slices.Contains(kept, known) {
			t.Fatalf("%s is not among %v", known, kept)
		}
	}
	return kept
}

// restore copies tables into a database that was just migrated, as a dump and its restoration do.
func restore(t *testing.T, from, to *sqlx.DB, tables []string) {
	t.Helper()
	for _, table := range tables {
		if table != "events" { // which is empty, and lets nobody delete
			to.MustExecContext(t.Context(), `DELETE FROM `+table) // what the schema begins with
		}
		if err := restoreTable(t.Context(), from, to, table); err != nil {
			t.Fatalf("restore %s: %v", table, err)
		}
	}
	to.MustExecContext(t.Context(), `SELECT setval(pg_get_serial_sequence('simulator_deliveries', 'delivery_id'),
		(SELECT coalesce(max(delivery_id), 0) + 1 FROM simulator_deliveries), false)`)
}

// restoreTable copies the rows of a table, every value as Postgres writes it.
func restoreTable(ctx context.Context, from, to *sqlx.DB, table string) (err error) {
	var columns []struct {
		Name string `db:"name"`
		Type string `db:"type"`
	}
	if err := from.SelectContext(ctx, &columns, `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table); err != nil {
		return err
	}
	var names, texts, values []string
	for i, c := range columns {
		names, texts = append(names, c.Name), append(texts, c.Name+"::text")
		values = append(values, fmt.Sprintf("$%d::text::%s", i+1, c.Type))
	}
	insert := `INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) OVERRIDING SYSTEM VALUE VALUES (` + strings.Join(values, ", ") + `)`
	rows, err := from.QueryxContext(ctx, `SELECT `+strings.Join(texts, ", ")+` FROM `+table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := rows.SliceScan()
		if err != nil {
			return err
		}
		for i, value := range row {
			if text, ok := value.([]byte); ok {
				row[i] = string(text)
			}
		}
		if _, err := to.ExecContext(ctx, insert, row...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// logBytes is every event as it is stored, byte for byte.
func logBytes(t *testing.T, db *sqlx.DB) (rows []string) {
	t.Helper()
	err := db.SelectContext(t.Context(), &rows, `SELECT concat_ws(' ', position, stream, version, type, schema_version,
		encode(convert_to(data::text, 'UTF8'), 'hex'), encode(convert_to(metadata::text, 'UTF8'), 'hex'), recorded_at, encode(hash, 'hex'))
		FROM events ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// rowsOf are the rows of tables as text.
func rowsOf(t *testing.T, db *sqlx.DB, tables ...string) (all []string) {
	t.Helper()
	for _, table := range tables {
		var rows []string
		if err := db.SelectContext(t.Context(), &rows, `SELECT r::text FROM `+table+` AS r ORDER BY 1`); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			all = append(all, table+" "+row)
		}
	}
	return all
}
