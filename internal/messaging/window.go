package messaging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Defaults and limits of a WindowedSubscriber.
const (
	defaultWindow = 256
	defaultTries  = 3
	defaultDrain  = 5 * time.Second
	spanFactor    = 8 // messages kept from the oldest unacked one on, in windows
)

// WindowConfig sets a WindowedSubscriber up.
type WindowConfig struct {
	Group  string // of this handler alone
	Window int    // messages in flight per partition; 0 means 256
	// AnyOrder lets messages of one key be in flight together. They are still handed out in order.
	AnyOrder bool
	// DeadLetters takes messages whose handler returned a permanent error (see IsPermanent and ReportErrors)
	// Tries times. All others, and all where it is nil, are tried until they succeed.
	DeadLetters message.Publisher
	Tries       int           // 0 means 3
	FirstRetry  time.Duration // pause after the first failure, doubled after each; 0 means 100 ms
	LastRetry   time.Duration // longest pause; 0 means 5 s
	Drain       time.Duration // how long running handlers may go on after the partition is lost or Close; 0 means 5 s
	Log         *slog.Logger
}

func (w WindowConfig) withDefaults() WindowConfig {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&w.FirstRetry, firstRetry)
	set(&w.LastRetry, lastRetry)
	set(&w.Drain, defaultDrain)
	if w.Window <= 0 {
		w.Window = defaultWindow
	}
	if w.Tries <= 0 {
		w.Tries = defaultTries
	}
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	w.Log = w.Log.With("group", w.Group)
	return w
}

// WindowedSubscriber is a message.Subscriber on a consumer group with many messages in flight per partition,
// never two of one key. An offset is marked when everything before it is acked, so a crash repeats and
// never skips.
type WindowedSubscriber struct {
	cfg    Config
	window WindowConfig

	mu      sync.Mutex
	topics  map[string]bool
	closed  bool
	closing chan struct{}
	running sync.WaitGroup
}

// NewWindowedSubscriber returns a subscriber; Subscribe connects it.
func NewWindowedSubscriber(cfg Config, window WindowConfig) *WindowedSubscriber {
	return &WindowedSubscriber{cfg: cfg, window: window.withDefaults(), topics: map[string]bool{}, closing: make(chan struct{})}
}

// Subscribe returns the topic's messages until ctx ends or the subscriber is closed. It connects in the
// background and for as long as it takes. ErrSubscribed: this subscriber reads the topic already.
func (s *WindowedSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if _, err := s.settings(topic); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: the subscriber is closed", topic)
	}
	if s.topics[topic] {
		return nil, fmt.Errorf("%s: %w", topic, ErrSubscribed)
	}
	s.topics[topic] = true
	out := make(chan *message.Message)
	reading, stop := context.WithCancel(ctx)
	s.running.Go(func() {
		select {
		case <-s.closing:
		case <-reading.Done():
		}
		stop()
	})
	s.running.Go(func() {
		defer stop()
		s.read(reading, topic, out)
		s.mu.Lock()
		delete(s.topics, topic)
		s.mu.Unlock()
		close(out)
	})
	return out, nil
}

// settings are sarama's for one topic. The member's id names the topic too: two topics of one subscriber are two members.
func (s *WindowedSubscriber) settings(topic string) (*sarama.Config, error) {
	c, err := s.cfg.member(s.cfg.Group(s.window.Group), windowBuffer)
	if err == nil && c.Consumer.Group.InstanceId != "" {
		c.Consumer.Group.InstanceId += "-" + topic
	}
	return c, err
}

// read consumes until ctx ends, connecting anew after every failure.
func (s *WindowedSubscriber) read(ctx context.Context, topic string, out chan<- *message.Message) {
	wait := &backoff{first: rejoinFirst, limit: min(rejoinLast, s.window.LastRetry)}
	for ctx.Err() == nil {
		if err := s.connected(ctx, topic, out, wait); err != nil && ctx.Err() == nil {
			s.window.Log.WarnContext(ctx, "subscriber disconnected, trying again", "topic", topic, "error", err)
			wait.wait(ctx)
		}
	}
}

func (s *WindowedSubscriber) connected(ctx context.Context, topic string, out chan<- *message.Message, wait *backoff) (err error) {
	settings, err := s.settings(topic)
	if err != nil {
		return err
	}
	group, err := sarama.NewConsumerGroup(s.cfg.Brokers, s.cfg.Group(s.window.Group), settings)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	stop := drainErrors(ctx, group, s.window.Log)
	defer func() {
		err = errors.Join(err, group.Close())
		stop()
	}()
	for ctx.Err() == nil {
		session, began := &windowSession{subscriber: s, out: out}, time.Now()
		if err := group.Consume(ctx, []string{s.cfg.topic(topic)}, session); err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		if session.progress.Load() || time.Since(began) > settled {
			wait.reset()
		}
		wait.wait(ctx)
	}
	return nil
}

// Close hands out no more messages and waits for running handlers, up to Drain. A second call does nothing.
func (s *WindowedSubscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}
