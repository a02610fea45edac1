package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"boxoffice/cmd/internal/serve"
)

const (
	relayedEvery = 200 * time.Millisecond // how often is looked how far the relay is
	relayStall   = 2 * time.Minute        // without any event published
)

// publish publishes until all up to the end of the log, as it was in the beginning, is in the topics: itself if no
// other relay is active.
func (a *again) publish(ctx context.Context) error {
	telling := a.newProgress(a.json)
	defer telling.end()
	var handler slog.Handler = slog.NewTextHandler(between{telling}, &slog.HandlerOptions{Level: slog.LevelWarn})
	if a.json {
		handler = slog.NewJSONHandler(between{telling}, &slog.HandlerOptions{Level: slog.LevelWarn})
	}
	relay := serve.NewRelay(a.store, a.kafka, slog.New(handler))
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(running) }()
	at, err := a.await(ctx, telling)
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		telling.rest()
		a.say("Published up to position %d; from there the next active relay goes on.", at)
	}
	return err
}

// await waits for the relay, whichever is active, and tells how far it is.
func (a *again) await(ctx context.Context, telling *progress) (at int64, err error) {
	at = a.from - 1
	for moved := time.Now(); ; {
		progress, err := a.store.Progress(ctx)
		if err != nil {
			return at, err
		}
		if progress.Relayed != at {
			at, moved = progress.Relayed, time.Now()
		}
		telling.tell(step{Phase: "publish", Done: min(at, a.to) - a.from + 1, Total: a.to - a.from + 1, Unit: "events"})
		if at >= a.to {
			return at, nil
		}
		if time.Since(moved) > relayStall {
			return at, fmt.Errorf("nothing was published for %s", relayStall)
		}
		if err := sleep(ctx, relayedEvery); err != nil {
			return at, err
		}
	}
}

// between writes lines of a log between those that tell how far a task is.
type between struct{ *progress }

func (b between) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leave()
	return b.out.Write(line)
}
