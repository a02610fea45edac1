// Package openapitest stands between the clients of a test and the service, and holds every answer against
// openapi.yaml: its status, headers, content type and body, and every request that was accepted.
package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"testing"
)

// Transport is an http.RoundTripper that fails its test when an answer is not what openapi.yaml says. It is for any
// number of goroutines.
//
// A body is validated whenever its shape is new: route, status, headers, content type, and all of a body but the
// text of its free strings and the value of its numbers. Of further bodies of that shape every 64th is validated, so
// that a crowd of buyers costs a hash each.
type Transport struct {
	t      testing.TB
	base   http.RoundTripper
	rules  *rules
	mu     sync.Mutex
	failed map[string]bool // what was said already
}

// maxFailures is how many differences a test is told.
const maxFailures = 20

// NewTransport puts the validator in front of base, or of http.DefaultTransport if that is nil.
func NewTransport(t testing.TB, base http.RoundTripper) *Transport {
	t.Helper()
	if base == nil {
		base = http.DefaultTransport
	}
	rules, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return &Transport{t: t, base: base, rules: rules, failed: map[string]bool{}}
}

// RoundTrip sends the request and judges what comes back. Errors: those of the transport behind it.
func (tr *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := tr.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind == eventStream {
		tr.tell(r, response, tr.rules.checkHead(r, response))
		response.Body = &eventReader{ReadCloser: response.Body, check: func(name string, data []byte) {
			tr.tell(r, response, tr.rules.checkEvent(r, name, data))
		}}
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	tr.tell(r, response, tr.rules.check(r, response, body))
	return response, nil
}

// CloseIdleConnections passes the call on to the transport behind.
func (tr *Transport) CloseIdleConnections() {
	if closer, ok := tr.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// tell fails the test with what is different, each difference once.
func (tr *Transport) tell(r *http.Request, response *http.Response, differences []string) {
	if len(differences) == 0 {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, difference := range differences {
		said := r.Method + difference
		if tr.failed[said] || len(tr.failed) >= maxFailures {
			continue
		}
		tr.failed[said] = true
		tr.t.Errorf("openapi.yaml: %s %s got %d: %s", r.Method, r.URL.RequestURI(), response.StatusCode, difference)
	}
}
