package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Page sizes of lists.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// PathID is a positive integer in the path, such as a show's id. Anything else names nothing: 404 for what.
func PathID(r *http.Request, name, what string) (int64, error) {
	text := r.PathValue(name)
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || text != strconv.FormatInt(id, 10) {
		return 0, NotFound(what)
	}
	return id, nil
}

// ParseLimit is the query's limit, 1 to 200, or 50. Errors: *Problem.
func ParseLimit(q url.Values) (int, error) {
	limit, sent, err := QueryInt(q, "limit")
	switch {
	case err != nil:
		return 0, err
	case !sent:
		return defaultLimit, nil
	case limit < 1 || limit > maxLimit:
		return 0, badParameter("limit", "must be from 1 to "+strconv.Itoa(maxLimit))
	}
	return int(limit), nil
}

// QueryInt is an integer of the query that is not negative, and whether it was sent. Errors: *Problem.
func QueryInt(q url.Values, name string) (value int64, sent bool, err error) {
	text, sent, err := single(q, name)
	if err != nil || !sent {
		return 0, false, err
	}
	value, ok := parseCount(text)
	if !ok {
		return 0, true, badParameter(name, "must be an integer that is not negative")
	}
	return value, true, nil
}

// QueryTime is a time of the query, RFC 3339, and whether it was sent. Errors: *Problem.
func QueryTime(q url.Values, name string) (value time.Time, sent bool, err error) {
	text, sent, err := single(q, name)
	if err != nil || !sent {
		return time.Time{}, false, err
	}
	value, err = time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, true, badParameter(name, "must be a time like 2025-02-03T12:00:00Z")
	}
	return value, true, nil
}

// HeaderInt is an integer header that is not negative, such as Min-Position, and whether it was sent.
// Errors: *Problem.
func HeaderInt(r *http.Request, name string) (value int64, sent bool, err error) {
	text := r.Header.Get(name)
	if text == "" {
		return 0, false, nil
	}
	value, ok := parseCount(text)
	if !ok {
		return 0, true, Invalid(FieldError{Header: name, Detail: "must be an integer that is not negative"})
	}
	return value, true, nil
}

// EncodeCursor makes the opaque text that asks for the next part of a list; v is where it goes on.
func EncodeCursor(v any) (string, error) {
	b, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// ParseCursor reads the query's cursor into v and reports whether there was one. Errors: *Problem.
func ParseCursor(q url.Values, v any) (sent bool, err error) {
	text, sent, err := single(q, "cursor")
	if err != nil || !sent {
		return false, err
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		err = DecodeBytes(b, v)
	}
	if err != nil {
		return true, badParameter("cursor", "must be the next of an earlier answer")
	}
	return true, nil
}

// single is a parameter that may be sent once; an empty one counts as not sent.
func single(q url.Values, name string) (text string, sent bool, err error) {
	values := q[name]
	if len(values) > 1 {
		return "", false, badParameter(name, "is there twice")
	}
	if len(values) == 0 || values[0] == "" {
		return "", false, nil
	}
	return values[0], true, nil
}

func parseCount(text string) (int64, bool) {
	value, err := strconv.ParseInt(text, 10, 64)
	return value, err == nil && value >= 0 && text[0] != '+'
}

func badParameter(name, detail string) *Problem {
	return Invalid(FieldError{Parameter: name, Detail: detail})
}
