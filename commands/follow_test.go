package commands

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

func TestOnlyAFaultMakesTheIndexFallBehindInWords(t *testing.T) {
	t.Parallel()
	tended := func(ctx context.Context, t *testing.T, o *office) string {
		t.Helper()
		var told bytes.Buffer
		w := NewWriter(o.store, slog.New(slog.NewTextHandler(&told, nil)), Observer{}, nil)
		w.tend(ctx)
		w.background.Wait()
		if w.indexing.Load() {
			t.Error("it is still indexing")
		}
		return told.String()
	}
	t.Run("a writer that ends says nothing", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if told := tended(ctx, t, newOffice(t)); told != "" {
			t.Errorf("it said %s", told)
		}
	})
	t.Run("a log that can't be reached is told", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t)
		if err := o.db.Close(); err != nil {
			t.Fatal(err)
		}
		if told := tended(t.Context(), t, o); !strings.Contains(told, "index of requests falls behind") {
			t.Errorf("it said %q", told)
		}
	})
}
