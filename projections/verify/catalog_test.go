package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"boxoffice/projections"
	"boxoffice/projections/logtest"
)

// TestEveryColumnOfEveryReadModelIsCompared reads from the catalog which columns there are, and changes one after
// the other in rows of a real log: verify has to name table, key and column each time.
func TestEveryColumnOfEveryReadModelIsCompared(t *testing.T) {
	t.Parallel()
	db := empty(t)
	logtest.Write(t, db, logtest.Plan{Events: 1200, Shows: 2})
	project(t, db, math.MaxInt64)
	if got := found(t, db, time.Nanosecond); len(got) != 0 {
		t.Fatalf("before anything was changed it found %q", got)
	}
	for _, table := range readModelTables() {
		c := catalogOf(t, db, table)
		for _, column := range c.columns {
			t.Run(table+"."+column.name, func(t *testing.T) {
				plants := c.plants(t, db, column)
				if len(plants) == 0 {
					t.Fatal("nothing was planted")
				}
				for _, p := range plants {
					c.try(t, db, column, p)
				}
			})
		}
	}
}

func readModelTables() (tables []string) {
	for _, p := range projections.All() {
		tables = append(tables, p.Definition().Tables...)
	}
	slices.Sort(tables)
	return tables
}

// column is a column as the catalog knows it.
type column struct {
	name     string
	kind     string
	nullable bool
	isKey    bool
}

type catalog struct {
	table   string
	columns []column
	key     []string
}

func catalogOf(t *testing.T, db *sqlx.DB, table string) catalog {
	t.Helper()
	c := catalog{table: table}
	if err := db.SelectContext(t.Context(), &c.key, `SELECT a.attname FROM pg_index i
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
		WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY a.attnum`, table); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryxContext(t.Context(), `SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`, table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one column
		if err := rows.Scan(&one.name, &one.kind, &one.nullable); err != nil {
			t.Fatal(err)
		}
		one.isKey = slices.Contains(c.key, one.name)
		c.columns = append(c.columns, one)
	}
	if err := rows.Err(); err != nil || len(c.columns) == 0 || len(c.key) == 0 {
		t.Fatalf("%s has columns %v and key %v, %v", table, c.columns, c.key, err)
	}
	return c
}

// plant is a change of a column in one row.
type plant struct {
	key   string // of the row, as verify names it
	where string
	set   string // an SQL expression
}

// plants are changes of a column in the table's fullest row: of a JSON column one of each of its leaves.
func (c catalog) plants(t *testing.T, db *sqlx.DB, of column) (plants []plant) {
	t.Helper()
	var key, where, value string
	row := db.QueryRowxContext(t.Context(), fmt.Sprintf(`SELECT concat_ws('/', %[1]s), format(%[2]s), coalesce(%[3]s::text, '') FROM %[4]s
		ORDER BY length(coalesce(%[3]s::text, '')) DESC, (%[1]s) DESC LIMIT 1`, strings.Join(c.key, ", "), c.whereSQL(), of.name, c.table))
	if err := row.Scan(&key, &where, &value); err != nil {
		t.Fatal(err)
	}
	add := func(expression string) { plants = append(plants, plant{key, where, expression}) }
	switch of.kind {
	case "bigint":
		if of.isKey {
			add(of.name + ` + 1000000`)
			break
		}
		add(of.name + ` + 1`)
		add(of.name + ` - 1`)
	case "text":
		add(of.name + ` || 'x'`)
		if !of.isKey { // else it may be another row's
			add(`CASE ` + of.name + ` WHEN '' THEN 'y' ELSE '' END`)
		}
	case "boolean":
		add(`NOT ` + of.name)
	case "date":
		add(of.name + ` + 1`)
	case "timestamp with time zone":
		add(`coalesce(` + of.name + `, '2026-01-01') + interval '1 microsecond'`)
		add(`'infinity'`)
		add(`'-infinity'`)
	case "json":
		for _, text := range jsonPlants(t, value) {
			add(pq.QuoteLiteral(text) + `::json`)
		}
	default:
		t.Fatalf("a column of type %s: say how to change it", of.kind)
	}
	if of.nullable {
		add(`CASE WHEN ` + of.name + ` IS NULL THEN ` + map[string]string{"timestamp with time zone": "now()"}[of.kind] + ` END`)
	}
	return plants
}

// whereSQL makes the condition that finds a row again.
func (c catalog) whereSQL() string {
	conditions, args := make([]string, len(c.key)), make([]string, len(c.key))
	for i, name := range c.key {
		conditions[i], args[i] = name+"::text = %L", name+"::text"
	}
	return "'" + strings.Join(conditions, " AND ") + "', " + strings.Join(args, ", ")
}

// jsonPlants are texts of JSON that tell another thing than one, each in one place.
func jsonPlants(t *testing.T, text string) (plants []string) {
	t.Helper()
	var whole any
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	unchanged := string(again)
	give := func() {
		b, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if other := string(b); other != unchanged {
			plants = append(plants, other)
		}
	}
	var walk func(value any, set func(any))
	walk = func(value any, set func(any)) {
		switch v := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				member := v[name]
				walk(member, func(other any) { v[name] = other })
				delete(v, name)
				give()
				v[name] = member
			}
			v["unknown"] = 1
			give()
			delete(v, "unknown")
		case []any:
			for i := range v {
				walk(v[i], func(other any) { v[i] = other })
			}
			set(append(slices.Clone(v), v...))
			give()
			set(v[:max(0, len(v)-1)])
			give()
			set(v)
		case float64:
			set(v + 1)
			give()
			set(v)
		case string:
			for _, other := range stringsLike(v) {
				set(other)
				give()
			}
			set(v)
		}
	}
	walk(whole, func(other any) { whole = other })
	return append(plants, "null", `"x"`, "[1]")
}

// stringsLike are other texts: of a time, other times.
func stringsLike(text string) []string {
	other := []string{text + "x", ""}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		other = append(other, at.Add(time.Second).Format(time.RFC3339Nano))
	}
	return other
}

// try plants one change, looks what is found, and puts the row back.
func (c catalog) try(t *testing.T, db *sqlx.DB, of column, p plant) {
	t.Helper()
	exec := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(`CREATE TABLE kept AS TABLE ` + c.table)
	exec(fmt.Sprintf(`UPDATE %s SET %s = %s WHERE %s`, c.table, of.name, p.set, p.where))
	r, err := Run(t.Context(), db, Config{Wait: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	named := slices.ContainsFunc(r.Findings, func(f Finding) bool {
		if f.Key != c.table+" "+p.key {
			return false
		}
		switch {
		case of.isKey:
			return f.Kind == KindBehind // the row is not where it belongs; the other one is too many
		case of.name == "version":
			return f.Kind == KindBehind || f.Kind == KindRow
		default:
			return f.Kind == KindRow && slices.Equal(f.Columns, []string{of.name}) && strings.Contains(f.Detail, of.name+" is ")
		}
	})
	want := 1
	if of.isKey {
		want = 2
	}
	if !named || len(r.Findings) != want {
		t.Errorf("%s = %s in %s: found %+v", of.name, p.set, p.key, r.Findings)
	}
	exec(`TRUNCATE ` + c.table)
	exec(`INSERT INTO ` + c.table + ` SELECT * FROM kept`)
	exec(`DROP TABLE kept`)
}
