package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// recheck looks at the suspects of a read model again. Finally, when the new tables are at the head and nothing is
// applied, it judges what is left.
func (r *rebuild) recheck(ctx context.Context, db sqlx.QueryerContext, m *model, finally bool) error {
	for _, t := range m.tables {
		var left []suspect
		for chunk := range slices.Chunk(t.suspects, recheckRows) {
			now, err := r.lookAgain(ctx, db, t, chunk)
			if err != nil {
				return fmt.Errorf("compare %s: %w", t.name, err)
			}
			for i, n := range now {
				was := chunk[i]
				switch {
				case n.old == n.new && n.same:
					t.found.came(was)
					t.found.Equal++
				case n.old == n.new:
					t.found.came(was)
					err = r.differs(ctx, db, t, n.suspect)
				case was.old < was.new && n.old >= was.new, was.old > was.new && n.new >= was.old && !finally:
					t.found.came(was)
					t.found.Moved++
				case !finally:
					left = append(left, was)
				case n.old < n.new:
					t.found.Behind++
					t.found.tell(n.suspect, behindText(n.suspect))
				default:
					t.found.Surplus++
					t.found.tell(n.suspect, surplusText(n.suspect))
				}
				if err != nil {
					return err
				}
			}
		}
		t.suspects = left
	}
	return nil
}

// came counts a row that the new table had not when it was compared.
func (t *Table) came(was suspect) {
	if was.new == 0 {
		t.Rows++
	}
}

func behindText(s suspect) string {
	if s.old == 0 {
		return fmt.Sprintf("is missing; the log makes it at version %d", s.new)
	}
	return fmt.Sprintf("stands at version %d, the log is at %d", s.old, s.new)
}

func surplusText(s suspect) string {
	if s.new == 0 {
		return "the log makes no such row"
	}
	return fmt.Sprintf("stands at version %d, but the log's newest is %d", s.old, s.new)
}

// lookAgain reads the versions of rows as they are now, in their order.
func (r *rebuild) lookAgain(ctx context.Context, db sqlx.QueryerContext, t *table, rows []suspect) ([]compared, error) {
	args, kinds, same := make([]any, len(t.key)), make([]string, len(t.key)), make([]string, len(t.key))
	for i, k := range t.key {
		column := make([]string, len(rows))
		for n := range rows {
			column[n] = rows[n].key[i]
		}
		args[i] = eventstore.TextArray(column)
		kinds[i] = fmt.Sprintf("$%d::text[]::%s[]", i+1, k.Type)
		same[i] = fmt.Sprintf("%%[1]s.%[1]s = k.%[1]s", quoted(k.Name))
	}
	on := func(alias string) string { return strings.ReplaceAll(strings.Join(same, " AND "), "%[1]s", alias) }
	now, err := r.keysOf(ctx, db, t, fmt.Sprintf(`SELECT %s, coalesce(o.version, 0), coalesce(n.version, 0), o *= n
		FROM unnest(%s) WITH ORDINALITY AS k (%s, nth) LEFT JOIN %s AS o ON %s LEFT JOIN %s AS n ON %s ORDER BY k.nth`,
		t.keys("k.", "::text"), strings.Join(kinds, ", "), t.keys("", ""),
		r.qualified(r.live, t.name), on("o"), r.qualified(r.shadow, t.name), on("n")), args...)
	if err == nil && len(now) != len(rows) {
		err = fmt.Errorf("%d rows where %d were asked for", len(now), len(rows))
	}
	return now, err
}
