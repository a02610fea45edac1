package replay

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"
)

// table is a table of a read model, as the catalog has it.
type table struct {
	name        string
	key         []keyColumn
	indexes     []string // statements that make indexes on the new table
	constraints []string // and those that make constraints of them
	indexed     []string // columns, quoted
	grants      []string // statements that give the rights of the old table
	options     string   // storage parameters
	owner       string
	comment     string
	found       Table
	suspects    []suspect
}

type keyColumn struct {
	Name string `db:"name"`
	Type string `db:"type"`
}

// DependentsError says that something beyond Boxoffice hangs on a table that would be swapped, and would stay with
// the old one.
type DependentsError struct {
	Table      string
	Dependents []string
}

func (e *DependentsError) Error() string {
	return fmt.Sprintf("%s is used by %s, which a swap would leave without it: drop it first and make it again afterwards",
		e.Table, strings.Join(e.Dependents, ", "))
}

// describe reads a table of the live schema from the catalog.
func (r *rebuild) describe(ctx context.Context, name string) (*table, error) {
	t := &table{name: name, found: Table{Table: name}}
	var dependents []string
	live := r.qualified(r.live, name)
	for _, step := range []struct {
		into  any
		query string
	}{
		{&dependents, `SELECT DISTINCT 'the view ' || r.ev_class::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
				WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = $1::text::regclass AND r.ev_class <> d.refobjid
			UNION ALL SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = $1::text::regclass AND NOT tgisinternal
			UNION ALL SELECT 'the foreign key ' || conname FROM pg_constraint WHERE confrelid = $1::text::regclass AND contype = 'f'
			UNION ALL SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = $1::text::regclass
			UNION ALL SELECT 'the publication ' || p.pubname FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
				WHERE pr.prrelid = $1::text::regclass`},
		{&t.key, `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_index i
			CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
			WHERE i.indrelid = $1::text::regclass AND i.indisprimary ORDER BY k.n`},
		{&t.indexes, `SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ' || $1 || ' ', ' ON ' || $2 || ' ') FROM pg_index i
				WHERE i.indrelid = $1::text::regclass`},
		{&t.constraints, `SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', $2::text, conname,
				CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, conname, CASE WHEN condeferrable THEN ' DEFERRABLE' ELSE '' END)
			FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')`},
		{&t.indexed, `SELECT DISTINCT quote_ident(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
			WHERE i.indrelid = $1::text::regclass ORDER BY 1`},
		{&t.grants, `SELECT format('GRANT %s ON %s TO %s', a.privilege_type, $2::text,
				CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
			FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.oid = $1::text::regclass AND a.grantee <> c.relowner`},
	} {
		args := []any{live, r.qualified(r.shadow, name)}
		if !strings.Contains(step.query, "$2") {
			args = args[:1]
		}
		if err := sqlx.SelectContext(ctx, r.db, step.into, step.query, args...); err != nil {
			return nil, fmt.Errorf("look at table %s: %w", name, err)
		}
	}
	if len(dependents) > 0 {
		return nil, &DependentsError{name, dependents}
	}
	err := r.db.QueryRowxContext(ctx, `SELECT coalesce(array_to_string(reloptions, ', '), ''), quote_ident(pg_get_userbyid(relowner)),
		coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE oid = $1::text::regclass`, live).Scan(&t.options, &t.owner, &t.comment)
	if err != nil {
		return nil, fmt.Errorf("look at table %s: %w", name, err)
	}
	return t, nil
}

func (r *rebuild) qualified(schema, name string) string {
	return quoted(schema) + "." + quoted(name)
}

// quoted is a name as the catalog's functions write it: quotes only where it needs them.
func quoted(name string) string {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return pq.QuoteIdentifier(name)
		}
	}
	return name
}

// schemaMark is the comment that tells a replay's schema from one of somebody else.
const schemaMark = "boxoffice replay: tables that are being built"

// mark is the comment of this replay's schema.
func (r *rebuild) mark() string { return fmt.Sprintf("%s by session %d", schemaMark, r.pid) }

// makeShadows clears up what an earlier replay has left and makes empty tables without keys.
func (r *rebuild) makeShadows(ctx context.Context) error {
	var foreign bool
	if err := r.db.GetContext(ctx, &foreign, `SELECT EXISTS (SELECT FROM pg_namespace
		WHERE nspname = $1 AND NOT coalesce(obj_description(oid, 'pg_namespace') ^@ $2, false))`, r.shadow, schemaMark); err != nil {
		return fmt.Errorf("look for an earlier replay: %w", err)
	}
	if foreign {
		return fmt.Errorf("there is a schema %s that no replay has made: rename it", r.shadow)
	}
	statements := []string{
		// What an earlier replay was doing in the server may go on for a while after that was killed.
		fmt.Sprintf("SET LOCAL lock_timeout = %d", lockWithin.Milliseconds()),
		"DROP SCHEMA IF EXISTS " + quoted(r.shadow) + " CASCADE", "CREATE SCHEMA " + quoted(r.shadow),
		"COMMENT ON SCHEMA " + quoted(r.shadow) + " IS " + pq.QuoteLiteral(r.mark()),
	}
	for _, m := range r.models {
		for _, t := range m.tables {
			shadow := r.qualified(r.shadow, t.name)
			create := fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES)", shadow, r.qualified(r.live, t.name))
			if t.options != "" {
				create += " WITH (" + t.options + ")"
			}
			statements = append(statements, create, fmt.Sprintf("ALTER TABLE %s OWNER TO %s", shadow, t.owner))
			statements = append(statements, t.grants...)
			if t.comment != "" {
				statements = append(statements, fmt.Sprintf("COMMENT ON TABLE %s IS %s", shadow, pq.QuoteLiteral(t.comment)))
			}
		}
	}
	err := r.inShadow(ctx, func(tx *sqlx.Tx) error { return execAll(ctx, tx, statements) })
	if err != nil {
		return fmt.Errorf("make new tables: %w", err)
	}
	return nil
}

// index makes the keys and indexes of the new tables, and their statistics: each in a transaction of its own, so that
// no snapshot is held longer than it takes.
func (r *rebuild) index(ctx context.Context) error {
	var done atomic.Int64
	var total int64
	build := func(ctx context.Context, statement string) error {
		if err := r.inShadow(ctx, func(tx *sqlx.Tx) error { return execAll(ctx, tx, []string{statement}) }); err != nil {
			return fmt.Errorf("index the new tables: %w", err)
		}
		r.progress(Progress{Phase: Indexing, Done: done.Add(1), Total: total, Unit: unitIndexes}, true)
		return nil
	}
	// Constraints last, because they lock the table; a key that stands on an index is made of it at once.
	var first, then, last []string
	for _, m := range r.models {
		for _, t := range m.tables {
			first, then = append(first, t.indexes...), append(then, t.constraints...)
			// Of the indexed columns; a vacuum of the server's own will look at all later.
			last = append(last, fmt.Sprintf("ANALYZE %s (%s)", r.qualified(r.shadow, t.name), strings.Join(t.indexed, ", ")))
		}
	}
	total = int64(len(first) + len(then) + len(last))
	r.progress(Progress{Phase: Indexing, Total: total, Unit: unitIndexes}, true)
	for _, statements := range [][]string{first, then, last} {
		err := r.together(ctx, func(ctx context.Context, g *errgroup.Group) {
			for _, statement := range statements {
				g.Go(func() error { return build(ctx, statement) })
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func execAll(ctx context.Context, tx *sqlx.Tx, statements []string) error {
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// inShadow runs a transaction in which the names of the rebuilt tables mean the new ones. It does not wait for the
// disk: what a crash takes is built again, and the swap waits for everything before it.
func (r *rebuild) inShadow(ctx context.Context, run func(*sqlx.Tx) error) (err error) {
	tx, err := r.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says why
		}
	}()
	if _, err := tx.ExecContext(ctx, `SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = 0;
		SET LOCAL maintenance_work_mem = '128MB'; `+r.searchShadow()); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := run(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (r *rebuild) searchShadow() string {
	return fmt.Sprintf("SET LOCAL search_path = %s, %s", quoted(r.shadow), quoted(r.live))
}

// clearingTakes is how long clearing up may take after an interruption; what is left, the next replay clears up.
const clearingTakes = time.Second

// clearUp drops the new tables that were not swapped in.
func (r *rebuild) clearUp(ctx context.Context) error {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	if interrupted {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, clearingTakes)
		defer cancel()
	}
	// Whoever lost its lock leaves the schema of its successor alone.
	var ours bool
	err := r.db.GetContext(ctx, &ours, `SELECT EXISTS (SELECT FROM pg_namespace
		WHERE nspname = $1 AND obj_description(oid, 'pg_namespace') = $2)`, r.shadow, r.mark())
	if err == nil && ours {
		_, err = r.db.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+quoted(r.shadow)+" CASCADE")
	}
	if err != nil && !interrupted {
		return fmt.Errorf("clear up: %w", err)
	}
	return nil
}

// parameters are placeholders for a key, from a number on: $3::text::bigint, $4::text::date.
func (t *table) parameters(first int) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		parts[i] = fmt.Sprintf("$%d::text::%s", first+i, k.Type)
	}
	return strings.Join(parts, ", ")
}

// keys are the key's columns, each with a prefix and a suffix.
func (t *table) keys(prefix, suffix string) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		parts[i] = prefix + quoted(k.Name) + suffix
	}
	return strings.Join(parts, ", ")
}
