package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
)

// TestRelay follows the log into topics and back while the broker comes and goes.
func TestRelay(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	db, err := eventstore.OpenDB(pg.URL, 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store := eventstore.New(db, eventstore.Config{})
	cfg, k := newOwnKafka(t)
	if err := messaging.EnsureTopics(t.Context(), cfg, messaging.EventTopics()...); err != nil {
		t.Fatal(err)
	}
	relay := eventstore.NewRelay(store,
		func() (message.Publisher, error) { return messaging.Open(cfg) },
		func(e eventstore.Recorded) ([]eventstore.Routed, error) {
			return []eventstore.Routed{{Topic: messaging.OrdersTopic, Message: eventstore.ToMessage(e)}}, nil
		}, eventstore.RelayConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()

	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		switch i {
		case 30, 90, 150:
			err = k.Server.CutOff()
		case 60, 120, 180:
			err = k.Server.Reconnect()
		}
		if err != nil {
			t.Fatal(err)
		}
		batch := eventstore.Batch{Head: head, Time: time.Now()}
		for stream := range 10 {
			batch.Events = append(batch.Events, eventstore.Event{
				Stream: fmt.Sprintf("show-%d", stream), Version: int64(i + 1), Type: "Tested", SchemaVersion: 1,
				Data: json.RawMessage(`{}`), Metadata: json.RawMessage(`{"batch":"b"}`),
			})
		}
		if head, err = store.Append(t.Context(), batch); err != nil {
			t.Fatalf("append while the broker is away or not: %v", err)
		}
		<-time.After(10 * time.Millisecond) // so that the relay is in the middle of it
	}
	eventually(t, "the lag is 0 again", func() bool {
		lag, err := relay.Lag(t.Context())
		return err == nil && lag == 0
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wholeTopic(t, cfg, head.Position)
}

// wholeTopic checks that every event is in the topic, first occurrences of each stream in order of versions.
func wholeTopic(t *testing.T, cfg messaging.Config, head int64) {
	t.Helper()
	versions, positions := map[string]int64{}, map[int64]bool{}
	err := messaging.ReadTopic(t.Context(), cfg, messaging.OrdersTopic, func(_ int32, m messaging.Message) error {
		e, err := eventstore.FromMessage(m.Message)
		if err != nil {
			return errors.Join(err, m.Err)
		}
		if m.Key != e.Stream {
			t.Errorf("position %d has key %q", e.Position, m.Key)
		}
		if next := versions[e.Stream] + 1; e.Version > next {
			t.Errorf("%s: version %d where %d must be", e.Stream, e.Version, next)
		} else if e.Version == next {
			versions[e.Stream] = next
		}
		positions[e.Position] = true
		return nil
	})
	if err != nil || int64(len(positions)) != head {
		t.Errorf("%d of %d events are in the topic, %v", len(positions), head, err)
	}
}
