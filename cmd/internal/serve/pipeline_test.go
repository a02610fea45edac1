package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"

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
