package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/httpapi/httpapitest"
)

func nothing(http.ResponseWriter, *http.Request) error { return nil }

func failing(err error) func(http.ResponseWriter, *http.Request) error {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

// everyKind has a route of each kind there is.
var everyKind = []httpapi.Route{
	{Method: "POST", Path: "/orders/ticket", Who: httpapi.Channel, Idempotent: true, Format: httpapi.Owner, Handle: nothing},
	{Method: "POST", Path: "/webhooks/payment", Who: httpapi.Gateway, MaxBody: 256 << 10, Format: httpapi.Owner, Handle: nothing},
	{Method: "POST", Path: "/orders", Who: httpapi.Anyone, Idempotent: true, Handle: nothing},
	{Method: "GET", Path: "/orders/{id}", Who: httpapi.Buyer, Handle: nothing},
	{Method: "POST", Path: "/orders/{id}/cancel", Who: httpapi.Buyer, Handle: nothing},
	{Method: "GET", Path: "/orders", Who: httpapi.AnyOperator(), Handle: nothing},
	{Method: "POST", Path: "/shows", Who: httpapi.Operators(httpapi.RoleAdmin), Idempotent: true, Handle: nothing},
	{Method: "PATCH", Path: "/shows/{id}", Who: httpapi.Operators(httpapi.RoleSales), Handle: nothing},
	{Method: "GET", Path: "/orders/{id}/events", Who: httpapi.Buyer, Stream: true, Handle: nothing},
	{Method: "GET", Path: "/{$}", Who: httpapi.Anyone, Format: httpapi.Page, Handle: nothing},
	{Method: "POST", Path: "/buy/{id}", Who: httpapi.Anyone, Format: httpapi.Page, Handle: nothing},
}

func TestTheMiddlewareKeepsThePolicy(t *testing.T) {
	httpapitest.CheckRoutes(t, everyKind, map[string]httpapi.Who{
		"POST /orders/ticket":      httpapi.Channel,
		"POST /webhooks/payment":   httpapi.Gateway,
		"POST /orders":             httpapi.Anyone,
		"GET /orders/{id}":         httpapi.Buyer,
		"POST /orders/{id}/cancel": httpapi.Buyer,
		"GET /orders":              httpapi.Operators(httpapi.RoleRead, httpapi.RoleDoor, httpapi.RoleSales),
		"POST /shows":              httpapi.Operators(),
		"PATCH /shows/{id}":        httpapi.Operators(httpapi.RoleAdmin, httpapi.RoleSales),
		"GET /orders/{id}/events":  httpapi.Buyer,
		"GET /{$}":                 httpapi.Anyone,
		"POST /buy/{id}":           httpapi.Anyone,
	})
}

func TestAnAddressIsWrittenInOneWay(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, everyKind...)
	for _, path := range []string{"//orders/7", "/orders//7", "/x/../orders/7", "/./orders/7", "//"} {
		for _, method := range []string{"GET", "POST"} {
			answer := send(h, httptest.NewRequest(method, "http://box.example"+path, nil))
			if answer.Code != http.StatusNotFound || answer.Header().Get("Content-Type") != "application/problem+json" || answer.Header().Get("Location") != "" {
				t.Errorf("%s %s got %d %v", method, path, answer.Code, answer.Header())
			}
		}
	}
	if answer := send(h, httptest.NewRequest(http.MethodGet, "http://box.example/orders/a%2F%2Fb", nil)); answer.Code != http.StatusOK {
		t.Errorf("an id with slashes in it got %d", answer.Code)
	}
}

func TestARefusalAdvisesWhatWouldDo(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, everyKind...)
	for path, token := range map[string]bool{"/orders": false, "/orders/7": true} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer wrong")
		answer := send(h, r)
		if answer.Code != http.StatusUnauthorized || strings.Contains(answer.Body.String(), "Order-Token") != token {
			t.Errorf("%s got %d %s", path, answer.Code, answer.Body)
		}
	}
}

func TestABadTableIsRefused(t *testing.T) {
	t.Parallel()
	good := httpapi.Route{Method: "GET", Path: "/x", Who: httpapi.Anyone, Handle: nothing}
	for what, change := range map[string]func(*httpapi.Route){
		"nobody may call it":       func(r *httpapi.Route) { r.Who = 0 },
		"two kinds may call it":    func(r *httpapi.Route) { r.Who = httpapi.Buyer | httpapi.Gateway },
		"it has no handler":        func(r *httpapi.Route) { r.Handle = nil },
		"its method is small":      func(r *httpapi.Route) { r.Method = "get" },
		"its pattern is not valid": func(r *httpapi.Route) { r.Path = "/{" },
		"it is there twice":        func(r *httpapi.Route) { r.Path = "/twice" },
	} {
		bad := good
		change(&bad)
		twice := good
		twice.Path = "/twice"
		if _, err := httpapi.NewHandler(httpapi.Config{Log: slog.New(slog.DiscardHandler)}, []httpapi.Route{twice}, []httpapi.Route{bad}); err == nil {
			t.Errorf("%s: it was taken", what)
		}
	}
}

func TestChannelRoutesAreOpenUntilKeysAreConfigured(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, everyKind...)
	r := httptest.NewRequest(http.MethodPost, "/orders/ticket", nil)
	r.Header.Set("Authorization", "Bearer of-something-else")
	if answer := send(h, r); answer.Code != http.StatusOK {
		t.Errorf("got %d, want 200", answer.Code)
	}
}

func TestOperatorsAndChannelsAreKnownToHandlers(t *testing.T) {
	t.Parallel()
	operators, err := httpapi.ParseOperatorKeys("ann:sales:0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	channels, err := httpapi.ParseChannelKeys("web:fedcba9876543210")
	if err != nil {
		t.Fatal(err)
	}
	who := func(w http.ResponseWriter, r *http.Request) error {
		operator, _ := httpapi.OperatorFrom(r.Context())
		channel, _ := httpapi.ChannelFrom(r.Context())
		return httpapi.JSON(w, http.StatusOK, operator.Name+"/"+string(operator.Role)+"/"+channel)
	}
	h := handlerOf(t, httpapi.Config{Operators: operators, Channels: channels},
		httpapi.Route{Method: "GET", Path: "/buyer", Who: httpapi.Buyer, Handle: who},
		httpapi.Route{Method: "GET", Path: "/anyone", Who: httpapi.Anyone, Handle: who},
		httpapi.Route{Method: "GET", Path: "/channel", Who: httpapi.Channel, Handle: who})
	for _, given := range []struct{ path, authorization, want string }{
		{"/buyer", "", `"//"`},
		{"/buyer", "Bearer 0123456789abcdef", `"ann/sales/"`},
		{"/buyer", "bearer  0123456789abcdef", `"ann/sales/"`},
		{"/anyone", "Bearer 0123456789abcdef", `"ann/sales/"`},
		{"/anyone", "Bearer something-else", `"//"`},
		{"/channel", "Bearer fedcba9876543210", `"//web"`},
	} {
		r := httptest.NewRequest(http.MethodGet, given.path, nil)
		if given.authorization != "" {
			r.Header.Set("Authorization", given.authorization)
		}
		if answer := send(h, r); answer.Body.String() != given.want {
			t.Errorf("%s with %q: got %s, want %s", given.path, given.authorization, answer.Body, given.want)
		}
	}
}

func TestRefusalsInBothFormats(t *testing.T) {
	t.Parallel()
	cause := errors.New("pq: password authentication failed at /var/lib")
	for _, given := range []struct {
		what          string
		err           error
		status        int
		code          string
		owner, spoken string
	}{
		{"unknown show", &domain.Rejection{Code: domain.NotFound, What: domain.WhatShow}, 404, "not_found", "01", "EVENT NOT FOUND"},
		{"unknown type", &domain.Rejection{Code: domain.NotFound, What: domain.WhatTicketType}, 404, "not_found", "01", "TICKET NOT FOUND"},
		{"unknown order", httpapi.NotFound("order"), 404, "not_found", "01", "ORDER NOT FOUND"},
		{"bad quantity", &domain.Rejection{Code: domain.Invalid, Field: "/quantity", Detail: "Too many."}, 400, "invalid", "80", "INVALID quantity"},
		{"bad line", &domain.Rejection{Code: domain.Invalid, Field: "/lines/0/ticketTypeId"}, 400, "invalid", "80", "INVALID ticketId"},
		{"bad show", &domain.Rejection{Code: domain.Invalid, Field: "/showId"}, 400, "invalid", "80", "INVALID eventId"},
		{"bad customer", &domain.Rejection{Code: domain.Invalid, Field: "/customer/id"}, 400, "invalid", "80", "INVALID uName"},
		{"bad method", &domain.Rejection{Code: domain.Invalid, Field: "/paymentMethod"}, 400, "invalid", "80", "INVALID paymentMethod"},
		{"bad body", httpapi.Invalid(httpapi.FieldError{Detail: "is not JSON"}), 400, "invalid", "80", "INVALID JSON"},
		{"sold out", &domain.Rejection{Code: domain.SoldOut, Available: 1, Held: 3}, 409, "sold_out", "01", "STOCK IS NOT AVAILABLE"},
		{"limit", &domain.Rejection{Code: domain.LimitReached, Detail: "At most 6."}, 409, "limit_reached", "97", "BUSINESS_ERROR: At most 6"},
		{"closed", &domain.Rejection{Code: domain.SalesClosed, Detail: "Not yet."}, 409, "sales_closed", "97", "BUSINESS_ERROR: Not yet"},
		{"paused", &domain.Rejection{Code: domain.SalesArePaused, Detail: "Wait."}, 409, "sales_paused", "97", "BUSINESS_ERROR: Wait"},
		{"canceled", &domain.Rejection{Code: domain.ShowIsCanceled, Detail: "Over."}, 409, "show_canceled", "97", "BUSINESS_ERROR: Over"},
		{"hold ended", &domain.Rejection{Code: domain.HoldEnded, Detail: "Over."}, 409, "hold_ended", "97", "BUSINESS_ERROR: Over"},
		{"not cancelable", &domain.Rejection{Code: domain.NotCancelable, Detail: "No."}, 409, "not_cancelable", "97", "BUSINESS_ERROR: No"},
		{"in use", &domain.Rejection{Code: domain.CapacityInUse, Detail: "No."}, 409, "capacity_in_use", "97", "BUSINESS_ERROR: No"},
		{"exists", &domain.Rejection{Code: domain.Exists, Detail: "No."}, 409, "exists", "97", "BUSINESS_ERROR: No"},
		{"another body", &domain.Rejection{Code: domain.IdempotencyMismatch}, 422, "idempotency_mismatch", "80", "REQUEST ID WAS USED WITH ANOTHER PAYLOAD"},
		{"no key", httpapi.Unauthorized(), 401, "unauthorized", "01", "INVALID CHANNEL KEY"},
		{"bad signature", httpapi.BadSignature(), 401, "unauthorized", "01", "INVALID SIGNATURE"},
		{"overloaded", httpapi.ErrOverloaded, 503, "overloaded", "99", "GENERIC_ERROR"},
		{"unavailable", fmt.Errorf("%w: %w", httpapi.ErrUnavailable, cause), 503, "unavailable", "99", "GENERIC_ERROR"},
		{"too slow", fmt.Errorf("append: %w", context.DeadlineExceeded), 503, "unavailable", "99", "GENERIC_ERROR"},
		{"a fault", cause, 500, "internal", "99", "GENERIC_ERROR"},
	} {
		t.Run(given.what, func(t *testing.T) {
			t.Parallel()
			h := handlerOf(t, httpapi.Config{},
				httpapi.Route{Method: "POST", Path: "/native", Who: httpapi.Anyone, Handle: failing(fmt.Errorf("place: %w", given.err))},
				httpapi.Route{Method: "POST", Path: "/owner", Who: httpapi.Anyone, Format: httpapi.Owner, Handle: failing(given.err)})
			native := send(h, httptest.NewRequest(http.MethodPost, "/native", nil))
			var problem httpapi.Problem
			decode(t, native, &problem)
			if native.Code != given.status || problem.Status != given.status || problem.Code != given.code ||
				problem.Type != "/problems/"+given.code || problem.Title == "" || problem.Instance == "" {
				t.Errorf("native: got %d %s", native.Code, native.Body)
			}
			owner := send(h, httptest.NewRequest(http.MethodPost, "/owner", nil))
			var envelope struct {
				Header  struct{ ResponseCode, ResponseMessage string }
				Payload struct{ Code string }
			}
			decode(t, owner, &envelope)
			if owner.Code != given.status || envelope.Header.ResponseCode != given.owner ||
				envelope.Header.ResponseMessage != given.spoken || envelope.Payload.Code != given.code {
				t.Errorf("owner: got %d %s", owner.Code, owner.Body)
			}
			for _, answer := range []*httptest.ResponseRecorder{native, owner} {
				if strings.Contains(answer.Body.String(), "pq:") || strings.Contains(answer.Body.String(), "/var") {
					t.Errorf("the cause is told: %s", answer.Body)
				}
				if (given.status == 503) != (answer.Header().Get("Retry-After") == "1") {
					t.Errorf("Retry-After is %q with %d", answer.Header().Get("Retry-After"), given.status)
				}
			}
		})
	}
}

func TestSoldOutTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, httpapi.Route{
		Method: "POST", Path: "/owner", Who: httpapi.Anyone, Format: httpapi.Owner,
		Handle: failing(&domain.Rejection{Code: domain.SoldOut, Detail: "Only 0 are left.", Held: 3}),
	})
	answer := send(h, httptest.NewRequest(http.MethodPost, "/owner", nil))
	want := `{"header":{"responseCode":"01","responseMessage":"STOCK IS NOT AVAILABLE"},` +
		`"payload":{"code":"sold_out","detail":"Only 0 are left.","available":0,"held":3}}`
	if answer.Body.String() != want {
		t.Errorf("got %s, want %s", answer.Body, want)
	}
}

func TestPanicsAndFaultsAreLoggedOnceAndNotTold(t *testing.T) {
	t.Parallel()
	for what, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"a panic": func(http.ResponseWriter, *http.Request) error { panic("secret of the house") },
		"a fault": failing(errors.New("secret of the house")),
	} {
		var log bytes.Buffer
		h := handlerOf(t, httpapi.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))},
			httpapi.Route{Method: "GET", Path: "/x", Who: httpapi.Anyone, Handle: handle})
		answer := send(h, httptest.NewRequest(http.MethodGet, "/x", nil))
		if answer.Code != 500 || strings.Contains(answer.Body.String(), "secret") || strings.Contains(answer.Body.String(), "goroutine") {
			t.Errorf("%s: got %d %s", what, answer.Code, answer.Body)
		}
		id := answer.Header().Get("X-Request-Id")
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "secret of the house") || !strings.Contains(log.String(), id) {
			t.Errorf("%s: the log has %s", what, log.String())
		}
	}
}

func TestHalfAnAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, httpapi.Route{
		Method: "GET", Path: "/x", Who: httpapi.Anyone,
		Handle: func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = w.Write([]byte("half"))
			return errors.New("the other half is gone")
		},
	})
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("got %v, want the connection to be cut", err)
		}
	}()
	send(h, httptest.NewRequest(http.MethodGet, "/x", nil))
}

func TestUnmatchedRequests(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, everyKind...)
	for _, given := range []struct {
		method, path, accept string
		status               int
		kind, allow          string
	}{
		{"GET", "/nowhere", "", 404, "application/problem+json", ""},
		{"GET", "/nowhere", "text/html,*/*", 404, "text/html; charset=utf-8", ""},
		{"GET", "/orders/a/b/c", "", 404, "application/problem+json", ""},
		{"GET", "/webhooks/payment/other", "", 404, "application/json", ""},
		{"GET", "/webhooks/payment", "", 405, "application/json", "POST"},
		{"DELETE", "/orders/7", "", 405, "application/problem+json", "GET, HEAD"},
		{"OPTIONS", "/shows", "", 405, "application/problem+json", "POST"},
		{"TRACE", "/shows", "", 405, "application/problem+json", "POST"},
		{"PUT", "/orders", "", 405, "application/problem+json", "GET, HEAD, POST"},
		{"GET", "/orders/%00", "", 400, "application/problem+json", ""},
		{"GET", "/orders/%ff", "", 400, "application/problem+json", ""},
		{"GET", "/orders/7?at=%00", "", 400, "application/problem+json", ""},
		{"GET", "/orders/7?at=%ff", "", 400, "application/problem+json", ""},
		{"GET", "/orders/7?at=%zz", "", 400, "application/problem+json", ""},
		{"GET", "/orders/7?at=" + strings.Repeat("x", 4<<10), "", 414, "application/problem+json", ""},
	} {
		r := httptest.NewRequest(given.method, given.path, nil)
		r.Header.Set("Accept", given.accept)
		answer := send(h, r)
		header := answer.Header()
		if answer.Code != given.status || header.Get("Content-Type") != given.kind || header.Get("Allow") != given.allow {
			t.Errorf("%s %.40s: got %d %s allow %q", given.method, given.path, answer.Code, header.Get("Content-Type"), header.Get("Allow"))
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %.40s lacks headers: %v", given.method, given.path, header)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, httpapi.Config{}, everyKind...)
	seen := map[string]bool{}
	for sent, kept := range map[string]bool{
		"": false, "trace-1.A_b": true, "with space": false, "line\nend": false, strings.Repeat("x", 65): false, "ü": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/nowhere", nil)
		r.Header["X-Request-Id"] = []string{sent}
		got := send(h, r).Header().Get("X-Request-Id")
		if (got == sent) != kept || seen[got] || got == "" {
			t.Errorf("sent %q, got %q", sent, got)
		}
		seen[got] = true
	}
}

func TestARequestHasALimitAndAStreamHasNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := func(_ http.ResponseWriter, r *http.Request) error {
			select {
			case <-r.Context().Done():
				return r.Context().Err()
			case <-time.After(time.Hour):
				return nil
			}
		}
		h := handlerOf(t, httpapi.Config{},
			httpapi.Route{Method: "GET", Path: "/short", Who: httpapi.Anyone, Handle: wait},
			httpapi.Route{Method: "GET", Path: "/long", Who: httpapi.Anyone, Stream: true, Handle: wait})
		if answer := send(h, httptest.NewRequest(http.MethodGet, "/short", nil)); answer.Code != 503 {
			t.Errorf("a request without end got %d, want 503", answer.Code)
		}
		if answer := send(h, httptest.NewRequest(http.MethodGet, "/long", nil)); answer.Code != 200 {
			t.Errorf("a stream got %d, want 200", answer.Code)
		}
	})
}

func TestMetricsLearnOfEveryRequest(t *testing.T) {
	t.Parallel()
	var seen []string
	h := handlerOf(t, httpapi.Config{Observe: func(route string, status int, _ time.Duration) {
		seen = append(seen, fmt.Sprintf("%s %d", route, status))
	}}, everyKind...)
	send(h, httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	send(h, httptest.NewRequest(http.MethodGet, "/nowhere", nil))
	send(h, httptest.NewRequest(http.MethodPost, "/shows", nil))
	if got, want := strings.Join(seen, ", "), "GET /orders/{id} 200,  404, POST /shows 401"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func handlerOf(t *testing.T, config httpapi.Config, routes ...httpapi.Route) http.Handler {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	h, err := httpapi.NewHandler(config, routes)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, answer *httptest.ResponseRecorder, v any) {
	t.Helper()
	if err := json.Unmarshal(answer.Body.Bytes(), v); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
}

func BenchmarkAnOrderThroughTheMiddleware(b *testing.B) {
	h, err := httpapi.NewHandler(httpapi.Config{Log: slog.New(slog.DiscardHandler)}, everyKind, []httpapi.Route{{
		Method: "POST", Path: "/bench", Who: httpapi.Channel, Format: httpapi.Owner, Handle: takesAnOrder,
	}})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/bench", nil)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(validOrder))
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(validOrder))
		if answer := send(h, r); answer.Code != http.StatusOK {
			b.Fatal(answer.Body)
		}
	}
}
