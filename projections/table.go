package projections

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// table describes a table of a read model once: how an R is written to it, one by one over what is there or
// copied in bulk into an empty one, follows from that. Every table has a column version.
type table[R any] struct {
	name    string
	key     []string // its primary key
	columns []column[R]
}

// upsertSQL writes rows that come as one array per column, each only if its version is above the stored one.
func (t table[R]) upsertSQL() string {
	names, kinds, values, sets := t.names(), make([]string, len(t.columns)), make([]string, len(t.columns)), []string(nil)
	isKey := map[string]bool{}
	for _, name := range t.key {
		isKey[name] = true
	}
	for i, c := range t.columns {
		kinds[i] = fmt.Sprintf("$%d::%s[]", i+1, c.kind)
		values[i] = fmt.Sprintf(c.value, "u."+c.name)
		if !isKey[c.name] {
			sets = append(sets, c.name+" = excluded."+c.name)
		}
	}
	return fmt.Sprintf(`INSERT INTO %s AS t (%s) SELECT %s FROM unnest(%s) AS u (%s)
		ON CONFLICT (%s) DO UPDATE SET %s WHERE excluded.version > t.version`,
		t.name, strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(kinds, ", "), strings.Join(names, ", "),
		strings.Join(t.key, ", "), strings.Join(sets, ", "))
}

func (t table[R]) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// with are rows for this table.
func (t table[R]) with(rows []R) Filled { return filled[R]{t, rows} }

// Filled are rows for a table.
type Filled interface {
	// Table is the table's name and its columns, in the order of Text.
	Table() (name string, columns []string)
	// Upsert writes the rows, each only if its version is above the stored one.
	Upsert(ctx context.Context, tx *sqlx.Tx) error
	// Text appends the rows in the text form of COPY, a line each.
	Text(b []byte) ([]byte, error)
}

type filled[R any] struct {
	table[R]
	rows []R
}

func (f filled[R]) Table() (name string, columns []string) { return f.name, f.names() }

func (f filled[R]) Upsert(ctx context.Context, tx *sqlx.Tx) error {
	if len(f.rows) == 0 {
		return nil
	}
	args := make([]any, len(f.columns))
	for i, c := range f.columns {
		array, err := c.array(f.rows)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", f.name, c.name, err)
		}
		args[i] = array
	}
	if _, err := tx.ExecContext(ctx, f.upsertSQL(), args...); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

func (f filled[R]) Text(b []byte) ([]byte, error) {
	var err error
	for i := range f.rows {
		for n, c := range f.columns {
			if n > 0 {
				b = append(b, '\t')
			}
			if b, err = c.text(b, &f.rows[i]); err != nil {
				return b, fmt.Errorf("%s.%s: %w", f.name, c.name, err)
			}
		}
		b = append(b, '\n')
	}
	return b, nil
}
