package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"
)

const (
	compareRows = 10_000 // rows that are compared in one statement
	recheckRows = 1_000
	maxSuspects = 100_000                // of a table; more are only counted, as behind or too many
	pollEvery   = 100 * time.Millisecond // between two looks at rows that are behind
	standstill  = time.Second            // without one that has come on, they are waited for no longer
)

// suspect is a row that had different versions in the old and the new table; 0: none. Either is normal while orders
// come in: the old one may lag, and the new one is older than what was applied since.
type suspect struct {
	key      []string
	old, new int64
}

// Rows are compared by the operator *=, byte for byte: json has no equality of its own.

// compare compares the new tables with those in use, row by row where their versions are equal. Rows at other
// versions are looked at again until they are, or time is up.
func (r *rebuild) compare(ctx context.Context) error {
	total := r.rows()
	r.progress(Progress{Phase: Comparing, Total: total, Unit: unitRows}, true)
	for _, m := range r.models {
		for _, t := range m.tables {
			if err := r.compareTable(ctx, t, total); err != nil {
				return fmt.Errorf("compare %s: %w", t.name, err)
			}
		}
	}
	end, least, shrunk := time.Now().Add(r.cfg.Wait), 0, time.Now()
	for first := true; ; first = false {
		head, err := r.log.Head(ctx)
		if err == nil && head.Position > r.at {
			err = r.catchUpTo(ctx, head.Position)
		}
		if err != nil {
			return err
		}
		left := 0
		for _, m := range r.models {
			if err := r.recheck(ctx, r.db, m, false); err != nil {
				return err
			}
			for _, t := range m.tables {
				left += len(t.suspects)
			}
		}
		now := time.Now()
		if first || left < least {
			least, shrunk = left, now
		}
		if left == 0 || now.After(end) || now.Sub(shrunk) > standstill {
			return nil
		}
		if err := rest(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// compareTable goes through both tables by ranges of keys, each with about as many new rows.
func (r *rebuild) compareTable(ctx context.Context, t *table, total int64) error {
	t.found.WasEmpty = true
	var judging sync.Mutex // what was found
	err := r.together(ctx, func(ctx context.Context, g *errgroup.Group) {
		for after, last := []string(nil), false; !last; {
			upTo, err := r.keyAfter(ctx, t, after)
			if err != nil {
				g.Go(func() error { return err })
				return
			}
			from := after
			g.Go(func() error { return r.compareRange(ctx, t, from, upTo, &judging) })
			after, last = upTo, upTo == nil
			judging.Lock()
			done := t.found.Rows
			judging.Unlock()
			r.progress(Progress{Phase: Comparing, Done: done, Total: max(total, done), Unit: unitRows}, false)
		}
	})
	if err != nil {
		return err
	}
	if t.found.WasEmpty {
		t.suspects, t.found.Behind = nil, t.found.Rows
	}
	return nil
}

// keyAfter is the key of the last row of the next range; nil: the range has no end.
func (r *rebuild) keyAfter(ctx context.Context, t *table, after []string) ([]string, error) {
	where := ""
	if after != nil {
		where = fmt.Sprintf("WHERE (%s) > (%s)", t.keys("t.", ""), t.parameters(1))
	}
	rows, err := r.keysOf(ctx, r.db, t, fmt.Sprintf("SELECT %s, 0::bigint, 0::bigint, false FROM %s AS t %s ORDER BY %s OFFSET %d LIMIT 1",
		t.keys("t.", "::text"), r.qualified(r.shadow, t.name), where, t.keys("t.", ""), compareRows-1), arguments(after)...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].key, nil
}

// compareRange compares the rows after one key and up to another.
func (r *rebuild) compareRange(ctx context.Context, t *table, after, upTo []string, judging *sync.Mutex) error {
	conditions := []string{"true"}
	if after != nil {
		conditions = append(conditions, fmt.Sprintf("(%s) > (%s)", t.keys("t.", ""), t.parameters(1)))
	}
	if upTo != nil {
		conditions = append(conditions, fmt.Sprintf("(%s) <= (%s)", t.keys("t.", ""), t.parameters(1+len(after))))
	}
	both := func(name string) string {
		return fmt.Sprintf("SELECT %s, t.version, t AS body FROM %s AS t WHERE %s", t.keys("t.", ""), name, strings.Join(conditions, " AND "))
	}
	from := fmt.Sprintf("FROM (%s) AS o FULL JOIN (%s) AS n USING (%s)",
		both(r.qualified(r.live, t.name)), both(r.qualified(r.shadow, t.name)), t.keys("", ""))
	args := append(arguments(after), arguments(upTo)...)
	var all, old, made, equal, behind, ahead int64
	if err := r.db.QueryRowxContext(ctx, `SELECT count(*), count(o.version), count(n.version),
		count(*) FILTER (WHERE o.version = n.version AND o.body *= n.body),
		count(*) FILTER (WHERE coalesce(o.version, 0) < n.version), count(*) FILTER (WHERE o.version > coalesce(n.version, 0)) `+from,
		args...).Scan(&all, &old, &made, &equal, &behind, &ahead); err != nil {
		return err
	}
	judging.Lock()
	defer judging.Unlock()
	t.found.Rows += made
	t.found.Equal += equal
	t.found.WasEmpty = t.found.WasEmpty && old == 0
	if all == equal {
		return nil
	}
	others, err := r.keysOf(ctx, r.db, t, fmt.Sprintf(`SELECT %s, coalesce(o.version, 0), coalesce(n.version, 0), o.body *= n.body %s
		WHERE (o.version = n.version AND o.body *= n.body) IS NOT TRUE LIMIT %d`, t.keys("", "::text"), from, maxSuspects), args...)
	if err != nil {
		return err
	}
	for _, o := range others {
		switch {
		case o.old == o.new && !o.same:
			err = r.differs(ctx, r.db, t, o.suspect)
		case o.old != o.new && len(t.suspects) < maxSuspects:
			t.suspects = append(t.suspects, o.suspect)
			if o.old < o.new {
				behind--
			} else {
				ahead--
			}
		}
		if err != nil {
			return err
		}
	}
	// What was not listed is not looked at again.
	t.found.Behind += max(behind, 0)
	t.found.Surplus += max(ahead, 0)
	return nil
}

// compared is a row of both tables.
type compared struct {
	suspect
	same bool
}

// keysOf runs a query for a key's columns as text, two versions and whether the rows are the same.
func (r *rebuild) keysOf(ctx context.Context, db sqlx.QueryerContext, t *table, query string, args ...any) (found []compared, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	for rows.Next() {
		c := compared{suspect: suspect{key: make([]string, len(t.key))}}
		var same *bool
		into := make([]any, 0, len(t.key)+3)
		for i := range c.key {
			into = append(into, &c.key[i])
		}
		if err := rows.Scan(append(into, &c.old, &c.new, &same)...); err != nil {
			return nil, err
		}
		c.same = same != nil && *same
		found = append(found, c)
	}
	return found, rows.Err()
}

// differs notes a row that is not what the log makes at the same version, and in what.
func (r *rebuild) differs(ctx context.Context, db sqlx.QueryerContext, t *table, s suspect) error {
	t.found.Differ++
	if len(t.found.Differences) >= MaxDifferences {
		return nil
	}
	var bodies []string
	where := fmt.Sprintf("WHERE (%s) = (%s)", t.keys("t.", ""), t.parameters(1))
	err := sqlx.SelectContext(ctx, db, &bodies, fmt.Sprintf(`SELECT row_to_json(t)::text FROM %s AS t %s UNION ALL SELECT row_to_json(t)::text FROM %s AS t %s`,
		r.qualified(r.live, t.name), where, r.qualified(r.shadow, t.name), where), arguments(s.key)...)
	if err != nil {
		return err
	}
	t.found.tell(s, columnsThatDiffer(bodies))
	return nil
}

// columnsThatDiffer names what two rows do not have in common; each is a JSON object, the old one first.
func columnsThatDiffer(bodies []string) string {
	if len(bodies) != 2 {
		return "it has changed meanwhile"
	}
	var old, made map[string]json.RawMessage
	if json.Unmarshal([]byte(bodies[0]), &old) != nil || json.Unmarshal([]byte(bodies[1]), &made) != nil {
		return bodies[0] + " where the log makes " + bodies[1]
	}
	var parts []string
	for name, value := range made {
		if string(old[name]) != string(value) {
			parts = append(parts, fmt.Sprintf("%s is %s, the log makes %s", name, old[name], value))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func (t *Table) tell(s suspect, detail string) {
	if len(t.Differences) < MaxDifferences {
		t.Differences = append(t.Differences, Difference{strings.Join(s.key, "/"), s.old, detail})
	}
}

func arguments(key []string) []any {
	args := make([]any, len(key))
	for i := range key {
		args[i] = key[i]
	}
	return args
}
