package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	sendLimit = 30 * time.Second // for sending one
	drain     = 3 * time.Second  // for what is under way when the process ends
)

// deliver sends one notification and says how it is settled. The error is the sender's.
func (w *worker) deliver(ctx context.Context, c claimed) (s settlement, err error) {
	s = settlement{id: c.ID, tries: c.Tries, counted: c.Tries}
	var news Notification
	if err := json.Unmarshal(c.News, &news); err != nil {
		s.outcome = Outcome{Failed, "it can't be read: " + err.Error()}
		w.tell(ctx, s)
		return s, nil //nolint:nilerr // it is how this one ends, and no trouble of the sender
	}
	if w.now().Sub(news.At) > MaxAge {
		s.outcome = Outcome{Expired, "it waited too long"}
	} else if s.outcome, err = w.send(ctx, news); err != nil {
		s.outcome = Outcome{Reason: err.Error()}
		s.pause = w.retry.pause(c.Tries)
		if errors.Is(err, ErrUnavailable) {
			s.pause = min(s.pause, lastProbe) // it is hardly this one's fault, and others are tried before it
		}
		if w.now().Add(s.pause).Sub(news.At) > MaxAge && ctx.Err() == nil {
			s.outcome.Result = Expired
		}
	}
	w.tell(ctx, s)
	return s, err
}

// tell counts what became of a notification, and says what an operator may want to look at.
func (w *worker) tell(ctx context.Context, s settlement) {
	attributes := []any{"notification", s.id, "tries", s.tries, "reason", s.outcome.Reason}
	switch s.outcome.Result {
	case "":
		w.log.WarnContext(ctx, "notification not sent, it is tried again", append(attributes, "pause", s.pause)...)
		w.observe(Retried)
		return
	case Expired:
		w.log.WarnContext(ctx, "notification given up", attributes...)
	case Failed:
		w.log.WarnContext(ctx, "notification refused for good", attributes...)
	}
	w.observe(s.outcome.Result)
}

// send calls the sender. What is under way when ctx ends has some time to finish: an interrupted mail may have
// been taken, and would be sent again. A sender that panics has not sent.
func (w *worker) send(ctx context.Context, news Notification) (outcome Outcome, err error) {
	living, end := outlive(ctx, drain)
	defer end()
	sending, cancel := context.WithTimeout(living, sendLimit)
	defer cancel()
	defer func() {
		if broken := recover(); broken != nil {
			outcome, err = Outcome{}, fmt.Errorf("the sender panicked: %v", broken)
		}
	}()
	return w.sender.Send(sending, news)
}

// outlive is a context that ends some time after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	living, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-living.Done():
		}
	})
	return living, func() {
		stop()
		cancel()
	}
}
