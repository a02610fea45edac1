package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
)

const (
	killedKeys  = 40
	killedBatch = 100
)

// stream publishes numbered messages one batch after the other until it is told to end, as the relay does: after
// a failure it opens a new publisher and sends again from the first message that is not confirmed.
type stream struct {
	published atomic.Int64 // messages that are confirmed
	failures  atomic.Int64
}

func (s *stream) run(ctx context.Context, cfg messaging.Config, batch func(first int) []*message.Message) {
	var p *messaging.Publisher
	var rest []*message.Message
	for ctx.Err() == nil {
		if p == nil {
			opened, err := messaging.Open(cfg)
			if err != nil {
				s.failures.Add(1)
				<-time.After(50 * time.Millisecond)
				continue
			}
			p = opened
		}
		if len(rest) == 0 {
			rest = batch(int(s.published.Load()))
		}
		if err := p.Publish("topic", rest...); err != nil {
			s.failures.Add(1)
			if unconfirmed, ok := errors.AsType[*messaging.UnconfirmedError](err); ok {
				rest = unconfirmed.Messages
			}
			_ = p.Close()
			p = nil
			continue
		}
		rest = nil
		s.published.Add(killedBatch)
		<-time.After(10 * time.Millisecond)
	}
	if p != nil {
		_ = p.Close()
	}
}

// TestTheBrokerIsKilled loses nothing of what was confirmed, and repeats are all that comes of it.
func TestTheBrokerIsKilled(t *testing.T) {
	t.Parallel()
	k := devstack.KillableKafka(t)
	cfg := configFor(k)
	newTopic(t, cfg, "topic", 4)
	model, l := newReadModel(), newLedger()
	cfg.InstanceID = "replica-0" // else who connects anew waits for the end of its own former session
	consume(t, cfg, messaging.BatchConfig{Group: "batch", Topics: []string{"topic"}, Start: model.start, Handle: model.apply})
	answerAll(follow(t, windowed(t, cfg, messaging.WindowConfig{Group: "window"}), "topic"), l.handle)

	var s stream
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx, cfg, func(first int) []*message.Message { return numbered(t, first, killedBatch, killedKeys) })
	}()
	more := func() {
		t.Helper()
		want := s.published.Load() + 5*killedBatch
		eventually(t, "more is published", func() bool { return s.published.Load() >= want })
	}
	for round := range 2 {
		more()
		if err := k.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if round > 0 { // it is away for longer than a publisher tries
			failures := s.failures.Load()
			eventually(t, "the publisher gives up", func() bool { return s.failures.Load() > failures })
		}
		begun := time.Now()
		if err := k.Process.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		more()
		publishing := time.Since(back)
		want := int(s.published.Load())
		eventually(t, "the consumers have read that", func() bool { return model.total() >= want && l.total() >= want })
		t.Logf("kill %d: the broker answers after %s; from then, publishing %s, both consumers %s", round+1, back.Sub(begun).Round(time.Millisecond),
			publishing.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	}
	stop()
	<-ended
	n := int(s.published.Load())
	eventually(t, "everything is handled", func() bool { return l.total() == n })
	l.holds(t, n, killedKeys)
	eventually(t, "the read model has all", func() bool { return model.total() >= len(read(t, cfg, "topic")) })
	model.holds(t, cfg, "topic")
	firstInOrder(t, read(t, cfg, "topic"), n)
}

// firstInOrder checks that the topic has the first n messages of numbered, first occurrences of each key in order.
func firstInOrder(t *testing.T, all []messaging.Message, n int) {
	t.Helper()
	first, seen := map[string][]string{}, map[string]bool{}
	for _, m := range all {
		if payload := string(m.Payload); !seen[payload] {
			seen[payload] = true
			first[m.Key] = append(first[m.Key], payload)
		}
	}
	if len(seen) != n {
		t.Errorf("%d different messages in the topic, %d were confirmed", len(seen), n)
	}
	for key := range killedKeys {
		var want []string
		for i := key; i < n; i += killedKeys {
			want = append(want, fmt.Sprint(i))
		}
		if got := first[fmt.Sprintf("key-%d", key)]; !slices.Equal(got, want) {
			t.Errorf("key %d: first occurrences are %q", key, got)
		}
	}
	t.Logf("%d messages, %d repeats", n, len(all)-n)
}
