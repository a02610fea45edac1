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
	duePage = 100                    // shows at once, beside those that wait after a fault

	dueFirstPause = time.Second // before a show whose work failed is tried again
	dueLastPause  = time.Minute
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
	waits := map[int64]wait{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := t.Store.Now()
		shows, err := t.Store.DueShows(ctx, now, min(duePage+len(waits), eventstore.MaxPage))
		if err != nil {
			if ctx.Err() == nil {
				t.Log.Warn("due work can't be looked up", "error", err)
			}
			continue
		}
		waits = t.endDue(ctx, shows, waits, now)
	}
}

// wait is what a show gets whose work failed. It stays due, so without it the first such shows would be all
// that is ever looked up.
type wait struct {
	until time.Time
	pause time.Duration
}

// endDue ends what is due on shows, except on those that wait, and returns those that wait now.
func (t Timekeeper) endDue(ctx context.Context, shows []int64, waits map[int64]wait, now time.Time) map[int64]wait {
	waiting := make(map[int64]wait, len(waits))
	for _, id := range shows {
		last, again := waits[id]
		if again && now.Before(last.until) {
			waiting[id] = last
			continue
		}
		_, err := t.Send(ctx, domain.EndDue{ShowID: id}, Origin{Actor: ActorSystem})
		if ctx.Err() != nil {
			return waiting
		}
		if err != nil {
			pause := min(max(2*last.pause, dueFirstPause), dueLastPause)
			waiting[id] = wait{now.Add(pause), pause}
			t.Log.Warn("due work of a show must wait", "show", id, "for", pause, "error", err)
		}
	}
	return waiting
}
