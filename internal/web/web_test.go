package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/httpapi/httpapitest"
	"boxoffice/internal/web"
)

func TestRoutesAreForAnyone(t *testing.T) {
	policy := map[string]httpapi.Who{}
	for _, path := range []string{
		"/{$}", "/livez", "/readyz", "/favicon.ico", "/assets/boxoffice.css", "/assets/boxoffice.js", "/assets/favicon.svg",
	} {
		policy["GET "+path] = httpapi.Anyone
	}
	httpapitest.CheckRoutes(t, web.Routes(web.Config{Log: slog.New(slog.DiscardHandler)}), policy)
}

func TestThePageShowsWhatIsOn(t *testing.T) {
	t.Parallel()
	answer := get(t, web.Config{Shows: listOf(concert())}, "/")
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %s", answer.Code, answer.Header().Get("Content-Type"))
	}
	for _, want := range []string{
		"Night of Gamelan", "On sale", "Hall 1", "Sat 2 Jan 2027, 20:00 WIB", `datetime="2027-01-02T13:00:00Z"`, "Rp150.000",
		`data-count="available">1,990<`, `data-count="held">4<`, `data-count="sold">6<`, `<rect class="sold" width="0.30%"`,
		"curl -i http://example.com/orders/ticket", "curl -i http://example.com/webhooks/payment",
		`"ticketId":1,"eventId":1,"quantity":2`, `"requestId":"123456","requestDS":"2025-02-03T12:00:00Z"`,
	} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}

func TestThePageNeedsNothingInlineOrForeign(t *testing.T) {
	t.Parallel()
	page := get(t, web.Config{Shows: listOf(concert())}, "/").Body.String()
	for what, pattern := range map[string]string{
		"an inline script":         `<script(>|[^>]*>[^<])`,
		"an inline style":          `<style|\sstyle=`,
		"an event handler":         `\son[a-z]+=`,
		"something from elsewhere": `(src|href|action)="(https?:|//)`,
	} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%s: %s", what, found)
		}
	}
	for _, asset := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if answer := get(t, web.Config{}, asset[1]); answer.Code != http.StatusOK || answer.Body.Len() == 0 {
			t.Errorf("%s: got %d", asset[1], answer.Code)
		}
	}
}

func TestNamesAreNotTakenForHTML(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><script>`, `'-alert(1)-'`, `{{.}}`, `<svg/onload=alert(1)>`,
	} {
		show := concert()
		show.Name, show.Venue, show.Status, show.Currency, show.TimeZone = hostile, hostile, hostile, hostile, hostile
		show.TicketTypes[0].Name = hostile
		answer := get(t, web.Config{Shows: listOf(show)}, "/")
		if answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), hostile) && strings.ContainsAny(hostile, `<"`) {
			t.Errorf("%s: got %d and it stands there as it is", hostile, answer.Code)
		}
	}
}

func TestTheCommandsNameThePageItself(t *testing.T) {
	t.Parallel()
	for _, given := range []struct{ host, public, want string }{
		{"127.0.0.1:8080", "", "http://127.0.0.1:8080"},
		{"[::1]:9000", "", "http://[::1]:9000"},
		{"box.example", "https://tickets.example/", "https://tickets.example"},
		{"x;rm${IFS}-rf", "", "http://127.0.0.1:8080"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = given.host
		answer := httptest.NewRecorder()
		handlerOf(t, web.Config{Shows: listOf(), PublicURL: given.public}).ServeHTTP(answer, r)
		if want := "curl -i " + given.want + "/orders/ticket "; !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: the page does not say %s", given.host, want)
		}
	}
}

func TestAPageWithoutShowsTeachesAndALongOneIsCut(t *testing.T) {
	t.Parallel()
	if page := get(t, web.Config{Shows: listOf()}, "/").Body.String(); !strings.Contains(page, "Nothing is on yet") {
		t.Error("an empty page does not say so")
	}
	page := get(t, web.Config{Shows: listOf(make([]web.Show, web.MaxShows+5)...)}, "/").Body.String()
	if strings.Count(page, `class="show"`) != web.MaxShows || !strings.Contains(page, "and 5 more") {
		t.Error("a long list is not cut")
	}
	failing := func(context.Context) ([]web.Show, error) { return nil, errors.New("pq: no way") }
	if answer := get(t, web.Config{Shows: failing}, "/"); answer.Code != 500 || strings.Contains(answer.Body.String(), "pq:") {
		t.Errorf("without its list it answers %d %s", answer.Code, answer.Body)
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for want, show := range map[string]web.Show{
		"Rp1.500.000":   {Currency: "IDR", TicketTypes: []web.TicketType{{Price: 1_500_000}}},
		"Rp0":           {Currency: "IDR", TicketTypes: []web.TicketType{{Price: 0}}},
		"1,234.05 EUR":  {Currency: "EUR", TicketTypes: []web.TicketType{{Price: 123_405}}},
		"12,000 JPY":    {Currency: "JPY", TicketTypes: []web.TicketType{{Price: 12_000}}},
		"1.005 KWD":     {Currency: "KWD", TicketTypes: []web.TicketType{{Price: 1005}}},
		"1,000,007 XXX": {Currency: "XXX", TicketTypes: []web.TicketType{{Price: 1_000_007}}},
	} {
		if page := get(t, web.Config{Shows: listOf(show)}, "/").Body.String(); !strings.Contains(page, ">"+want+"<") {
			t.Errorf("%+v is not shown as %s", show.TicketTypes[0], want)
		}
	}
}

func TestAssetsAreSentOnce(t *testing.T) {
	t.Parallel()
	h := handlerOf(t, web.Config{})
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/assets/boxoffice.css", nil))
	again := httptest.NewRequest(http.MethodGet, "/assets/boxoffice.css", nil)
	again.Header.Set("If-None-Match", first.Header().Get("ETag"))
	second := httptest.NewRecorder()
	h.ServeHTTP(second, again)
	if first.Code != http.StatusOK || second.Code != http.StatusNotModified || second.Body.Len() != 0 {
		t.Errorf("got %d, then %d with %d bytes", first.Code, second.Code, second.Body.Len())
	}
}

func TestTheFirstViewIsSmall(t *testing.T) {
	t.Parallel()
	const limit = 50 << 10 // bytes, for buyers on slow lines
	size := get(t, web.Config{Shows: listOf(make([]web.Show, web.MaxShows)...)}, "/").Body.Len()
	files, err := os.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := file.Info(); err == nil && file.Name() != "home.html" {
			size += int(info.Size())
		}
	}
	if size > limit {
		t.Errorf("the first view has %d bytes, more than %d", size, limit)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	works := func(context.Context) error { return nil }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("ping: %w", ctx.Err()) }
	breaks := func(context.Context) error { return errors.New("password of postgres://user@host is wrong") }
	refuses := func(context.Context) error {
		return fmt.Errorf("ping: %w", &net.OpError{Op: "dial", Err: errors.New("refused")})
	}
	for _, given := range []struct {
		what            string
		postgres, kafka func(context.Context) error
		status          int
		body            string
	}{
		{"all is well", works, works, 200, `{"ready":true,"checks":{"kafka":"ok","postgres":"ok"}}`},
		{"Kafka is down", works, refuses, 200, `{"ready":true,"checks":{"kafka":"unreachable","postgres":"ok"}}`},
		{"Kafka hangs", works, hangs, 200, `{"ready":true,"checks":{"kafka":"timeout","postgres":"ok"}}`},
		{"Postgres is down", refuses, works, 503, `{"ready":false,"checks":{"kafka":"ok","postgres":"unreachable"}}`},
		{"Postgres hangs", hangs, works, 503, `{"ready":false,"checks":{"kafka":"ok","postgres":"timeout"}}`},
		{"Postgres refuses us", breaks, works, 503, `{"ready":false,"checks":{"kafka":"ok","postgres":"failed"}}`},
	} {
		t.Run(given.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				config := web.Config{Checks: []web.Check{
					{Name: "postgres", Required: true, Run: given.postgres}, {Name: "kafka", Run: given.kafka},
				}}
				start := time.Now()
				answer := get(t, config, "/readyz")
				if answer.Code != given.status || !sameJSON(t, answer.Body.String(), given.body) {
					t.Errorf("got %d %s, want %d %s", answer.Code, answer.Body, given.status, given.body)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %s", took)
				}
				if answer := get(t, config, "/livez"); answer.Code != 200 {
					t.Errorf("livez says %d", answer.Code)
				}
			})
		})
	}
}

func TestReadinessIsJudgedRarelyAndLoggedWhenItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ran, failure := 0, error(nil)
		h := handlerOf(t, web.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Checks: []web.Check{{
			Name: "postgres", Required: true, Run: func(context.Context) error { ran++; return failure },
		}}})
		ask := func(times int) {
			for range times {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/readyz", nil))
			}
			pause := time.NewTimer(time.Second) // of the test's own clock
			<-pause.C
		}
		ask(10)
		failure = errors.New("gone")
		ask(10)
		ask(10)
		failure = nil
		ask(1)
		if ran != 4 {
			t.Errorf("31 questions ran the check %d times, want 4", ran)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "error=gone") {
			t.Errorf("want one line each for down and up, got %s", log.String())
		}
	})
}

func concert() web.Show {
	return web.Show{
		ID: 1, Name: "Night of Gamelan", Venue: "Hall 1", Status: "on_sale", Currency: "IDR",
		StartsAt: time.Date(2027, 1, 2, 13, 0, 0, 0, time.UTC), TimeZone: "Asia/Jakarta",
		TicketTypes: []web.TicketType{{ID: 1, Name: "Standard", Price: 150_000, Capacity: 2000, Held: 4, Sold: 6, Available: 1990}},
	}
}

func listOf(shows ...web.Show) func(context.Context) ([]web.Show, error) {
	return func(context.Context) ([]web.Show, error) { return shows, nil }
}

func handlerOf(t *testing.T, config web.Config) http.Handler {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	h, err := httpapi.NewHandler(httpapi.Config{Log: config.Log}, web.Routes(config))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, config web.Config, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	handlerOf(t, config).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var left, right any
	if err := errors.Join(json.Unmarshal([]byte(a), &left), json.Unmarshal([]byte(b), &right)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(left) == fmt.Sprint(right)
}
