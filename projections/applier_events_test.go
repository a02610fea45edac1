package projections

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestAMessageBeyondTheLogsHeadIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told bytes.Buffer
	a := NewApplier(OrderStatus(), w.db, w.store, slog.New(slog.NewTextHandler(&told, nil)))
	start(t, a, ordersPlace, 0, 0)
	id := orderNumber(1)
	events := w.append(t, placed(id, 1), confirmed(id))
	forged := stored(t, domain.OrderStream(id), 3, completed(id, 1))
	forged.Position = 999_999
	again := forged
	again.Position++
	apply(t, a, ordersPlace, w.messages(ordersPlace, events[0], forged, events[1], again))
	if row := w.order(t, id); row.Version != 2 || row.State.Status != domain.Confirmed {
		t.Errorf("the order is %+v", row)
	}
	if got := a.Tally(); got != (Tally{Folded: 2, Foreign: 2}) || len(w.parked(t)) != 0 {
		t.Errorf("tally %+v, parked %+v", got, w.parked(t))
	}
	if c := a.claims[ordersPlace]; c.next != 4 || c.position != events[1].Position {
		t.Errorf("the checkpoint is %+v", c)
	}
	if n := strings.Count(told.String(), "level=ERROR"); n != 1 || !strings.Contains(told.String(), "a position that the log does not have") {
		t.Errorf("%d errors were told: %s", n, told.String())
	}
	t.Run("what the log gets later is folded", func(t *testing.T) {
		apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, completed(id, 1))...))
		if row := w.order(t, id); row.Version != 3 || row.Position != 3 {
			t.Errorf("the order is %+v", row)
		}
	})
}

func TestABatchComesAgainWhenTheHeadCanNotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken, err := eventstore.OpenDB("postgres://nobody@127.0.0.1:1/none?sslmode=disable", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	a := NewApplier(OrderStatus(), w.db, eventstore.New(broken, eventstore.Config{}), slog.New(slog.DiscardHandler))
	start(t, a, ordersPlace, 0, 0)
	id := orderNumber(1)
	batch := w.messages(ordersPlace, w.append(t, placed(id, 1))...)
	if err := a.Apply(t.Context(), OrdersTopic, 0, batch); err == nil || errors.Is(err, ErrClaimLost) || a.claims[ordersPlace].next != 0 {
		t.Fatalf("%v, the checkpoint is %+v", err, a.claims[ordersPlace])
	}
	a.store = w.store
	apply(t, a, ordersPlace, batch)
	if row := w.order(t, id); row.Version != 1 || a.Tally().Foreign != 0 {
		t.Errorf("the order is %+v, the tally %+v", row, a.Tally())
	}
}
