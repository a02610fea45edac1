package httpapi

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// checkURL refuses addresses that are too long or carry what no handler should have to think of.
func checkURL(r *http.Request) error {
	if len(r.RequestURI) > maxURLBytes {
		return tooLarge(fmt.Sprintf("The address is longer than %d bytes.", maxURLBytes), http.StatusRequestURITooLong)
	}
	query := r.URL.RawQuery
	if strings.IndexByte(query, '%') >= 0 {
		decoded, err := url.QueryUnescape(query)
		if err != nil {
			return badAddress()
		}
		query = decoded
	}
	if !clean(r.URL.Path) || !clean(query) {
		return badAddress()
	}
	return nil
}

// plain reports whether a path is written in the one way that routes are: /shows, and not //shows or /x/../shows.
// ServeMux would send callers of the others on, in HTML, and to where a POST can't always follow.
func plain(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true // ServeMux leaves these as they are
	}
	sent := r.URL.EscapedPath()
	cleaned := path.Clean("/" + sent)
	if len(cleaned) > 1 && strings.HasSuffix(sent, "/") {
		cleaned += "/"
	}
	return sent == cleaned
}

func badAddress() *Problem {
	p := Invalid()
	p.Detail = "The address must be UTF-8 without NUL characters, encoded as URLs are."
	return p
}

func clean(s string) bool { return utf8.ValidString(s) && !hasNUL(s) }

// checkOrigin refuses what another site makes a browser send. Gateways are no browsers.
func (h *handler) checkOrigin(route *Route, r *http.Request) error {
	if route.Who == Gateway {
		return nil
	}
	if err := h.origins.Check(r); err != nil {
		return Forbidden("Requests from pages of other sites are not taken.")
	}
	return nil
}

// checkIdempotencyKey refuses a key that is missing where it is required, or not valid wherever it is sent.
func checkIdempotencyKey(route *Route, r *http.Request) error {
	keys := r.Header[idempotencyHeader]
	switch {
	case len(keys) == 0 && route.Idempotent && route.Format == Native:
		return Invalid(FieldError{Header: idempotencyHeader, Detail: "is required"})
	case len(keys) == 0:
		return nil
	case len(keys) > 1:
		return Invalid(FieldError{Header: idempotencyHeader, Detail: "is there twice"})
	case len(keys[0]) > maxIdempotencyKey || !visible(keys[0]):
		detail := fmt.Sprintf("must be 1 to %d visible ASCII characters", maxIdempotencyKey)
		return Invalid(FieldError{Header: idempotencyHeader, Detail: detail})
	}
	return nil
}

// checkBody refuses a body that says of itself that it is too large or not JSON. Forms belong to pages only.
func checkBody(route *Route, r *http.Request) error {
	if r.ContentLength > route.MaxBody {
		return tooLargeBody(route.MaxBody)
	}
	if r.ContentLength == 0 {
		return nil
	}
	if sent := r.Header.Get("Content-Encoding"); sent != "" && !strings.EqualFold(sent, "identity") {
		return unsupported("Content-Encoding", "must not be there: bodies are taken as they are")
	}
	if route.Format == Page || isJSON(r.Header["Content-Type"]) {
		return nil
	}
	return unsupported("Content-Type", "must be application/json")
}

func isJSON(types []string) bool {
	if len(types) != 1 {
		return false
	}
	if types[0] == jsonType {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || kind != jsonType {
		return false
	}
	charset, sent := parameters["charset"]
	return !sent || strings.EqualFold(charset, "utf-8")
}
