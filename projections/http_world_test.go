package projections

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"boxoffice/internal/httpapi"
)

const (
	operatorKey = "the-key-of-an-operator"
	secretKey   = "a-secret-of-thirty-two-characters!"
)

// site is a world that is asked over HTTP.
type site struct {
	*world
	handler http.Handler
	queries *Queries
	secrets *httpapi.Secrets
}

func newSite(t *testing.T) *site {
	t.Helper()
	w := newWorld(t)
	secrets, err := httpapi.ParseSecrets(secretKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := httpapi.ParseOperatorKeys("ann:read:" + operatorKey)
	if err != nil {
		t.Fatal(err)
	}
	queries := NewQueries(QueryConfig{
		DB: w.db, Store: w.store, Secrets: secrets, CustomerRef: func(id string) string { return "ref-of-" + id },
	})
	config := httpapi.Config{Operators: keys, Log: slog.New(slog.DiscardHandler)}
	handler, err := httpapi.NewHandler(config, queries.Routes())
	if err != nil {
		t.Fatal(err)
	}
	return &site{w, handler, queries, secrets}
}

// get asks with headers given as pairs of name and value.
func (s *site) get(t testing.TB, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	return answer
}

// asOperator asks with the operator's key.
func (s *site) asOperator(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	return s.get(t, path, "Authorization", "Bearer "+operatorKey)
}

// must is the answer's body if its status is 200.
func must[T any](t testing.TB, answer *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if answer.Code != http.StatusOK {
		t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return v
}

// wantJSON compares an answer with JSON, whatever its white space.
func wantJSON(t testing.TB, answer *httptest.ResponseRecorder, want string) {
	t.Helper()
	if got, expected := plain(t, answer.Body.String()), plain(t, want); answer.Code != http.StatusOK || got != expected {
		t.Errorf("answered %d\n%s\nwant\n%s", answer.Code, got, expected)
	}
}

func plain(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantStatus(t testing.TB, answer *httptest.ResponseRecorder, status int, words ...string) {
	t.Helper()
	if answer.Code != status {
		t.Errorf("answered %d %s, want %d", answer.Code, answer.Body, status)
	}
	for _, word := range words {
		if !strings.Contains(answer.Body.String(), word) {
			t.Errorf("%q is not in %s", word, answer.Body)
		}
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never was so")
		}
	}
}
