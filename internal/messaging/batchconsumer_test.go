package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/internal/messaging"
)

// readModel is what a projection keeps: per partition a checkpoint and what was handled up to there.
type readModel struct {
	mu      sync.Mutex
	next    map[messaging.Claim]int64
	handled map[messaging.Claim][]string
	batches int
	dropped int
}

func newReadModel() *readModel {
	return &readModel{next: map[messaging.Claim]int64{}, handled: map[messaging.Claim][]string{}}
}

func (r *readModel) start(_ context.Context, topic string, partition int32, oldest, _ int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.next[messaging.Claim{Topic: topic, Partition: partition}], oldest), nil
}

// apply moves the checkpoint by compare-and-set, as the transaction of a projection does.
func (r *readModel) apply(_ context.Context, claim messaging.Claim, batch []messaging.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if batch[0].Offset != r.next[claim] {
		r.dropped++
		return messaging.ErrDropClaim
	}
	r.next[claim] = batch[len(batch)-1].Offset + 1
	r.handled[claim] = append(r.handled[claim], payloads(batch)...)
	r.batches++
	return nil
}

func (r *readModel) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, all := range r.handled {
		n += len(all)
	}
	return n
}

// holds reports whether exactly the messages of the topic were handled, each partition's in order.
func (r *readModel) holds(t *testing.T, cfg messaging.Config, topic string) {
	t.Helper()
	want := map[messaging.Claim][]string{}
	err := messaging.ReadTopic(t.Context(), cfg, topic, func(partition int32, m messaging.Message) error {
		claim := messaging.Claim{Topic: topic, Partition: partition}
		want[claim] = append(want[claim], string(m.Payload))
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !maps.EqualFunc(r.handled, want, slices.Equal) {
		t.Errorf("what was handled differs from the topic (%v)", err)
	}
}

// consume runs a consumer in the background; the returned function stops it and waits for it.
func consume(t testing.TB, cfg messaging.Config, batch messaging.BatchConfig) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- messaging.NewBatchConsumer(cfg, batch).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consumer: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestBatchConsumer(t *testing.T) {
	t.Parallel()

	t.Run("hands over everything in order, in batches", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 4)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 5000, 40)...)
		model := newReadModel()
		consume(t, cfg, messaging.BatchConfig{Group: "g", Topics: []string{"topic"}, Max: 300, Start: model.start, Handle: model.apply})
		eventually(t, "all are handled", func() bool { return model.total() == 5000 })
		model.holds(t, cfg, "topic")
		if model.batches > 500 {
			t.Errorf("%d batches for 5000 messages", model.batches)
		}
	})
	t.Run("limits a batch by its size too", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		large := string(make([]byte, 500_000))
		for range 20 {
			publish(t, open(t, cfg), "topic", keyed(t, "k", large))
		}
		model, largest := newReadModel(), atomic.Int64{}
		consume(t, cfg, messaging.BatchConfig{
			Group: "g", Topics: []string{"topic"}, Start: model.start,
			Handle: func(ctx context.Context, c messaging.Claim, batch []messaging.Message) error {
				largest.Store(max(largest.Load(), int64(len(batch))))
				return model.apply(ctx, c, batch)
			},
		})
		eventually(t, "all are handled", func() bool { return model.total() == 20 })
		if largest.Load() > 8 { // 4 MiB
			t.Errorf("%d messages in a batch", largest.Load())
		}
	})
	t.Run("repeats a failed batch and skips nothing", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 2)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 500, 20)...)
		model, calls := newReadModel(), atomic.Int64{}
		consume(t, cfg, messaging.BatchConfig{
			Group: "g", Topics: []string{"topic"}, Max: 100, Start: model.start,
			Handle: func(ctx context.Context, c messaging.Claim, batch []messaging.Message) error {
				if calls.Add(1)%3 == 0 {
					return errRefused
				}
				return model.apply(ctx, c, batch)
			},
		})
		eventually(t, "all are handled", func() bool { return model.total() == 500 })
		model.holds(t, cfg, "topic")
		if model.dropped != 0 {
			t.Errorf("%d batches began at another offset", model.dropped)
		}
	})
	t.Run("refuses a configuration that can't work", func(t *testing.T) {
		t.Parallel()
		cfg := messaging.Config{Brokers: []string{"127.0.0.1:1"}}
		if err := messaging.NewBatchConsumer(cfg, messaging.BatchConfig{Topics: []string{"topic"}}).Run(t.Context()); err == nil {
			t.Error("ran without a group")
		}
	})
	t.Run("stops at once while its handler fails and while the broker is away", func(t *testing.T) {
		t.Parallel()
		cfg, k := newOwnKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 10, 1)...)
		var calls atomic.Int64
		stop := consume(t, cfg, messaging.BatchConfig{
			Group: "g", Topics: []string{"topic"},
			Handle: func(context.Context, messaging.Claim, []messaging.Message) error {
				calls.Add(1)
				return errRefused
			},
		})
		eventually(t, "the handler is called", func() bool { return calls.Load() > 1 })
		began := time.Now()
		stop()
		if err := k.Server.CutOff(); err != nil {
			t.Fatal(err)
		}
		consume(t, cfg, messaging.BatchConfig{Group: "h", Topics: []string{"topic"}})()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// TestBatchConsumerStart begins where the read model says, wherever the group has been.
func TestBatchConsumerStart(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	newTopic(t, cfg, "topic", 1)
	publish(t, open(t, cfg), "topic", numbered(t, 0, 100, 1)...)
	for _, test := range []struct {
		name  string
		start func(oldest, newest int64) int64
		want  []string
	}{
		{"a new group at the oldest", func(oldest, _ int64) int64 { return oldest }, counted(0, 100)},
		{"back to the oldest", func(oldest, _ int64) int64 { return oldest }, counted(0, 100)},
		{"back to the middle", func(int64, int64) int64 { return 40 }, counted(40, 60)},
		{"at the end", func(_, newest int64) int64 { return newest }, nil},
		{"back from the end", func(_, newest int64) int64 { return newest - 1 }, counted(99, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			model, asked := newReadModel(), atomic.Bool{}
			stop := consume(t, cfg, messaging.BatchConfig{
				Group: "g", Topics: []string{"topic"},
				Start: func(_ context.Context, topic string, partition int32, oldest, newest int64) (int64, error) {
					if topic != "topic" || oldest != 0 || newest != 100 {
						t.Errorf("asked for %s/%d with %d to %d", topic, partition, oldest, newest)
					}
					if !asked.Swap(true) {
						return 0, errRefused // the database is away: asked again
					}
					at := test.start(oldest, newest)
					model.next[messaging.Claim{Topic: topic, Partition: partition}] = at
					return at, nil
				},
				Handle: model.apply,
			})
			eventually(t, "all are handled", func() bool { return asked.Load() && model.total() == len(test.want) })
			stop()
			if got := model.handled[messaging.Claim{Topic: "topic"}]; !slices.Equal(got, test.want) {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("forward in a new group", func(t *testing.T) {
		model := newReadModel()
		model.next[messaging.Claim{Topic: "topic"}] = 70
		consume(t, cfg, messaging.BatchConfig{Group: "new", Topics: []string{"topic"}, Start: model.start, Handle: model.apply})
		eventually(t, "the rest is handled", func() bool { return model.total() == 30 })
		if got := model.handled[messaging.Claim{Topic: "topic"}]; !slices.Equal(got, counted(70, 30)) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("never outside of what is there", func(t *testing.T) {
		var asked atomic.Int64
		consume(t, cfg, messaging.BatchConfig{
			Group: "beyond", Topics: []string{"topic"},
			Start: func(_ context.Context, _ string, _ int32, oldest, newest int64) (int64, error) {
				switch asked.Add(1) {
				case 1:
					return newest + 1, nil
				case 2:
					return oldest - 1, nil
				}
				return newest, nil
			},
			Handle: func(context.Context, messaging.Claim, []messaging.Message) error { return nil },
		})
		eventually(t, "it is asked again", func() bool { return asked.Load() >= 3 })
	})
}

func TestBatchConsumerTakeover(t *testing.T) {
	t.Parallel()

	t.Run("two consumers share the partitions, and one takes over when the other goes", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 4)
		model, publisher := newReadModel(), open(t, cfg)
		batch := messaging.BatchConfig{Group: "g", Topics: []string{"topic"}, Max: 50, Start: model.start, Handle: model.apply}
		var stops []func()
		for range 2 {
			stops = append(stops, consume(t, cfg, batch))
		}
		for i := range 40 {
			publish(t, publisher, "topic", numbered(t, i*50, 50, 30)...)
			switch i {
			case 10:
				stops[0]()
			case 20:
				consume(t, cfg, batch)
			case 30:
				stops[1]()
			}
		}
		eventually(t, "all are handled", func() bool { return model.total() == 2000 })
		model.holds(t, cfg, "topic")
	})
	t.Run("one that comes too late drops its claim and goes on from the checkpoint", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", numbered(t, 0, 100, 1)...)
		model, once := newReadModel(), sync.Once{}
		consume(t, cfg, messaging.BatchConfig{
			Group: "g", Topics: []string{"topic"}, Max: 10, Start: model.start,
			Handle: func(ctx context.Context, c messaging.Claim, batch []messaging.Message) error {
				once.Do(func() { // while this one was stopped, another handled the first 60
					model.mu.Lock()
					model.next[c], model.handled[c] = 60, counted(0, 60)
					model.mu.Unlock()
				})
				return model.apply(ctx, c, batch)
			},
		})
		eventually(t, "all are handled", func() bool { return model.total() == 100 })
		model.holds(t, cfg, "topic")
		if model.dropped != 1 {
			t.Errorf("dropped %d claims", model.dropped)
		}
	})
	t.Run("a restarted member has its partitions again at once", func(t *testing.T) {
		t.Parallel()
		cfg := newKafka(t)
		cfg.InstanceID = "api-0"
		newTopic(t, cfg, "topic", 2)
		model, publisher := newReadModel(), open(t, cfg)
		for i := range 3 {
			publish(t, publisher, "topic", numbered(t, i*10, 10, 4)...)
			began := time.Now()
			var joined atomic.Int64 // nanoseconds
			stop := consume(t, cfg, messaging.BatchConfig{
				Group: "g", Topics: []string{"topic"}, Handle: model.apply,
				Start: func(ctx context.Context, topic string, partition int32, oldest, newest int64) (int64, error) {
					joined.CompareAndSwap(0, int64(time.Since(began)))
					return model.start(ctx, topic, partition, oldest, newest)
				},
			})
			eventually(t, "all are handled", func() bool { return model.total() == (i+1)*10 })
			took := time.Since(began)
			if took > 5*time.Second {
				t.Errorf("start %d took %s", i, took)
			}
			t.Logf("start %d: in the group after %s, the first messages after %s", i+1, time.Duration(joined.Load()).Round(time.Millisecond), took.Round(time.Millisecond))
			stop()
		}
		model.holds(t, cfg, "topic")
	})
}

func TestBatchConsumerOutage(t *testing.T) {
	t.Parallel()
	cfg, k := newOwnKafka(t)
	newTopic(t, cfg, "topic", 3)
	model := newReadModel()
	consume(t, cfg, messaging.BatchConfig{Group: "g", Topics: []string{"topic"}, Start: model.start, Handle: model.apply})
	for round := range 3 {
		publish(t, open(t, cfg), "topic", numbered(t, round*100, 100, 10)...)
		eventually(t, fmt.Sprintf("round %d is handled", round), func() bool { return model.total() == (round+1)*100 })
		if err := errors.Join(k.Server.CutOff(), k.Server.Reconnect()); err != nil {
			t.Fatal(err)
		}
	}
	model.holds(t, cfg, "topic")
}
