package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"boxoffice/internal/httpapi"
)

func TestARequestIsTraced(t *testing.T) {
	t.Parallel()
	type spanKey struct{}
	var route string
	var status, spans int
	handler, err := httpapi.NewHandler(httpapi.Config{
		Trace: func(r *http.Request) (context.Context, func(string, int)) {
			return context.WithValue(r.Context(), spanKey{}, r.Header.Get("Traceparent")), func(r string, s int) { route, status = r, s; spans++ }
		},
	}, []httpapi.Route{
		{Method: "GET", Path: "/orders/{id}", Who: httpapi.Anyone, Handle: func(w http.ResponseWriter, r *http.Request) error {
			if r.Context().Value(spanKey{}) != "the caller's" {
				t.Error("the handler is not within the span")
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		}},
		{Method: "GET", Path: "/fault", Who: httpapi.Anyone, Handle: func(http.ResponseWriter, *http.Request) error { return errors.New("fault") }},
		{Method: "GET", Path: "/panic", Who: httpapi.Anyone, Handle: func(http.ResponseWriter, *http.Request) error { panic("bug") }},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		path, route string
		status      int
	}{
		{"/orders/1?token=secret", "GET /orders/{id}", http.StatusNoContent},
		{"/fault", "GET /fault", http.StatusInternalServerError},
		{"/panic", "GET /panic", http.StatusInternalServerError},
		{"/nowhere", "", http.StatusNotFound},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, nil)
		r.Header.Set("Traceparent", "the caller's")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if route != test.route || status != test.status || spans != i+1 {
			t.Errorf("%s ended %d spans, the last with %q and %d", test.path, spans, route, status)
		}
	}
}
