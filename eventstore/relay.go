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
	relayPage      = 1_000                  // events published at once
	relayPoll      = 250 * time.Millisecond // how often the log is looked at though nobody woke the relay
	relayFirstWait = 100 * time.Millisecond // after a fault
	relayLastWait  = 5 * time.Second
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
	// Page is how many events are published at once. 0: 1,000.
	Page int
}

// Relay publishes the log, in the order of positions. Of all relays on a log one is active, the others stand by.
// Delivery is at least once: what was published when a fault came is published again, nothing is passed over.
type Relay struct {
	store    *Store
	open     func() (message.Publisher, error)
	route    func(Recorded) ([]Routed, error)
	cfg      RelayConfig
	log      *slog.Logger
	position atomic.Int64
	active   atomic.Bool
}

// NewRelay makes a relay. Open makes a publisher, which takes whole batches and is closed at its first error;
// route says which messages an event becomes.
func NewRelay(store *Store, open func() (message.Publisher, error), route func(Recorded) ([]Routed, error), cfg RelayConfig) *Relay {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Silence == 0 {
		cfg.Silence = defaultSilence
	}
	if cfg.Page <= 0 {
		cfg.Page = relayPage
	}
	return &Relay{store: store, open: open, route: route, cfg: cfg, log: cfg.Log.With("part", "relay")}
}

// Position is the last position that this relay has published, 0 before it was active.
func (r *Relay) Position() int64 { return r.position.Load() }

// Active reports whether this relay is the one that publishes.
func (r *Relay) Active() bool { return r.active.Load() }

// Run publishes, or stands by, until ctx ends, and then returns nil. Faults are logged and tried again.
func (r *Relay) Run(ctx context.Context) error {
	wait := relayFirstWait
	for ctx.Err() == nil {
		began := r.Position()
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			if r.Position() > began {
				wait = relayFirstWait
			}
			r.log.WarnContext(ctx, "publishing stopped, trying again", "error", err, "position", r.Position(), "in", wait)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, relayLastWait)
		}
	}
	return nil
}

// once becomes the active relay and publishes until something fails.
func (r *Relay) once(ctx context.Context) (err error) {
	lead, err := r.lead(ctx)
	if err != nil {
		return err
	}
	r.active.Store(true)
	defer func() {
		r.active.Store(false)
		err = errors.Join(err, lead.release(ctx))
	}()
	r.position.Store(lead.position)
	publisher, err := r.open()
	if err != nil {
		return fmt.Errorf("open a publisher: %w", err)
	}
	// The first error ends the producer before anything later is sent; a new one begins at the last confirmed position.
	defer func() { err = errors.Join(err, publisher.Close()) }()
	wake, stop := r.store.Appended()
	defer stop()
	poll := time.NewTicker(relayPoll)
	defer poll.Stop()
	for {
		more, err := r.page(ctx, lead, publisher)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-poll.C:
			if err := lead.alive(ctx); err != nil {
				return err
			}
		}
	}
}

// page publishes the next events and reports whether there were any.
func (r *Relay) page(ctx context.Context, lead *leadership, publisher message.Publisher) (bool, error) {
	events, err := r.store.ReadAll(ctx, lead.position, r.cfg.Page)
	if err != nil {
		return false, fmt.Errorf("read the log after %d: %w", lead.position, err)
	}
	if len(events) == 0 {
		return false, nil
	}
	batches := map[string][]*message.Message{}
	var topics []string
	for _, e := range events {
		routed, err := r.route(e)
		if err != nil {
			return false, fmt.Errorf("route %s at %d: %w", e.ID(), e.Position, err)
		}
		for _, m := range routed {
			if _, known := batches[m.Topic]; !known {
				topics = append(topics, m.Topic)
			}
			batches[m.Topic] = append(batches[m.Topic], m.Message)
		}
	}
	for _, topic := range topics {
		if err := publisher.Publish(topic, batches[topic]...); err != nil {
			return false, fmt.Errorf("publish positions %d to %d to %s: %w", events[0].Position, events[len(events)-1].Position, topic, err)
		}
	}
	if err := lead.move(ctx, events[len(events)-1].Position); err != nil {
		return false, err
	}
	r.position.Store(lead.position)
	return true, nil
}
