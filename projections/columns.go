package projections

import (
	"encoding/json"
	"fmt"
	"time"

	"boxoffice/eventstore"
)

// columns turns rows into binary array parameters, one per column.
type columns[R any] struct {
	rows []R
	err  error // the first value that could not be encoded
}

func (c *columns[R]) text(value func(*R) string) []byte {
	return eventstore.TextArray(column(c.rows, value))
}

func (c *columns[R]) number(value func(*R) int64) []byte {
	return eventstore.Int8Array(column(c.rows, value))
}

func (c *columns[R]) time(value func(*R) time.Time) []byte {
	return eventstore.TimeArray(column(c.rows, value))
}

// flag is a column of booleans, sent as 0 and 1.
func (c *columns[R]) flag(value func(*R) bool) []byte {
	return c.number(func(r *R) int64 {
		if value(r) {
			return 1
		}
		return 0
	})
}

// json is a column of JSON texts; a list that is nil is an empty list.
func (c *columns[R]) json(value func(*R) any) []byte {
	return eventstore.JSONArray(column(c.rows, func(r *R) []byte {
		b, err := json.Marshal(value(r))
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("encode a column: %w", err)
		}
		if err != nil || string(b) == "null" {
			return []byte("[]")
		}
		return b
	}))
}

func column[R, V any](rows []R, value func(*R) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = value(&rows[i])
	}
	return values
}
