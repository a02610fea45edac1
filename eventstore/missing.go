package eventstore

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
)

// table is a table as a schema's text makes it.
type table struct {
	name    string
	columns []string // in order; none for a partition, which has those of its table
}

// Where a schema's text makes tables and columns. Types are in small letters there and keywords are not,
// which tells a column's line from that of a constraint.
var (
	makesTable = regexp.MustCompile(`^\s*CREATE TABLE (?:IF NOT EXISTS )?(\w+) (\(|PARTITION OF)`)
	hasColumn  = regexp.MustCompile(`^\s+([a-z][a-z0-9_]*)\s+[a-z]`)
	addsColumn = regexp.MustCompile(`ALTER TABLE (\w+) ADD COLUMN (?:IF NOT EXISTS )?(\w+)`)
)

// tablesOf reads which tables a schema's text makes. Tests hold it against the catalog.
func tablesOf(schema string) []table {
	var tables []table
	inside := false
	for line := range strings.Lines(schema) {
		if made := makesTable.FindStringSubmatch(line); made != nil {
			tables = append(tables, table{name: made[1]})
			inside = made[2] == "("
			continue
		}
		if inside && strings.HasPrefix(strings.TrimSpace(line), ")") {
			inside = false
		}
		if column := hasColumn.FindStringSubmatch(line); inside && column != nil {
			last := &tables[len(tables)-1]
			last.columns = append(last.columns, column[1])
		}
		if added := addsColumn.FindStringSubmatch(line); added != nil {
			for i := range tables {
				if tables[i].name == added[1] {
					tables[i].columns = append(tables[i].columns, added[2])
				}
			}
		}
	}
	return tables
}

// Missing lists the tables and columns that a schema makes and the database has not, and whether it has any
// of the tables. Nothing is missing where the database's schema is the same or newer.
func Missing(ctx context.Context, db *sqlx.DB, schema string) (missing []string, none bool, err error) {
	var found []struct {
		Relation  string `db:"relation"`
		Attribute string `db:"attribute"`
	}
	if err := db.SelectContext(ctx, &found, `SELECT c.relname AS relation, a.attname AS attribute
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace <> 'pg_catalog'::regnamespace AND pg_table_is_visible(c.oid)`); err != nil {
		return nil, false, fmt.Errorf("read the catalog: %w", err)
	}
	has := map[string]bool{}
	for _, f := range found {
		has[f.Relation], has[f.Relation+"."+f.Attribute] = true, true
	}
	none = true
	for _, t := range tablesOf(schema) {
		if !has[t.name] {
			missing = append(missing, "table "+t.name)
			continue
		}
		none = false
		for _, column := range t.columns {
			if !has[t.name+"."+column] {
				missing = append(missing, "column "+t.name+"."+column)
			}
		}
	}
	return missing, none, nil
}
