package projections

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"boxoffice/eventstore"
)

// column is a column of a table and how it is filled from an R.
type column[R any] struct {
	name  string
	kind  string                                 // the SQL type of its parameter's elements
	value string                                 // a format: how such an element becomes the column's value
	array func(rows []R) ([]byte, error)         // the parameter, in binary
	text  func(b []byte, row *R) ([]byte, error) // one value, in the text form of COPY
}

const asItIs = "%s"

func text[R any](name string, value func(*R) string) column[R] {
	return column[R]{
		name: name, kind: "text", value: asItIs,
		array: func(rows []R) ([]byte, error) { return eventstore.TextArray(each(rows, value)), nil },
		text:  func(b []byte, row *R) ([]byte, error) { return appendEscaped(b, value(row)), nil },
	}
}

func number[R any](name string, value func(*R) int64) column[R] {
	return column[R]{
		name: name, kind: "bigint", value: asItIs,
		array: func(rows []R) ([]byte, error) { return eventstore.Int8Array(each(rows, value)), nil },
		text:  func(b []byte, row *R) ([]byte, error) { return strconv.AppendInt(b, value(row), 10), nil },
	}
}

// flag is a column of booleans, sent as 0 and 1.
func flag[R any](name string, value func(*R) bool) column[R] {
	bit := func(row *R) int64 {
		if value(row) {
			return 1
		}
		return 0
	}
	return column[R]{
		name: name, kind: "bigint", value: "%s = 1",
		array: func(rows []R) ([]byte, error) { return eventstore.Int8Array(each(rows, bit)), nil },
		text:  func(b []byte, row *R) ([]byte, error) { return strconv.AppendBool(b, value(row)), nil },
	}
}

// copiedTime is a time in the text form of COPY: whole microseconds, as in a binary array.
const copiedTime = "2006-01-02 15:04:05.999999Z07:00"

func instant[R any](name string, value func(*R) time.Time) column[R] {
	return column[R]{
		name: name, kind: "timestamptz", value: asItIs,
		array: func(rows []R) ([]byte, error) { return eventstore.TimeArray(each(rows, value)), nil },
		text:  func(b []byte, row *R) ([]byte, error) { return value(row).UTC().AppendFormat(b, copiedTime), nil },
	}
}

// maybe is a column of times that is null where there is none.
func maybe[R any](name string, value func(*R) time.Time) column[R] {
	c := instant(name, value)
	always := c.text
	c.value = "NULLIF(%s, '0001-01-01T00:00:00Z')"
	c.text = func(b []byte, row *R) ([]byte, error) {
		if value(row).IsZero() {
			return append(b, `\N`...), nil
		}
		return always(b, row)
	}
	return c
}

// day is a column of dates, each told as 2006-01-02.
func day[R any](name string, value func(*R) string) column[R] {
	c := text(name, value)
	c.value = "%s::date"
	return c
}

// encoded is a column of JSON texts; a list that is nil is an empty list.
func encoded[R any](name string, value func(*R) any) column[R] {
	encode := func(row *R) ([]byte, error) {
		b, err := json.Marshal(value(row))
		if err == nil && string(b) == "null" {
			b = []byte("[]")
		}
		return b, err
	}
	return column[R]{
		name: name, kind: "json", value: asItIs,
		array: func(rows []R) ([]byte, error) {
			values := make([][]byte, len(rows))
			for i := range rows {
				var err error
				if values[i], err = encode(&rows[i]); err != nil {
					return nil, err
				}
			}
			return eventstore.JSONArray(values), nil
		},
		text: func(b []byte, row *R) ([]byte, error) {
			value, err := encode(row)
			return appendEscaped(b, value), err
		},
	}
}

// verbatim is a column of JSON texts that are kept as they came; none is an empty list.
func verbatim[R any](name string, value func(*R) rawJSON) column[R] {
	text := func(row *R) rawJSON {
		if v := value(row); len(v) > 0 {
			return v
		}
		return rawJSON("[]")
	}
	return column[R]{
		name: name, kind: "json", value: asItIs,
		array: func(rows []R) ([]byte, error) { return eventstore.JSONArray(each(rows, text)), nil },
		text:  func(b []byte, row *R) ([]byte, error) { return appendEscaped(b, text(row)), nil },
	}
}

func each[R, V any](rows []R, value func(*R) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = value(&rows[i])
	}
	return values
}

// appendEscaped appends a value in the text form of COPY.
func appendEscaped[T ~string | ~[]byte](b []byte, value T) []byte {
	whole := len(b)
	b = append(b, value...)
	if added := b[whole:]; bytes.IndexByte(added, '\\') < 0 && bytes.IndexByte(added, '\n') < 0 &&
		bytes.IndexByte(added, '\r') < 0 && bytes.IndexByte(added, '\t') < 0 {
		return b
	}
	b = b[:whole]
	from := 0
	for i := range len(value) {
		var letter byte
		switch value[i] {
		case '\\':
			letter = '\\'
		case '\n':
			letter = 'n'
		case '\r':
			letter = 'r'
		case '\t':
			letter = 't'
		default:
			continue
		}
		b = append(b, value[from:i]...)
		b = append(b, '\\', letter)
		from = i + 1
	}
	return append(b, value[from:]...)
}
