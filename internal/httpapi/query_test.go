package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"boxoffice/internal/httpapi"
)

func TestParseLimit(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]int{
		"": 50, "limit=": 50, "limit=1": 1, "limit=200": 200, "limit=0": 0, "limit=201": 0, "limit=-1": 0,
		"limit=x": 0, "limit=1e2": 0, "limit=%2B5": 0, "limit=99999999999999999999": 0, "limit=1&limit=2": 0,
	} {
		got, err := httpapi.ParseLimit(values(t, query))
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d, %v, want %d", query, got, err, want)
		}
	}
}

func TestQueryTime(t *testing.T) {
	t.Parallel()
	at, sent, err := httpapi.QueryTime(values(t, "at=2025-02-03T19:00:00.5%2B07:00"), "at")
	if want := time.Date(2025, 2, 3, 12, 0, 0, 500_000_000, time.UTC); err != nil || !sent || !at.Equal(want) {
		t.Errorf("got %s, %t, %v", at, sent, err)
	}
	if _, _, err := httpapi.QueryTime(values(t, "at=now"), "at"); err == nil {
		t.Error("now is taken for a time")
	}
}

func TestCursorsAreOpaqueAndChecked(t *testing.T) {
	t.Parallel()
	type place struct {
		Position int64  `json:"p"`
		ID       string `json:"i"`
	}
	want := place{42, "ORDER-20250205-338aa78d"}
	cursor, err := httpapi.EncodeCursor(want)
	if err != nil {
		t.Fatal(err)
	}
	var got place
	if sent, err := httpapi.ParseCursor(url.Values{"cursor": {cursor}}, &got); err != nil || !sent || got != want {
		t.Errorf("got %+v, %t, %v", got, sent, err)
	}
	if sent, err := httpapi.ParseCursor(url.Values{}, &got); err != nil || sent {
		t.Errorf("no cursor: got %t, %v", sent, err)
	}
	for _, bad := range []string{"x", cursor + "A", cursor[:len(cursor)-2], "bnVsbA", "e30=", "eyJ6IjoxfQ", "\x00"} {
		if _, err := httpapi.ParseCursor(url.Values{"cursor": {bad}}, &place{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestPathID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"7": 7, "0": 0, "-7": 0, "+7": 0, "07": 0, "7 ": 0, "x": 0, "": 0, "9223372036854775808": 0} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetPathValue("id", text)
		got, err := httpapi.PathID(r, "id", "show")
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestHeaderInt(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, sent, err := httpapi.HeaderInt(r, "Min-Position"); sent || err != nil {
		t.Errorf("got %t, %v", sent, err)
	}
	r.Header.Set("Min-Position", "12")
	if got, sent, err := httpapi.HeaderInt(r, "Min-Position"); got != 12 || !sent || err != nil {
		t.Errorf("got %d, %t, %v", got, sent, err)
	}
	r.Header.Set("Min-Position", "-1")
	if _, _, err := httpapi.HeaderInt(r, "Min-Position"); err == nil {
		t.Error("-1 is taken")
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	for known, want := range map[string]bool{
		"": false, `"12"`: true, `"11"`: false, `"11", "12"`: true, `W/"12"`: true, "*": true, "12": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("If-None-Match", known)
		w := httptest.NewRecorder()
		if got := httpapi.ETag(w, r, 12); got != want || (w.Code == 304) != want || w.Header().Get("ETag") != `"12"` {
			t.Errorf("%s: got %t and %d", known, got, w.Code)
		}
	}
}

func values(t *testing.T, query string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
