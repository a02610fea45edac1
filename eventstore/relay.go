package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Limits and times of the relay.
const (
	relayPage      = 2_000                  // events published at once, at most
	relayPageBytes = 4 << 20                // and their bytes, unless one event is larger
	relayFirstPage = 64                     // what it begins with, because it can't know how large events are
	relayPoll      = 50 * time.Millisecond  // the log is looked at so often though nobody woke the relay,
	relayLastPoll  = time.Second            // and when that finds nothing, ever less often, down to this
	relayFirstWait = 100 * time.Millisecond // after a fault, doubled after each further one
	relayLastWait  = time.Second
	relaySilence   = 10 * time.Second
)

// Routed is a message with the topic it goes to.
type Routed struct {
	Topic   string
	Message *message.Message
}

// RelayConfig is what a Relay may be told. Zero values mean the defaults.
type RelayConfig struct {
	Log *slog.Logger // nil: says nothing
	// Silence is after how long without a sign of life a standby ends the active relay's connection. 0: 10 s.
	Silence time.Duration
	// Page is how many events are published at once, at most. 0: 2,000.
	Page int
}

// Relay publishes the log in the order of positions. Of all relays on a log one is active and the others
// stand by. Delivery is at least once: what was published when a fault came is published again from the last
// confirmed position on, nothing is passed over, and so every message's first occurrence is in order.
type Relay struct {
	store *Store
	open  func() (message.Publisher, error)
	route func(Recorded) ([]Routed, error)
	cfg   RelayConfig
	log   *slog.Logger

	position atomic.Int64
	active   atomic.Bool
}

// NewRelay makes a relay. open makes a publisher that takes whole batches: its Publish returns nil when all
// of them are written, and after an error, with which it is closed, it has written nothing that comes after
// the first message that is not. route says which messages an event becomes; it is a pure function.
func NewRelay(store *Store, open func() (message.Publisher, error), route func(Recorded) ([]Routed, error), cfg RelayConfig) *Relay {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Silence <= 0 {
		cfg.Silence = relaySilence
	}
	if cfg.Page <= 0 {
		cfg.Page = relayPage
	}
	return &Relay{store: store, open: open, route: route, cfg: cfg, log: cfg.Log.With("part", "relay")}
}

// Position is the last position that this relay has published or has found published, 0 before it was active.
func (r *Relay) Position() int64 { return r.position.Load() }

// Active reports whether this relay is the one that publishes.
func (r *Relay) Active() bool { return r.active.Load() }

// Lag is how many events of the log are not yet published, by whichever relay is active.
func (r *Relay) Lag(ctx context.Context) (events int64, err error) {
	err = r.store.db.GetContext(ctx, &events, `SELECT h.position - c.position FROM log_head h, checkpoints c
		WHERE c.name = 'relay' AND c.topic = '' AND c.partition = 0`)
	if err != nil {
		return 0, fmt.Errorf("the relay's lag: %w", err)
	}
	return events, nil
}

// Run publishes, or stands by, until ctx ends, and then returns nil. Faults are logged and tried again; one
// that repetition does not cure (ErrGap, an event that can't be routed or sent) leaves the lag growing.
func (r *Relay) Run(ctx context.Context) error {
	wait := pause{first: relayFirstWait, last: relayLastWait}
	for ctx.Err() == nil {
		if err := r.lead(ctx, &wait); ctx.Err() == nil {
			r.log.WarnContext(ctx, "not the active relay any more", "error", err, "position", r.Position())
			wait.wait(ctx, nil)
		}
	}
	return nil
}

// lead becomes the active relay and publishes until it is not any more, and says why.
func (r *Relay) lead(ctx context.Context, wait *pause) (err error) {
	l, err := r.elect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	r.position.Store(l.position)
	r.active.Store(true)
	defer r.active.Store(false)
	r.log.InfoContext(ctx, "active", "position", l.position, "epoch", l.epoch)

	leading, stop := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		stop(l.beat(leading)) // its end is the end of the leadership
	}()
	err = r.publishAll(leading, l, wait)
	stop(nil)
	<-beating
	return err
}

// publishAll publishes with one publisher after another until ctx, which is the leadership's, ends.
func (r *Relay) publishAll(ctx context.Context, l *leadership, wait *pause) error {
	for {
		err := r.publishLog(ctx, l, wait)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errNotLeading):
			return err
		}
		r.log.WarnContext(ctx, "publishing stopped, trying again", "error", err, "position", l.position)
		wait.wait(ctx, nil)
	}
}

// publishLog publishes page after page with one publisher until something fails or ctx ends.
func (r *Relay) publishLog(ctx context.Context, l *leadership, wait *pause) (err error) {
	publisher, err := r.open()
	if err != nil {
		return fmt.Errorf("open a publisher: %w", err)
	}
	defer func() { err = errors.Join(err, publisher.Close()) }()
	wake, stop := r.store.Appended()
	defer stop()
	pages := &pages{store: r.store, limit: r.cfg.Page, next: min(relayFirstPage, r.cfg.Page)}
	idle := pause{first: relayPoll, last: relayLastPoll}
	for ctx.Err() == nil {
		events, err := pages.read(ctx, l.position)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			idle.wait(ctx, wake)
			continue
		}
		idle.reset()
		if err := r.publish(ctx, publisher, events); err != nil {
			return err
		}
		if err := l.move(ctx, events[len(events)-1].Position); err != nil {
			return err
		}
		r.position.Store(l.position)
		wait.reset()
	}
	return nil
}

// publish publishes events, per topic all at once.
func (r *Relay) publish(ctx context.Context, publisher message.Publisher, events []Recorded) error {
	var topics []string
	batches := map[string][]*message.Message{}
	for _, e := range events {
		routed, err := r.route(e)
		if err != nil {
			return fmt.Errorf("route %s at position %d: %w", e.ID(), e.Position, err)
		}
		for _, m := range routed {
			if batches[m.Topic] == nil {
				topics = append(topics, m.Topic)
			}
			m.Message.SetContext(ctx)
			batches[m.Topic] = append(batches[m.Topic], m.Message)
		}
	}
	for _, topic := range topics {
		if err := publisher.Publish(topic, batches[topic]...); err != nil {
			return fmt.Errorf("publish positions %d to %d: %w", events[0].Position, events[len(events)-1].Position, err)
		}
	}
	return nil
}
