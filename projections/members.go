package projections

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"boxoffice/domain"
)

// A fold looks at a few members of an event and keeps others as they are, so it takes an event's JSON apart by itself:
// a decoder, which builds and checks all of it, was three quarters of what a replay did. What it hands on as it is
// goes into a json column, whose rules Postgres checks.

// errJSON says that an event's data is no JSON object, as far as it was looked at.
var errJSON = errors.New("is no JSON object")

// members hands over the members of an object, in their order: a name as it is written, and its value's JSON.
func members(object []byte, member func(name []byte, value rawJSON) error) error {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(object, space), []byte("{"))
	if !ok {
		return errJSON
	}
	rest = bytes.TrimLeft(rest, space)
	for first := true; len(rest) > 0 && rest[0] != '}'; first = false {
		if !first {
			if rest, ok = bytes.CutPrefix(rest, []byte(",")); !ok {
				return errJSON
			}
			rest = bytes.TrimLeft(rest, space)
		}
		n := textLength(rest)
		if n == 0 {
			return errJSON
		}
		name := rest[1 : n-1]
		if rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest[n:], space), []byte(":")); !ok {
			return errJSON
		}
		rest = bytes.TrimLeft(rest, space)
		if n = valueLength(rest); n == 0 {
			return errJSON
		}
		if value := rest[:n:n]; string(value) != "null" { // as if it were not there
			if err := member(name, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		rest = bytes.TrimLeft(rest[n:], space)
	}
	if len(rest) == 0 || len(bytes.TrimLeft(rest[1:], space)) > 0 {
		return errJSON
	}
	return nil
}

const space = " \t\r\n"

// textLength is how long the string is that some JSON begins with, quotes included; 0: there is none.
func textLength(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}

// valueLength is how long the value is that some JSON begins with; 0: there is none.
func valueLength(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		return textLength(b)
	case '{', '[':
		return nestedLength(b)
	}
	// A number or a word, as far as it goes; what it is worth sees who reads it.
	n := 0
	for n < len(b) && (b[n] >= 'a' && b[n] <= 'z' || b[n] >= '0' && b[n] <= '9' || b[n] == '-' || b[n] == '+' || b[n] == '.' || b[n] == 'E') {
		n++
	}
	return n
}

func nestedLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := textLength(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// textOf is a string's value.
func textOf[T ~string](value rawJSON, into *T) error {
	if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		*into = T(value[1 : n-1])
		return nil
	}
	return json.Unmarshal(value, into)
}

func numberOf(value rawJSON, into *int64) (err error) {
	*into, err = strconv.ParseInt(string(value), 10, 64)
	return err
}

func timeOf(value rawJSON, into *time.Time) error { return into.UnmarshalJSON(value) }

func moneyOf(value rawJSON, into *domain.Money) error {
	return members(value, func(name []byte, value rawJSON) error {
		switch string(name) {
		case "amount":
			return numberOf(value, &into.Amount)
		case "currency":
			return textOf(value, &into.Currency)
		}
		return nil
	})
}

// statusOf is textOf for a status, which is nearly always one of four.
func statusOf(value rawJSON, into *domain.OrderStatus) error {
	for _, known := range [...]domain.OrderStatus{domain.Pending, domain.Confirmed, domain.Completed, domain.Canceled} {
		if len(value) == len(known)+2 && string(value[1:len(value)-1]) == string(known) && value[0] == '"' {
			*into = known
			return nil
		}
	}
	return textOf(value, into)
}
