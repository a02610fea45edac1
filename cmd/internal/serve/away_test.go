package serve_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/devstack"
)

// lines counts log lines by their message.
type lines struct {
	slog.Handler
	mu    sync.Mutex
	heard map[string]int
}

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[r.Message]++
	return nil
}

func (*lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l *lines) WithGroup(string) slog.Handler          { return l }

func (l *lines) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[message]
}

func TestThatKafkaIsAwayAtTheStartIsToldOnceAndSoon(t *testing.T) {
	t.Parallel()
	kafka := devstack.OwnKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	if err := kafka.Server.CutOff(); err != nil {
		t.Fatal(err)
	}
	log := &lines{Handler: slog.DiscardHandler, heard: map[string]int{}}
	o.lines = log
	p := o.start("one", config.AllRoles()...)
	within(t, 5*time.Second, "it is told", func() string {
		if log.count("waiting for Kafka") == 0 {
			return "not yet"
		}
		return ""
	})
	if err := kafka.Server.Reconnect(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told that Kafka is there", func() string {
		if log.count("Kafka is there") == 0 {
			return "not yet"
		}
		return ""
	})
	p.createShow(1, 10)
	o.awaitRest()
	if waiting, there := log.count("waiting for Kafka"), log.count("Kafka is there"); waiting != 1 || there != 1 {
		t.Errorf("%d times it was told that Kafka is away, %d times that it is there", waiting, there)
	}
}

func TestAProcessIsAliveWhilePostgresIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	if err := postgres.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	p := o.start("one", config.Relay)
	status := func(path string) int {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		defer func() { _ = answer.Body.Close() }()
		var view map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&view); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return answer.StatusCode
	}
	if live, ready := status("/livez"), status("/readyz"); live != http.StatusOK || ready != http.StatusServiceUnavailable {
		t.Errorf("without Postgres /livez is %d, /readyz is %d", live, ready)
	}
	if err := postgres.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready", func() string {
		if status("/readyz") != http.StatusOK {
			return "not yet"
		}
		return ""
	})
}
