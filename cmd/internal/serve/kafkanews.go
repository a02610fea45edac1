package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"boxoffice/internal/messaging"
)

const (
	kafkaPatience  = 2 * time.Second  // after a start, until it is told that Kafka does not answer
	kafkaToldEvery = 30 * time.Second // how often that is told
)

// awaitTopics waits until all topics are there, for all parts that need them.
func (s *service) awaitTopics(ctx context.Context) error {
	failures, done := make(chan error), make(chan error, 1)
	go func() {
		done <- persistently(ctx, func(err error) {
			select {
			case failures <- err:
			case <-ctx.Done():
			}
		}, func() error { return s.ensureTopics(ctx) })
	}()
	last := errors.New("no answer yet")
	tell := time.NewTimer(kafkaPatience)
	defer tell.Stop()
	for {
		select {
		case last = <-failures:
		case <-tell.C:
			s.news.away(ctx, s.Log, last)
			tell.Reset(kafkaToldEvery)
		case err := <-done:
			if err != nil {
				return nil // ctx ended, which is no fault
			}
			s.news.there(ctx, s.Log)
			close(s.topics)
			return nil
		}
	}
}

// ensureTopics looks first whether a broker answers, because that fails soon and says why.
func (s *service) ensureTopics(ctx context.Context) error {
	gauge, err := messaging.OpenGauge(s.kafka)
	if err != nil {
		return err
	}
	if err := gauge.Close(); err != nil {
		return err
	}
	return messaging.EnsureTopics(ctx, s.kafka, messaging.Topics()...)
}

// kafkaNews tells for all parts together that Kafka is away, and that it is there again.
type kafkaNews struct {
	mu     sync.Mutex
	isAway bool
	told   time.Time // that it is away
}

// away tells that Kafka does not answer, unless that was told just now.
func (n *kafkaNews) away(ctx context.Context, log *slog.Logger, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isAway && time.Since(n.told) < kafkaToldEvery {
		return
	}
	n.isAway, n.told = true, time.Now()
	log.WarnContext(ctx, "waiting for Kafka", "error", err)
}

// there tells that Kafka answers, if it was told that it does not.
func (n *kafkaNews) there(ctx context.Context, log *slog.Logger) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isAway {
		log.InfoContext(ctx, "Kafka is there")
	}
	n.isAway = false
}
