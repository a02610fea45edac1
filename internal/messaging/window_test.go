package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
)

// ledger records what handlers of keyed messages did and whether two of one key ever ran together.
type ledger struct {
	mu       sync.Mutex
	running  map[string]int
	together int // handlers at once, at most
	now      int
	overlaps int
	acked    map[string][]string // per key, in order, without repeats
}

func newLedger() *ledger { return &ledger{running: map[string]int{}, acked: map[string][]string{}} }

func (l *ledger) begin(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	l.together = max(l.together, l.now)
	if l.running[key]++; l.running[key] > 1 {
		l.overlaps++
	}
}

func (l *ledger) end(key, payload string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now--
	l.running[key]--
	if !slices.Contains(l.acked[key], payload) {
		l.acked[key] = append(l.acked[key], payload)
	}
}

func (l *ledger) total() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.acked {
		n += len(all)
	}
	return n
}

func (l *ledger) handle(m *message.Message) {
	key := m.Metadata.Get("ce_subject")
	l.begin(key)
	<-time.After(time.Millisecond)
	l.end(key, string(m.Payload))
	m.Ack()
}

// holds reports whether the first n messages of numbered with that many keys were handled, each key's in order.
func (l *ledger) holds(t *testing.T, n, keys int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range keys {
		var want []string
		for i := key; i < n; i += keys {
			want = append(want, fmt.Sprint(i))
		}
		if got := l.acked[fmt.Sprintf("key-%d", key)]; !slices.Equal(got, want) {
			t.Errorf("key %d: got %q", key, got)
		}
	}
}

func windowed(t testing.TB, cfg messaging.Config, window messaging.WindowConfig) *messaging.WindowedSubscriber {
	t.Helper()
	if window.Group == "" {
		window.Group = "g"
	}
	window.FirstRetry, window.LastRetry = 5*time.Millisecond, 100*time.Millisecond
	s := messaging.NewWindowedSubscriber(cfg, window)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// follow subscribes outside of the test's context, which ends before its cleanups.
func follow(t testing.TB, s message.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := s.Subscribe(context.WithoutCancel(t.Context()), topic)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", topic, err)
	}
	return messages
}

func TestWindow(t *testing.T) {
	t.Parallel()

	t.Run("many are in flight, never two of one key, each key in order", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 2000, 40)...)
		l := newLedger()
		answerAll(follow(t, windowed(t, cfg, messaging.WindowConfig{Window: 64}), "topic"), l.handle)
		eventually(t, "all are handled", func() bool { return l.total() == 2000 })
		l.holds(t, 2000, 40)
		if l.overlaps > 0 || l.together < 8 || l.together > 64 {
			t.Errorf("%d overlaps of one key, %d in flight", l.overlaps, l.together)
		}
	})
	t.Run("two of one key are, where any order will do, and are handed out in order", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 50, 1)...)
		messages := follow(t, windowed(t, cfg, messaging.WindowConfig{AnyOrder: true, Drain: time.Millisecond}), "topic")
		for i := range 50 { // none of them answered
			if got := string((<-messages).Payload); got != fmt.Sprint(i) {
				t.Errorf("got %s, want %d", got, i)
			}
		}
	})
	t.Run("what was acked behind an unanswered one is repeated, and nothing is skipped", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 10, 10)...)
		first := windowed(t, cfg, messaging.WindowConfig{Drain: time.Millisecond})
		messages := follow(t, first, "topic")
		for i := range 10 {
			if m := <-messages; i != 3 {
				m.Ack()
			}
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again := follow(t, windowed(t, cfg, messaging.WindowConfig{Drain: time.Millisecond}), "topic")
		if got := string((<-again).Payload); got != "3" {
			t.Errorf("goes on with %s, want 3", got)
		}
	})
	t.Run("keeps only so much behind an unanswered one", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 100, 100)...)
		messages := follow(t, windowed(t, cfg, messaging.WindowConfig{Window: 2}), "topic")
		stuck := <-messages
		for range 15 { // 8 windows less the stuck one
			(<-messages).Ack()
		}
		select {
		case m := <-messages:
			t.Errorf("%s was handed out", m.Payload)
		case <-time.After(200 * time.Millisecond):
		}
		stuck.Ack()
		for range 84 {
			(<-messages).Ack()
		}
	})
	t.Run("a topic is subscribed to once", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		s := windowed(t, cfg, messaging.WindowConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		messages, err := s.Subscribe(ctx, "topic")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Subscribe(ctx, "topic"); !errors.Is(err, messaging.ErrSubscribed) {
			t.Errorf("got %v, want ErrSubscribed", err)
		}
		cancel()
		if _, open := <-messages; open {
			t.Error("a message of a topic that does not exist")
		}
		follow(t, s, "topic")
	})
}

// TestWindowDeadLetters runs handlers on a router, as a service does.
func TestWindowDeadLetters(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (messaging.Config, message.Publisher) {
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		newTopic(t, cfg, messaging.DeadLetterTopic, 1)
		single, err := messaging.OpenSingle(cfg, watermill.NopLogger{})
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, single)
		return cfg, single
	}
	handle := func(t *testing.T, s message.Subscriber, handler message.NoPublishHandlerFunc) {
		runRouter(t, func(r *message.Router) { r.AddConsumerHandler("h", "topic", s, handler) })
	}

	t.Run("a permanent error buries the message with its reason, and the key goes on", func(t *testing.T) {
		t.Parallel()
		cfg, single := begin(t)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 6, 2)...)
		l, tries := newLedger(), atomic.Int64{}
		handle(t, windowed(t, cfg, messaging.WindowConfig{DeadLetters: single, Tries: 2}), func(m *message.Message) error {
			if string(m.Payload) == "2" {
				tries.Add(1)
				return fmt.Errorf("handle: %w", messaging.Permanent(errRefused))
			}
			l.handle(m)
			return nil
		})
		eventually(t, "the others are handled", func() bool { return l.total() == 5 })
		dead := read(t, cfg, messaging.DeadLetterTopic)
		if len(dead) != 1 || tries.Load() != 2 {
			t.Fatalf("%d dead letters after %d tries", len(dead), tries.Load())
		}
		for name, want := range map[string]string{
			messaging.DeadReason: "handle: refused", messaging.DeadTopic: "topic", messaging.DeadGroup: "g",
			messaging.DeadPartition: "0", messaging.DeadOffset: "2", "ce_subject": "key-0",
		} {
			if got := dead[0].Metadata.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if dead[0].Key != "key-0" || string(dead[0].Payload) != "2" {
			t.Errorf("key %q, payload %q", dead[0].Key, dead[0].Payload)
		}
	})
	t.Run("a passing error never does", func(t *testing.T) {
		t.Parallel()
		cfg, single := begin(t)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 3, 3)...)
		var tries, handled atomic.Int64
		handle(t, windowed(t, cfg, messaging.WindowConfig{DeadLetters: single, Tries: 1}), func(*message.Message) error {
			if tries.Add(1) <= 20 {
				return errRefused
			}
			handled.Add(1)
			return nil
		})
		eventually(t, "all are handled", func() bool { return handled.Load() == 3 })
		if dead := read(t, cfg, messaging.DeadLetterTopic); len(dead) != 0 {
			t.Errorf("%d dead letters", len(dead))
		}
	})
	t.Run("a message too large to be repeated whole is cut", func(t *testing.T) {
		t.Parallel()
		cfg, single := begin(t)
		publish(t, open(t, cfg), "topic", keyed(t, "k", string(make([]byte, 990_000))))
		handle(t, windowed(t, cfg, messaging.WindowConfig{DeadLetters: single, Tries: 1}), func(*message.Message) error {
			return messaging.Permanent(errors.New(string(make([]byte, 100_000))))
		})
		eventually(t, "it is buried", func() bool { return len(read(t, cfg, messaging.DeadLetterTopic)) == 1 })
		if cut := read(t, cfg, messaging.DeadLetterTopic)[0].Metadata.Get(messaging.DeadCut); cut != "90000" {
			t.Errorf("cut %q bytes", cut)
		}
	})
	t.Run("one that can't be written is tried again", func(t *testing.T) {
		t.Parallel()
		cfg, single := begin(t)
		publish(t, open(t, cfg), "topic", keyed(t, "k", "v"))
		refusing := &refusingPublisher{Publisher: single}
		refusing.left.Store(3)
		handle(t, windowed(t, cfg, messaging.WindowConfig{DeadLetters: refusing, Tries: 1}), func(*message.Message) error {
			return messaging.Permanent(errRefused)
		})
		eventually(t, "it is buried", func() bool { return len(read(t, cfg, messaging.DeadLetterTopic)) == 1 })
	})
	t.Run("a shutdown buries nothing, and the next one gets the message", func(t *testing.T) {
		t.Parallel()
		cfg, single := begin(t)
		publish(t, open(t, cfg), "topic", keyed(t, "k", "v"))
		s := windowed(t, cfg, messaging.WindowConfig{DeadLetters: single, Tries: 1, Drain: 50 * time.Millisecond})
		called, ended := make(chan struct{}), make(chan struct{})
		handle(t, s, func(m *message.Message) error {
			close(called)
			<-m.Context().Done() // the drain is over
			close(ended)
			return messaging.Permanent(m.Context().Err())
		})
		<-called
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-ended
		m := <-follow(t, windowed(t, cfg, messaging.WindowConfig{Drain: time.Millisecond}), "topic")
		if dead := read(t, cfg, messaging.DeadLetterTopic); len(dead) != 0 || string(m.Payload) != "v" {
			t.Errorf("%d dead letters, then %q", len(dead), m.Payload)
		}
	})
}

// refusingPublisher refuses the first messages.
type refusingPublisher struct {
	message.Publisher
	left atomic.Int64
}

func (p *refusingPublisher) Publish(topic string, messages ...*message.Message) error {
	if p.left.Add(-1) >= 0 {
		return errRefused
	}
	return p.Publisher.Publish(topic, messages...)
}

func TestWindowTakeover(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	newTopic(t, cfg, "topic", 4)
	l, publisher := newLedger(), open(t, cfg)
	begin := func() *messaging.WindowedSubscriber {
		s := windowed(t, cfg, messaging.WindowConfig{Window: 16})
		answerAll(follow(t, s, "topic"), l.handle)
		return s
	}
	first, second := begin(), begin()
	for i := range 40 {
		publish(t, publisher, "topic", numbered(t, i*50, 50, 25)...)
		switch i {
		case 10:
			if err := first.Close(); err != nil {
				t.Error(err)
			}
		case 20:
			begin()
		case 30:
			if err := second.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	eventually(t, "all are handled", func() bool { return l.total() == 2000 })
	l.holds(t, 2000, 25)
	if l.overlaps > 0 {
		t.Errorf("%d times two of one key ran together", l.overlaps)
	}
}

func TestWindowOutage(t *testing.T) {
	t.Parallel()
	cfg, k := newOwnKafka(t)
	newTopic(t, cfg, "topic", 4)
	l := newLedger()
	answerAll(follow(t, windowed(t, cfg, messaging.WindowConfig{}), "topic"), l.handle)
	for round := range 3 {
		publish(t, open(t, cfg), "topic", numbered(t, round*500, 500, 25)...)
		eventually(t, fmt.Sprintf("round %d is handled", round), func() bool { return l.total() == (round+1)*500 })
		if err := errors.Join(k.Server.CutOff(), k.Server.Reconnect()); err != nil {
			t.Fatal(err)
		}
	}
	l.holds(t, 1500, 25)
}
