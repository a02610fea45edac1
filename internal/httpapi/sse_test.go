package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/internal/httpapi"
)

func TestAnEncodedEvent(t *testing.T) {
	t.Parallel()
	got, err := httpapi.EncodeEvent("order", "3", map[string]string{"b": "two\nlines", "a": "é"})
	if want := "event: order\nid: 3\ndata: {\"a\":\"é\",\"b\":\"two\\nlines\"}\n\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := httpapi.EncodeEvent("order", "3", math.NaN()); err == nil {
		t.Error("what is no JSON was encoded")
	}
}

func TestTheIDOfTheLastEvent(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]int64{"": 0, "0": 0, "17": 17, "9223372036854775807": math.MaxInt64} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Last-Event-ID", sent)
		if got, err := httpapi.LastEventID(r); got != want || err != nil {
			t.Errorf("%q is read as %d, %v", sent, got, err)
		}
	}
	for _, bad := range []string{"-1", "x", "1.0", "+1", "0x1", "9223372036854775808"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Last-Event-ID", bad)
		_, err := httpapi.LastEventID(r)
		if p := httpapi.FromError(err); p.Status != http.StatusBadRequest || len(p.Errors) != 1 || p.Errors[0].Header != "Last-Event-ID" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// plainWriter can't be flushed.
type plainWriter struct{ http.ResponseWriter }

func TestAStreamNeedsAConnection(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	if _, err := httpapi.StartEvents(plainWriter{answer}); err == nil {
		t.Error("a stream began that could not be flushed")
	}
}

func TestAKeyThatIsTakenBackIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "keys")
		write := func(content string) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Second) // of the test's own clock; the file is read again by then
			synctest.Wait()
		}
		keys, err := httpapi.ParseOperatorKeys("ann:read:the-key-of-an-operator")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- keys.Watch(ctx, file, slog.New(slog.DiscardHandler)) }()
		var got []bool
		handler := handlerOf(t, httpapi.Config{Operators: keys}, httpapi.Route{
			Method: "GET", Path: "/stream", Who: httpapi.Anyone, Stream: true,
			Handle: func(_ http.ResponseWriter, r *http.Request) error {
				for _, content := range []string{
					"ann:read:the-key-of-an-operator", "ann:admin:the-key-of-an-operator", "ann:read:another-key-of-ann",
				} {
					write(content)
					got = append(got, httpapi.Revoked(r))
				}
				return nil
			},
		})
		for authorization, want := range map[string]string{
			"Bearer the-key-of-an-operator": "[false true true]", // as it was, with another role, gone
			"":                              "[false false false]",
		} {
			write("ann:read:the-key-of-an-operator")
			got = nil
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/stream", nil)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			handler.ServeHTTP(httptest.NewRecorder(), r)
			if said := fmt.Sprint(got); said != want {
				t.Errorf("%q: revoked %s, want %s", authorization, said, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
