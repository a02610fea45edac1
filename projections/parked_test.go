package projections

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// appendRaw writes events of a stream as they are given: type, schema version and data.
func (w *world) appendRaw(t testing.TB, stream string, events ...eventstore.Event) []eventstore.Recorded {
	t.Helper()
	w.now = w.now.Add(time.Second)
	batch := eventstore.Batch{Head: w.head, Time: w.now}
	var recorded []eventstore.Recorded
	for i, e := range events {
		w.versions[stream]++
		e.Stream, e.Version, e.Metadata = stream, w.versions[stream], []byte(`{}`)
		batch.Events = append(batch.Events, e)
		recorded = append(recorded, eventstore.Recorded{Event: e, Position: w.head.Position + int64(i) + 1, RecordedAt: w.now})
	}
	head, err := w.store.Append(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	w.head = head
	return recorded
}

func raw(eventType string, schema int16, data string) eventstore.Event {
	return eventstore.Event{Type: eventType, SchemaVersion: schema, Data: json.RawMessage(data)}
}

// mended are orders whose fold has learned to read an event that says "status" as a number.
func mended() Projection {
	m := *OrderStatus()
	decode := m.Decode
	m.Decode = func(e eventstore.Recorded) (domain.Event, error) {
		if e.Type == "OrderConfirmed" && strings.Contains(string(e.Data), `"status":7`) {
			e.Data = []byte(`{"status":"CONFIRMED"}`)
		}
		return decode(e)
	}
	return &m
}

const unreadable = `{"status":7}`

// stuck is an order that is parked at version 2 with two events behind that, and a consumer beside it.
func stuck(t *testing.T, w *world) (id string, a *Applier) {
	t.Helper()
	id = orderNumber(1)
	a = w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, placed(id, 1))...))
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.appendRaw(t, domain.OrderStream(id), raw("OrderConfirmed", 1, unreadable))...))
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, completed(id, 1), refunded(id, 1, domain.RefundDue, 5))...))
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 2 || w.order(t, id).Version != 1 {
		t.Fatalf("parked: %+v", parked)
	}
	return id, a
}

func TestARetriedStreamGoesOnFromTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, a := stuck(t, w)
	stream := domain.OrderStream(id)
	t.Run("it stays parked while nothing is mended", func(t *testing.T) {
		still, err := Retry(t.Context(), OrderStatus(), w.db, w.store, stream)
		if err != nil || still == nil || still.Version != 2 || len(w.parked(t)) != 1 {
			t.Errorf("it is %+v, %v", still, err)
		}
	})
	t.Run("the reason is always the newest", func(t *testing.T) {
		p := *OrderStatus()
		p.Apply = func(*OrderState, eventstore.Recorded, domain.Event) error { return errors.New("another fault") }
		p.Decode = mended().(*Model[OrderState]).Decode
		if _, err := Retry(t.Context(), &p, w.db, w.store, stream); err != nil {
			t.Fatal(err)
		}
		if parked := w.parked(t); len(parked) != 1 || !strings.Contains(parked[0].Reason, "another fault") {
			t.Errorf("parked: %+v", parked)
		}
	})
	t.Run("a mended program goes on to the end", func(t *testing.T) {
		if still, err := Retry(t.Context(), mended(), w.db, w.store, stream); err != nil || still != nil {
			t.Fatalf("it is %+v, %v", still, err)
		}
		if row := w.order(t, id); row.Version != 4 || row.State.Status != domain.Canceled || len(w.parked(t)) != 0 {
			t.Errorf("the row is %+v, parked %+v", row, w.parked(t))
		}
	})
	t.Run("the consumer takes over", func(t *testing.T) {
		apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(id, 1, domain.RefundDone, 5))...))
		if row := w.order(t, id); row.Version != 5 {
			t.Errorf("the row is at %d", row.Version)
		}
	})
	t.Run("what is not parked can't be retried", func(t *testing.T) {
		for _, name := range []string{stream, "order-ORDER-of-nobody"} {
			if _, err := Retry(t.Context(), OrderStatus(), w.db, w.store, name); !errors.Is(err, ErrNotParked) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestARetryThatFailsLaterKeepsWhatItCouldFold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := stuck(t, w)
	w.appendRaw(t, domain.OrderStream(id), raw("OrderRefunded", 9, `{}`))
	still, err := Retry(t.Context(), mended(), w.db, w.store, domain.OrderStream(id))
	if err != nil || still == nil || still.Version != 5 {
		t.Fatalf("it is %+v, %v", still, err)
	}
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 5 || parked[0].Type != "OrderRefunded" || w.order(t, id).Version != 4 {
		t.Errorf("the row is at %d, parked %+v", w.order(t, id).Version, parked)
	}
}

// overtaken appends an event and lets a consumer pass over it, just before the mark is taken away.
type overtaken struct {
	Projection
	between func()
	last    func() // before the log is looked at once more; may be nil
}

type overtakenRows struct {
	Bulk
	of *overtaken
}

func (o *overtaken) Rows() Bulk {
	if o.between == nil && o.last != nil {
		o.last()
	}
	return overtakenRows{o.Projection.Rows(), o}
}

func (r overtakenRows) Save(ctx context.Context, tx *sqlx.Tx) error {
	if between := r.of.between; between != nil {
		r.of.between = nil
		between()
	}
	return r.Bulk.Save(ctx, tx)
}

func TestWhatAConsumerPassedOverDuringARetryIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, a := stuck(t, w)
	p := &overtaken{Projection: mended(), between: func() {
		apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(id, 1, domain.RefundDone, 5))...))
	}}
	if still, err := Retry(t.Context(), p, w.db, w.store, domain.OrderStream(id)); err != nil || still != nil {
		t.Fatalf("it is %+v, %v", still, err)
	}
	if got := a.Tally(); got.Waiting != 3 {
		t.Fatalf("the consumer has not seen the mark: %+v", got)
	}
	if row := w.order(t, id); row.Version != 5 {
		t.Errorf("the row is at %d", row.Version)
	}
}

func TestARetryThatIsInterruptedLosesNothingThatWasPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, a := stuck(t, w)
	ctx, lose := context.WithCancel(t.Context())
	p := &overtaken{Projection: mended(), last: lose, between: func() {
		apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(id, 1, domain.RefundDone, 5))...))
	}}
	still, err := Retry(ctx, p, w.db, w.store, domain.OrderStream(id))
	if ctx.Err() == nil || err != nil || still != nil {
		t.Fatalf("it is %+v, %v, interrupted: %v", still, err, ctx.Err())
	}
	if row := w.order(t, id); row.Version != 5 || len(w.parked(t)) != 0 {
		t.Errorf("the row is at %d, parked %+v", row.Version, w.parked(t))
	}
}

func TestRetriesBesideEachOtherAndTheConsumer(t *testing.T) {
	t.Parallel()
	const events = 60
	w := newWorld(t)
	id, _ := stuck(t, w)
	a := w.applier(mended())
	var batches [][]Message
	for n := range events {
		batches = append(batches, w.messages(ordersPlace, w.append(t, refunded(id, n%9+1, domain.RefundDone, int64(n)))...))
	}
	a.own.at = time.Now() // so that it leaves the mark to the others
	if offset := start(t, a, ordersPlace, 0, 4+events); offset != 4 {
		t.Fatalf("begins at %d", offset)
	}
	var all errgroup.Group
	for range 3 {
		all.Go(func() error {
			_, err := Retry(t.Context(), mended(), w.db, w.store, domain.OrderStream(id))
			if errors.Is(err, ErrNotParked) {
				return nil
			}
			return err
		})
	}
	for _, batch := range batches {
		apply(t, a, ordersPlace, batch)
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if row := w.order(t, id); row.Version != 4+events || len(w.parked(t)) != 0 {
		t.Errorf("the row is at %d, parked %+v", row.Version, w.parked(t))
	}
}

func TestANewerProgramMendsWhatAnOlderOneParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := stuck(t, w)
	newer := w.applier(mended())
	start(t, newer, ordersPlace, 0, 4)
	if row := w.order(t, id); row.Version != 4 || len(w.parked(t)) != 0 {
		t.Errorf("the row is at %d, parked %+v", row.Version, w.parked(t))
	}
	if got := newer.Tally(); got.Unparked != 1 {
		t.Errorf("tally %+v", got)
	}
}

func TestANewerProgramMendsThousandsOfStreamsRoundByRound(t *testing.T) {
	t.Parallel()
	const streams = 2*ownRetries + 50
	w := newWorld(t)
	older := w.applier(OrderStatus())
	start(t, older, ordersPlace, 0, 0)
	var orders []domain.Event
	for n := range streams {
		orders = append(orders, placed(orderNumber(n+1), 1))
	}
	apply(t, older, ordersPlace, w.messages(ordersPlace, w.append(t, orders...)...))
	var poison []eventstore.Recorded
	for n := range streams {
		data := unreadable
		if n == 3 {
			data = `[]` // nobody reads that, and it holds up no other
		}
		poison = append(poison, w.appendRaw(t, domain.OrderStream(orderNumber(n+1)), raw("OrderConfirmed", 1, data))...)
	}
	apply(t, older, ordersPlace, w.messages(ordersPlace, poison...))
	left := func() int64 {
		counts, err := CountParked(t.Context(), w.db)
		if err != nil {
			t.Fatal(err)
		}
		return counts["order_status"]
	}
	newer := w.applier(mended())
	newer.own.at = time.Now() // another partition has just come, so this one's round has to wait
	start(t, newer, ordersPlace, 0, 2*streams)
	if n := left(); n != streams {
		t.Fatalf("%d are parked", n)
	}
	for round := 0; left() > 1; round++ {
		if round > streams {
			t.Fatal("it does not come to an end")
		}
		newer.own.at = time.Now().Add(-ownPause)
		apply(t, newer, ordersPlace, w.messages(ordersPlace, w.append(t, placed(orderNumber(streams+round+1), 1))...))
	}
	if got := newer.Tally(); got.Unparked != streams-1 {
		t.Errorf("tally %+v", got)
	}
	if parked := w.parked(t); parked[0].Stream != domain.OrderStream(orderNumber(4)) {
		t.Errorf("parked %+v", parked)
	}
}

func TestKindsOfPoison(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]eventstore.Event{
		"data that can't be decoded":               raw("OrderConfirmed", 1, `[]`),
		"a type that nobody knows":                 raw("OrderPraised", 1, `{}`),
		"a schema version that nobody knows":       raw("OrderConfirmed", 2, `{}`),
		"a schema version that can't be a version": raw("OrderConfirmed", -1, `{}`),
		"a type without a name":                    raw("", 1, `{}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			bad, good := orderNumber(1), orderNumber(2)
			a := w.applier(OrderStatus())
			start(t, a, ordersPlace, 0, 0)
			all := w.append(t, placed(bad, 1), placed(good, 1))
			all = append(all, w.appendRaw(t, domain.OrderStream(bad), event)...)
			all = append(all, w.append(t, confirmed(good), completed(bad, 1))...)
			apply(t, a, ordersPlace, w.messages(ordersPlace, all...))
			if row := w.order(t, good); row.Version != 2 {
				t.Errorf("the good order is at %d", row.Version)
			}
			if row := w.order(t, bad); row.Version != 1 {
				t.Errorf("the bad order is at %d", row.Version)
			}
			if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 2 {
				t.Errorf("parked: %+v", parked)
			}
			counts, err := CountParked(t.Context(), w.db)
			if err != nil || len(counts) != 1 || counts["order_status"] != 1 {
				t.Errorf("counted: %v, %v", counts, err)
			}
		})
	}
}

func TestASparseReadModelPassesOverTypesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stream := domain.PaymentStream(domain.PaymentID(orderNumber(1), 1))
	w.project(t, w.appendRaw(t, stream, raw("PaymentPraised", 1, `{}`))...)
	if parked := w.parked(t); len(parked) != 0 {
		t.Errorf("parked: %+v", parked)
	}
}

func TestAnEventThatIsTooLargeForItsTopicIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	batch := w.messages(ordersPlace, w.append(t, placed(id, 1), confirmed(id))...)
	batch[1].Message = eventstore.WithoutData(batch[1].Message)
	apply(t, a, ordersPlace, batch)
	if row := w.order(t, id); row.Version != 2 || facts(t, row).Payment.QR == "" {
		t.Errorf("the row is %+v", row)
	}
	unknown := stored(t, domain.OrderStream(id), 3, completed(id, 1))
	unknown.Position = w.head.Position
	forged := w.messages(ordersPlace, unknown)
	forged[0].Message = eventstore.WithoutData(forged[0].Message)
	apply(t, a, ordersPlace, forged)
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 3 {
		t.Errorf("parked: %+v", parked)
	}
	if still, err := Retry(t.Context(), OrderStatus(), w.db, w.store, domain.OrderStream(id)); err != nil || still != nil || w.order(t, id).Version != 2 {
		t.Errorf("what the log does not have is not waited for: %+v, %v", still, err)
	}
}

func TestAnEventWhoseRowCanNotBeStoredParksItsStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad, good := orderNumber(1), orderNumber(2)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	all := w.append(t, placed(bad, 1), placed(good, 1), confirmed(bad))
	all = append(all, w.appendRaw(t, domain.OrderStream(bad), raw("OrderCanceled", 1, `{"status":"CANCELED","reason":"\u0000"}`))...)
	all = append(all, w.append(t, refunded(bad, 1, domain.RefundDue, 1), confirmed(good))...)
	apply(t, a, ordersPlace, w.messages(ordersPlace, all...))
	if w.order(t, bad).Version != 2 || w.order(t, good).Version != 2 {
		t.Errorf("the rows are at %d and %d", w.order(t, bad).Version, w.order(t, good).Version)
	}
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 3 {
		t.Errorf("parked: %+v", parked)
	}
	still, err := Retry(t.Context(), OrderStatus(), w.db, w.store, domain.OrderStream(bad))
	if err != nil || still == nil || still.Version != 3 {
		t.Errorf("retried, it is %+v, %v", still, err)
	}
	item := w.appendRaw(t, "payment-PAY-1", raw("OpenItemResolved", 1, `{"item":"\u0000"}`))
	w.project(t, item...)
	if parked := w.parked(t); len(parked) != 2 {
		t.Errorf("parked: %+v", parked)
	}
}

func TestANameThatPostgresCanNotStoreIsNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	for _, stream := range []string{"order-\x00", "order-\xff", "order-" + strings.Repeat("x", 3000)} {
		apply(t, a, ordersPlace, w.messages(ordersPlace, stored(t, stream, 1, placed(orderNumber(1), 1))))
	}
	if got := a.Tally(); got.Foreign != 3 || len(w.parked(t)) != 0 {
		t.Errorf("tally %+v, parked %+v", got, w.parked(t))
	}
}
