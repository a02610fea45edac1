// Package httpapitest walks route tables in tests: who may call what, and what every answer carries.
package httpapitest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"boxoffice/internal/httpapi"
)

// Keys that the walk's handler knows.
const (
	operatorKeys = "r:read:read-key-of-the-walk,d:door:door-key-of-the-walk,s:sales:sales-key-of-the-walk,a:admin:admin-key-of-the-walk"
	channelKeys  = "web:channel-key-of-the-walk"
	channelKey   = "channel-key-of-the-walk"
)

var operators = map[httpapi.Role]string{
	httpapi.RoleRead: "read-key-of-the-walk", httpapi.RoleDoor: "door-key-of-the-walk",
	httpapi.RoleSales: "sales-key-of-the-walk", httpapi.RoleAdmin: "admin-key-of-the-walk",
}

// CheckRoutes proves that a table is exactly the policy ("POST /orders/{id}/cancel": httpapi.Buyer), that the
// middleware keeps everybody else out before a handler runs, refuses what is too large, not JSON or without the
// key it needs, and that every answer has the headers of its kind. The routes' own handlers are not called.
func CheckRoutes(t *testing.T, routes []httpapi.Route, policy map[string]httpapi.Who) {
	t.Helper()
	there := map[string]bool{}
	for _, route := range routes {
		there[route.Name()] = true
		if want, ok := policy[route.Name()]; !ok || route.Who != want {
			t.Errorf("%s is for %s, the policy says %s", route.Name(), route.Who, want)
		}
	}
	for name := range policy {
		if !there[name] {
			t.Errorf("%s is in the policy, but there is no such route", name)
		}
	}
	w := newWalk(t, routes)
	for _, route := range routes {
		t.Run(route.Name(), func(t *testing.T) {
			w.callers(t, route)
			w.badRequests(t, route)
		})
	}
}

type walk struct {
	handler http.Handler
	reached bool
}

func newWalk(t *testing.T, routes []httpapi.Route) *walk {
	t.Helper()
	keys, err := httpapi.ParseOperatorKeys(operatorKeys)
	if err != nil {
		t.Fatal(err)
	}
	channels, err := httpapi.ParseChannelKeys(channelKeys)
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{}
	stubs := make([]httpapi.Route, len(routes))
	for i, route := range routes {
		stubs[i] = route
		stubs[i].Handle = func(answer http.ResponseWriter, _ *http.Request) error {
			w.reached = true
			answer.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	config := httpapi.Config{Operators: keys, Channels: channels, Log: slog.New(slog.DiscardHandler)}
	if w.handler, err = httpapi.NewHandler(config, stubs); err != nil {
		t.Fatal(err)
	}
	return w
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// request is one that nothing is wrong with, but who sends it.
func request(route httpapi.Route, body string) *http.Request {
	r := httptest.NewRequest(route.Method, wildcard.ReplaceAllString(strings.TrimSuffix(route.Path, "{$}"), "1"), strings.NewReader(body))
	r.Header.Set("Idempotency-Key", "a-key-of-the-walk")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (w *walk) send(t *testing.T, route httpapi.Route, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w.reached = false
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	checkHeaders(t, route, answer)
	return answer
}

// callers tries everybody at a route.
func (w *walk) callers(t *testing.T, route httpapi.Route) {
	t.Helper()
	expect := func(who, authorization string, status int) string {
		t.Helper()
		r := request(route, "")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		answer := w.send(t, route, r)
		if answer.Code != status || w.reached != (status == http.StatusNoContent) {
			t.Errorf("%s got %d, want %d", who, answer.Code, status)
		}
		return instance.ReplaceAllString(answer.Body.String(), "")
	}
	const pass, wrong, forbidden = http.StatusNoContent, http.StatusUnauthorized, http.StatusForbidden
	for role, key := range operators {
		status := pass
		switch {
		case route.Who == httpapi.Channel:
			status = wrong
		case route.Who.ForOperators() && !route.Who.Allows(role):
			status = forbidden
		}
		expect("operator "+string(role), "Bearer "+key, status)
	}
	nobody, badKey := pass, pass
	switch {
	case route.Who == httpapi.Channel, route.Who.ForOperators():
		nobody, badKey = wrong, wrong
	case route.Who == httpapi.Buyer:
		badKey = wrong
	}
	told := expect("nobody", "", nobody)
	for _, authorization := range []string{"Bearer wrong", "Bearer ", "Basic " + operators[httpapi.RoleAdmin], "Bearer " + operators[httpapi.RoleAdmin] + "x"} {
		if got := expect(authorization, authorization, badKey); nobody == wrong && got != told {
			t.Errorf("a wrong key is told %s, a missing one %s", got, told)
		}
	}
	status := badKey
	if route.Who == httpapi.Channel {
		status = pass
	}
	expect("a channel", "Bearer "+channelKey, status)
}

var instance = regexp.MustCompile(`"instance":"[^"]*",?|Reference [^<]*`)

// badRequests sends what the middleware refuses for every handler.
func (w *walk) badRequests(t *testing.T, route httpapi.Route) {
	t.Helper()
	expect := func(what string, r *http.Request, status int) {
		t.Helper()
		r.Header.Set("Authorization", "Bearer "+operators[httpapi.RoleAdmin])
		if route.Who == httpapi.Channel {
			r.Header.Set("Authorization", "Bearer "+channelKey)
		}
		if answer := w.send(t, route, r); answer.Code != status || w.reached {
			t.Errorf("%s got %d, want %d", what, answer.Code, status)
		}
	}
	long := request(route, "")
	long.Header.Set("Idempotency-Key", strings.Repeat("k", 256))
	expect("a key of 256 characters", long, http.StatusBadRequest)
	if route.Idempotent && route.Format == httpapi.Native {
		missing := request(route, "")
		missing.Header.Del("Idempotency-Key")
		expect("no Idempotency-Key", missing, http.StatusBadRequest)
	}
	if route.Method == http.MethodGet {
		return
	}
	limit := route.MaxBody
	if limit == 0 {
		limit = httpapi.DefaultMaxBody
	}
	expect("a body that is too large", request(route, strings.Repeat(" ", int(limit)+1)), http.StatusRequestEntityTooLarge)
	if route.Format != httpapi.Page {
		plain := request(route, "{}")
		plain.Header.Set("Content-Type", "text/plain")
		expect("a text", plain, http.StatusUnsupportedMediaType)
	}
	if route.Who != httpapi.Gateway {
		foreign := request(route, "")
		foreign.Header.Set("Origin", "https://elsewhere.example")
		expect("another site", foreign, http.StatusForbidden)
	}
}

func checkHeaders(t *testing.T, route httpapi.Route, answer *httptest.ResponseRecorder) {
	t.Helper()
	header := answer.Header()
	policy := header.Get("Content-Security-Policy")
	switch {
	case !strings.Contains(policy, "default-src 'none'"), !strings.Contains(policy, "frame-ancestors 'none'"),
		strings.Contains(policy, "unsafe"), strings.Contains(policy, "*"),
		strings.Contains(policy, "script-src") != (route.Format == httpapi.Page):
		t.Errorf("a %d has the policy %q", answer.Code, policy)
	case header.Get("X-Content-Type-Options") != "nosniff", header.Get("Referrer-Policy") == "",
		header.Get("X-Request-Id") == "", header.Get("Cache-Control") != "no-store":
		t.Errorf("a %d lacks headers: %v", answer.Code, header)
	}
	if answer.Code < http.StatusBadRequest {
		return
	}
	want := map[httpapi.Format]string{
		httpapi.Native: "application/problem+json", httpapi.Owner: "application/json", httpapi.Page: "text/html; charset=utf-8",
	}[route.Format]
	if got := header.Get("Content-Type"); got != want {
		t.Errorf("a %d is %s, want %s", answer.Code, got, want)
	}
}
