package serve

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
)

func TestWatermillComplainsOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, ok := newQuiet(slog.New(slog.NewTextHandler(&out, nil))).(quiet)
	if !ok {
		t.Fatal("it is another log")
	}
	now := time.Now()
	log.said.now = func() time.Time { return now }
	for i := range 100 {
		log.With(watermill.LogFields{"message": i}).Error("Handler returned error", errors.New("Postgres is away"), nil)
	}
	log.Error("something else", errors.New("x"), nil)
	log.Info("started", nil)
	if got := out.String(); strings.Count(got, "Handler returned error") != 1 || strings.Count(got, "something else") != 1 || strings.Contains(got, "started") {
		t.Errorf("it says %s", got)
	}
	now = now.Add(quietEvery)
	log.Error("Handler returned error", errors.New("Postgres is away"), watermill.LogFields{"topic": "x"})
	if got := out.String(); strings.Count(got, "Handler returned error") != 2 || !strings.Contains(got, "untold=99") {
		t.Errorf("later it says %s", got)
	}
}
