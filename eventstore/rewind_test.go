package eventstore_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"boxoffice/eventstore"
)

// published are the positions on all topics, sorted, with their repeats.
func (b *broker) published() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []int64
	for _, positions := range b.topics {
		all = append(all, positions...)
	}
	slices.Sort(all)
	return all
}

// twice is every position up to head, those from a position on twice.
func twice(from, head int64) (all []int64) {
	for p := int64(1); p <= head; p++ {
		all = append(all, p)
		if p >= from {
			all = append(all, p)
		}
	}
	return all
}

// checkpoints are the rows of the table as text: name, topic, partition, next_offset, position, epoch.
func (t *relayTest) checkpoints() (rows []string) {
	t.Helper()
	err := t.db.SelectContext(t.Context(), &rows, `SELECT concat_ws(' ', name, topic, partition, next_offset, position, epoch)
		FROM checkpoints ORDER BY name, topic, partition`)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRewind(t *testing.T) {
	t.Parallel()

	t.Run("what was published is published again, from the position on and in order", func(t *testing.T) {
		t.Parallel()
		for _, from := range []int64{1, 40, 100, 101} {
			r := newRelayTest(t)
			r.writer.write(60, `{}`)
			r.writer.write(40, `{}`)
			relay, stop := r.start(eventstore.RelayConfig{Page: 7})
			r.caughtUp(relay)
			stop()
			if back, err := r.store.Rewind(t.Context(), from); err != nil || back.Relayed != 100 || back.Restarts != 0 {
				t.Errorf("from %d: %+v, %v", from, back, err)
			}
			relay, _ = r.start(eventstore.RelayConfig{Page: 7})
			r.caughtUp(relay)
			if got := r.broker.published(); !slices.Equal(got, twice(from, 100)) {
				t.Errorf("from %d it published %v", from, got)
			}
		}
	})
	t.Run("an active relay with nothing to do notices by itself", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		r.writer.write(100, `{}`)
		relay, _ := r.start(eventstore.RelayConfig{})
		r.caughtUp(relay)
		if _, err := r.store.Rewind(t.Context(), 31); err != nil {
			t.Fatal(err)
		}
		r.eventually("it has published again", func() bool { return len(r.broker.published()) == 170 })
		r.caughtUp(relay)
		if got := r.broker.published(); !slices.Equal(got, twice(31, 100)) || !relay.Active() {
			t.Errorf("it published %v, and is active: %v", got, relay.Active())
		}
	})
	t.Run("one in the middle of a batch does not go on from its memory", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		held, release := make(chan struct{}), make(chan struct{})
		var messages atomic.Int64
		r.broker.fail = func() error {
			if messages.Add(1) == 150 {
				close(held)
				<-release
			}
			return nil
		}
		relay, _ := r.start(eventstore.RelayConfig{Page: 50})
		for range 4 {
			r.writer.write(50, `{}`)
		}
		<-held
		back, err := r.store.Rewind(t.Context(), 10)
		if err != nil || back.Relayed < 50 || back.Relayed >= 150 {
			t.Errorf("it was at %+v, %v", back, err)
		}
		close(release)
		r.eventually("all after the position was published again", func() bool {
			got := r.broker.published()
			return len(got) > 0 && got[len(got)-1] == 200 && slices.Index(got, 10) == 9 && got[10] == 10
		})
		r.caughtUp(relay)
	})
	t.Run("never forward, which would pass events over", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		r.writer.write(100, `{}`)
		relay, stop := r.start(eventstore.RelayConfig{})
		r.caughtUp(relay)
		stop()
		r.writer.write(10, `{}`)
		before := r.checkpoints()
		if _, err := r.store.Rewind(t.Context(), 102); !errors.Is(err, eventstore.ErrNotRelayed) {
			t.Errorf("got %v", err)
		}
		for _, from := range []int64{0, -1} {
			if _, err := r.store.Rewind(t.Context(), from); err == nil {
				t.Errorf("from %d it is set back", from)
			}
		}
		if after := r.checkpoints(); !slices.Equal(before, after) {
			t.Errorf("the checkpoints are %v, they were %v", after, before)
		}
	})
	t.Run("where all is published again, projections begin anew and in a new epoch, and keep the position that their rows show", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		r.writer.write(100, `{}`)
		relay, stop := r.start(eventstore.RelayConfig{})
		r.caughtUp(relay)
		stop()
		r.db.MustExecContext(t.Context(), `INSERT INTO checkpoints (name, topic, partition, next_offset, position, epoch)
			VALUES ('b', 't', 1, 70, 100, 3), ('a', 't', 0, 40, 99, 1)`)
		back, err := r.store.Rewind(t.Context(), 2)
		if err != nil || back.Restarts != 0 {
			t.Fatalf("%+v, %v", back, err)
		}
		if got, want := fmt.Sprint(r.checkpoints()), "[a t 0 40 99 1 b t 1 70 100 3 relay  0 0 1 2]"; got != want {
			t.Errorf("from 2 the checkpoints are %s, want %s", got, want)
		}
		if back, err = r.store.Rewind(t.Context(), 1); err != nil || back.Restarts != 2 {
			t.Fatalf("%+v, %v", back, err)
		}
		if got, want := fmt.Sprint(r.checkpoints()), "[a t 0 0 99 2 b t 1 0 100 4 relay  0 0 0 3]"; got != want {
			t.Errorf("from 1 the checkpoints are %s, want %s", got, want)
		}
	})
	t.Run("a database that has no checkpoint of the relay gets one", func(t *testing.T) {
		t.Parallel()
		r := newRelayTest(t)
		r.writer.write(10, `{}`)
		r.db.MustExecContext(t.Context(), `DELETE FROM checkpoints`)
		if _, err := r.store.Rewind(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		relay, _ := r.start(eventstore.RelayConfig{})
		r.caughtUp(relay)
	})
}
