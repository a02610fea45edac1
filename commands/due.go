package commands

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

const (
	duePoll = 200 * time.Millisecond // how often the shows with due work are looked up
	duePage = 100                    // shows at once, beside those that wait

	dueFirstPause = duePoll // before a show whose work came to nothing is tried again
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

// wait is what a show gets whose work failed or came to nothing. It stays due, so without it the first such
// shows would be all that is ever looked up.
type wait struct {
	until time.Time
	pause time.Duration
}

var errNothingDone = errors.New("there was nothing to end")

// endDue ends what is due on shows, except on those that wait, and returns those that wait now.
func (t Timekeeper) endDue(ctx context.Context, shows []int64, waits map[int64]wait, now time.Time) map[int64]wait {
	waiting := make(map[int64]wait, len(waits))
	var failed []int64
	var fault error // of the first of them
	for _, id := range shows {
		last, again := waits[id]
		if again && now.Before(last.until) {
			waiting[id] = last
			continue
		}
		answer, err := t.Send(ctx, domain.EndDue{ShowID: id}, Origin{Actor: ActorSystem})
		if ctx.Err() != nil {
			return waiting
		}
		if err == nil && answer.Result.Changed {
			continue
		}
		pause := min(max(2*last.pause, dueFirstPause), dueLastPause)
		waiting[id] = wait{now.Add(pause), pause}
		if err == nil && again {
			err = errNothingDone // the first time, the row was only late: its hold had ended another way
		}
		if err != nil {
			if failed = append(failed, id); fault == nil {
				fault = err
			}
		}
	}
	if fault != nil {
		t.Log.Warn("due work must wait", "shows", len(failed), "first", failed[0], "error", fault)
	}
	return waiting
}
