package commands

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

const (
	duePoll = 200 * time.Millisecond // how often the shows with due work are looked up
	duePage = 100                    // shows at once, beside those that wait

	dueFirstPause = duePoll // before a show whose work came to nothing is tried again
	dueLastPause  = time.Minute
)

// Sender gives a command to the command bus.
type Sender func(ctx context.Context, c domain.Command, o Origin) (Answer, error)

// Timekeeper is the process manager of time: it asks for what is due on any show to be ended, and of a canceled
// show for all that was sold to be given back, step by step. Any number of processes may run one; a second
// command finds nothing to do.
type Timekeeper struct {
	Store *eventstore.Store
	Send  Sender
	Log   *slog.Logger
}

// Run works until ctx ends.
func (t Timekeeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(duePoll)
	defer ticker.Stop()
	work := dueWork{Timekeeper: t, waits: map[int64]wait{}, closings: map[int64]*closing{}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := t.Store.Now()
		shows, err := t.Store.DueShows(ctx, now, min(duePage+len(work.waits), eventstore.MaxPage))
		if err != nil {
			if ctx.Err() == nil {
				t.Log.Warn("due work can't be looked up", "error", err)
			}
			continue
		}
		work.do(ctx, shows, now)
	}
}

// dueWork is what a timekeeper remembers from one look to the next. All of it may be lost.
type dueWork struct {
	Timekeeper
	waits    map[int64]wait
	closings map[int64]*closing // of canceled shows that have sold tickets
}

// wait is what a show gets whose work failed or came to nothing. It stays due, so without it the first such
// shows would be all that is ever looked up.
type wait struct {
	until time.Time
	pause time.Duration
}

var errNothingDone = errors.New("there was nothing to end")

// do takes a step on every show that is due, except on those that wait.
func (w *dueWork) do(ctx context.Context, shows []int64, now time.Time) {
	waits, closings := make(map[int64]wait, len(w.waits)), make(map[int64]*closing, len(w.closings))
	var failed []int64
	var fault error // of the first of them
	for _, id := range shows {
		if c := w.closings[id]; c != nil {
			closings[id] = c
		}
	}
	w.closings = closings
	for _, id := range shows {
		last, again := w.waits[id]
		if again && now.Before(last.until) {
			waits[id] = last
			continue
		}
		done, err := w.step(ctx, id)
		if ctx.Err() != nil {
			break
		}
		if err == nil && done {
			continue
		}
		pause := min(max(2*last.pause, dueFirstPause), dueLastPause)
		waits[id] = wait{now.Add(pause), pause}
		if err == nil && again {
			err = errNothingDone // the first time, the row was only late: its hold had ended another way
		}
		if err != nil {
			if failed = append(failed, id); fault == nil {
				fault = err
			}
		}
	}
	w.waits = waits
	if fault != nil {
		w.Log.Warn("due work must wait", "shows", len(failed), "first", failed[0], "error", fault)
	}
}

// step ends what is due on a show, as much as one step may, and reports whether there was something to do.
func (w *dueWork) step(ctx context.Context, showID int64) (done bool, err error) {
	answer, err := w.Send(ctx, domain.EndDue{ShowID: showID}, Origin{Actor: ActorSystem})
	if err != nil {
		return false, err
	}
	if !canceledAndSold(answer.Show) {
		delete(w.closings, showID)
		return answer.Result.Changed, nil
	}
	c := w.closings[showID]
	if c == nil {
		c = newClosing(showID)
		w.closings[showID] = c
	}
	returned, err := c.step(ctx, w.Timekeeper)
	if err == nil && !returned {
		delete(w.closings, showID) // whatever was passed over is found again from the start
	}
	return returned || answer.Result.Changed, err
}

func canceledAndSold(s *views.ShowFacts) bool {
	return s != nil && s.Canceled && slices.ContainsFunc(s.Totals, func(t domain.Totals) bool { return t.Sold > 0 })
}
