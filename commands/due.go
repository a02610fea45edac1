package commands

import (
	"context"
	"log/slog"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

const (
	duePoll = 200 * time.Millisecond // how often the shows with due work are looked up
	duePage = 100                    // shows at once
)

// Sender gives a command to the command bus.
type Sender func(ctx context.Context, c domain.Command, o Origin) (Answer, error)

// Timekeeper is the process manager of time: it asks for what is due on any show to be ended. Any number of
// processes may run one; a second EndDue finds nothing to do.
type Timekeeper struct {
	Store *eventstore.Store
	Send  Sender
	Log   *slog.Logger
}

// Run works until ctx ends.
func (t Timekeeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(duePoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		shows, err := t.Store.DueShows(ctx, t.Store.Now(), duePage)
		if err != nil {
			if ctx.Err() == nil {
				t.Log.Warn("due work can't be looked up", "error", err)
			}
			continue
		}
		for _, id := range shows {
			if _, err := t.Send(ctx, domain.EndDue{ShowID: id}, Origin{Actor: ActorSystem}); err != nil && ctx.Err() == nil {
				t.Log.Warn("due work of a show must wait", "show", id, "error", err)
			}
		}
	}
}
