package projections

import (
	"errors"
	"testing"
	"time"

	"boxoffice/domain"
)

// discard writes that a stream is discarded, as the Writer does.
func (w *world) discard(t testing.TB, d domain.StreamDiscarded) {
	t.Helper()
	data, err := domain.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	w.appendRaw(t, domain.InboxStream(w.now), raw(d.EventType(), 1, string(data)))
}

func TestADiscardedStreamIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, a := stuck(t, w)
	stream := domain.OrderStream(id)
	w.discard(t, domain.StreamDiscarded{Projection: "order_status", Stream: stream, Version: 2, Reason: "written by hand"})
	w.discard(t, domain.StreamDiscarded{Projection: "order_status", Stream: stream, Version: 3, Reason: "twice"})
	w.appendRaw(t, domain.InboxStream(w.now), raw("StreamDiscarded", 9, `{}`), raw("PaymentUnmatched", 1, `{}`))
	for range 2 {
		if err := IndexDiscarded(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
	}
	all, err := DiscardedAfter(t.Context(), w.db, time.Time{}, "", "", 10)
	if err != nil || len(all) != 1 || all[0].Version != 2 || all[0].Reason != "written by hand" || all[0].Position != 5 {
		t.Fatalf("discarded: %+v, %v", all, err)
	}
	if _, err := Retry(t.Context(), mended(), w.db, w.store, stream); !errors.Is(err, ErrNotParked) {
		t.Errorf("it is still parked: %v", err)
	}
	good := orderNumber(2)
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(id, 1, domain.RefundDone, 5), placed(good, 1))...))
	if w.order(t, id).Version != 1 || w.order(t, good).Version != 1 || len(w.parked(t)) != 0 {
		t.Errorf("the rows are at %d and %d, parked %+v", w.order(t, id).Version, w.order(t, good).Version, w.parked(t))
	}
	if got := a.Tally(); got.Discarded != 1 {
		t.Errorf("tally %+v", got)
	}
	t.Run("a replay from the log comes to the same", func(t *testing.T) {
		for _, statement := range []string{`DELETE FROM discarded`, `DELETE FROM order_status`, `DELETE FROM parked`, `DELETE FROM checkpoints WHERE name = 'order_status'`} {
			if _, err := w.db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		w.offsets[ordersPlace] = 0
		again := w.applier(mended()) // it could read it all, but that is not what the operator decided
		start(t, again, ordersPlace, 0, 0)
		log, err := w.store.ReadAll(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, again, ordersPlace, w.messages(ordersPlace, log...))
		if w.order(t, id).Version != 1 || w.order(t, good).Version != 1 || len(w.parked(t)) != 0 {
			t.Errorf("the rows are at %d and %d, parked %+v", w.order(t, id).Version, w.order(t, good).Version, w.parked(t))
		}
	})
}

func TestAConsumerThatDidNotKnowOfADiscardIsCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := stuck(t, w)
	stream := domain.OrderStream(id)
	w.discard(t, domain.StreamDiscarded{Projection: "order_status", Stream: stream, Version: 2, Reason: "x"})
	if err := IndexDiscarded(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.ExecContext(t.Context(), `INSERT INTO parked (projection, stream, version, position, type, reason)
		VALUES ('order_status', $1, 2, 2, 'OrderConfirmed', 'late')`, stream); err != nil {
		t.Fatal(err)
	}
	start(t, w.applier(mended()), ordersPlace, 0, 4)
	if len(w.parked(t)) != 0 || w.order(t, id).Version != 1 {
		t.Errorf("the row is at %d, parked %+v", w.order(t, id).Version, w.parked(t))
	}
}

func TestDeadLettersThatAreDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two, anew := Letter{1, 5, "a"}, Letter{2, 5, "b"}, Letter{1, 5, "c"}
	if err := LetterDone(t.Context(), w.db, one, "retried", ""); err != nil {
		t.Fatal(err)
	}
	w.discard(t, domain.StreamDiscarded{Reason: "spam", Letter: &domain.DeadLetter{Topic: "commands-topic", Partition: 2, Offset: 5, Digest: "b"}})
	if err := IndexDiscarded(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	done, err := LettersDone(t.Context(), w.db, []Letter{one, two, anew, {3, 1, "d"}})
	if err != nil || len(done) != 2 || !done[one] || !done[two] {
		t.Errorf("done: %v, %v", done, err)
	}
}
