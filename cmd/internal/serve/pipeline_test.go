package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/internal/messaging"
)

// told is a log that ends something when it is written to.
type told struct {
	slog.Handler
	end func()
}

func (t told) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "waiting for Kafka" {
		t.end()
	}
	return nil
}

func (told) Enabled(context.Context, slog.Level) bool { return true }

func TestThatKafkaIsAwayIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, news := slog.New(slog.NewTextHandler(&out, nil)), kafkaNews{}
		says := func(waiting, there int) {
			t.Helper()
			if got := out.String(); strings.Count(got, "waiting for Kafka") != waiting || strings.Count(got, "Kafka is there") != there {
				t.Errorf("it says %s", got)
			}
		}
		away := func() { news.away(t.Context(), log, errors.New("refused")) }
		news.there(t.Context(), log)
		says(0, 0)
		for range 6 {
			away()
		}
		says(1, 0)
		<-time.After(kafkaToldEvery) // of the test's own clock
		away()
		says(2, 0)
		news.there(t.Context(), log)
		news.there(t.Context(), log)
		says(2, 1)
		away()
		says(3, 1)
	})
}

func TestAPartWaitsForABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil { // nobody answers there any more
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &service{
		Options: Options{Log: slog.New(told{slog.DiscardHandler, cancel})},
		kafka:   messaging.Config{Brokers: []string{listener.Addr().String()}},
	}
	if _, err := s.single(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it gave up: %v", err)
	}
}
