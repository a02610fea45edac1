package openapitest

import (
	"net/http"
	"strings"

	"boxoffice/internal/httpapi"
)

// template is a path of the document, cut at its slashes.
type template struct {
	path  string
	parts []string
	item  httpapi.APIPath
}

// find is the path and the operation that a request belongs to. A path without an operation is one that answers to
// other methods. Where several paths fit, as for net/http the one whose first difference is no parameter.
func (r *rules) find(request *http.Request) (*template, *httpapi.APIOperation) {
	method := request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var best *template
	var operation *httpapi.APIOperation
	parts := strings.Split(request.URL.EscapedPath(), "/")
	for i := range r.templates {
		t := &r.templates[i]
		if !t.fits(parts) {
			continue
		}
		found, ok := t.item.Operations().Get(method)
		switch {
		case best == nil, ok && (operation == nil || t.closer(best)):
			best, operation = t, found
		}
	}
	return best, operation
}

func (t *template) fits(parts []string) bool {
	if len(parts) != len(t.parts) {
		return false
	}
	for i, part := range t.parts {
		if isParameter(part) && parts[i] != "" {
			continue
		}
		if part != parts[i] {
			return false
		}
	}
	return true
}

func (t *template) closer(other *template) bool {
	for i, part := range t.parts {
		if isParameter(part) != isParameter(other.parts[i]) {
			return !isParameter(part)
		}
	}
	return false
}

func isParameter(part string) bool { return strings.HasPrefix(part, "{") }
