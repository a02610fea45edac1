package projections

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// However a topic's messages are cut into batches, repeated, lost before the last of their stream and mixed
// among streams, the rows are what a plain fold of the log makes of them.
func TestRowsAreTheFoldOfTheLogHoweverItArrives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var numbers atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		n := int(numbers.Add(1))
		var history []domain.Event
		orders, shows := map[string][]eventstore.Recorded{}, map[string][]eventstore.Recorded{}
		for i := range rapid.IntRange(1, 4).Draw(rt, "orders") {
			history = append(history, drawOrder(rt, orderNumber(n*10+i))...)
		}
		history = append(history, drawShow(rt, int64(n))...)
		for _, e := range w.append(t, history...) {
			if key, ok, _ := Availability().Key(e); ok {
				shows[key] = append(shows[key], e)
			} else if key, ok, _ := OrderStatus().Key(e); ok {
				orders[key] = append(orders[key], e)
			}
		}
		p := place{topic: "property", partition: int32(n)}
		sent := drawDelivery(rt, slices.Concat(inOrder(orders), inOrder(shows)))
		messages := w.messages(p, sent...)
		for _, projection := range []Projection{OrderStatus(), Availability()} {
			a := w.applier(projection)
			start(t, a, p, 0, int64(len(messages)))
			for rest := messages; len(rest) > 0; {
				size := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
				apply(t, a, p, rest[:size])
				rest = rest[size:]
			}
		}
		for id, events := range orders {
			compareRow(rt, OrderStatus(), id, events, w, func(s OrderState) any { return facts(rt, Row[OrderState]{State: s}) })
		}
		for id, events := range shows {
			compareRow(rt, Availability(), id, events, w, func(s ShowState) any { return s.Facts(0) })
		}
	})
}

func compareRow[T any](rt *rapid.T, m *Model[T], key string, events []eventstore.Recorded, w *world, facts func(T) any) {
	rt.Helper()
	want, err := foldRow(m, key, events)
	if err != nil {
		rt.Fatal(err)
	}
	rows, err := m.Load(rt.Context(), w.db, []string{key})
	if err != nil {
		rt.Fatal(err)
	}
	got := rows[key]
	if got.Version != want.Version || got.Position != want.Position || same(facts(got.State)) != same(facts(want.State)) {
		rt.Fatalf("row %s\n got %d %+v\nwant %d %+v", key, got.Version, got.State, want.Version, want.State)
	}
}

// inOrder are a map's streams in the order of their keys, so that a seed draws the same again.
func inOrder(streams map[string][]eventstore.Recorded) [][]eventstore.Recorded {
	var all [][]eventstore.Recorded
	for _, key := range slices.Sorted(maps.Keys(streams)) {
		all = append(all, streams[key])
	}
	return all
}

// same is a text that two states share if a reader can't tell them apart: no list is as good as an empty one.
func same(facts any) string { return fmt.Sprintf("%+v", facts) }

// drawOrder is an order's stream: not what the rules allow, but what a fold has to stand.
func drawOrder(rt *rapid.T, id string) []domain.Event {
	events := []domain.Event{placed(id, 2)}
	for range rapid.IntRange(0, 6).Draw(rt, "steps") {
		events = append(events, rapid.SampledFrom([]domain.Event{
			confirmed(id), completed(id, 2), canceled(id, domain.Confirmed, domain.ReasonCustomer),
			refunded(id, 1, domain.RefundDue, 100), refunded(id, 1, domain.RefundDone, 100), refunded(id, 2, domain.RefundLost, 7),
			domain.OrderPaymentChanged{OrderStep: step(id, domain.Confirmed, domain.Confirmed), Payment: payment(id, 2, domain.Requested)},
		}).Draw(rt, "event"))
	}
	return events
}

func drawShow(rt *rapid.T, id int64) []domain.Event {
	opening := created(id, 100)
	opening.StartsAt = noon
	events := []domain.Event{opening}
	for range rapid.IntRange(0, 8).Draw(rt, "steps") {
		after := totals(100, rapid.Int64Range(0, 50).Draw(rt, "held"), rapid.Int64Range(0, 50).Draw(rt, "sold"))
		events = append(events, rapid.SampledFrom([]domain.Event{
			held(id, after), sold(id, after),
			domain.SalesPaused{ShowID: id, Totals: after},
			domain.TicketTypeChanged{ShowID: id, TicketType: ticketType(1, 100), Totals: after},
		}).Draw(rt, "event"))
	}
	return events
}

// drawDelivery mixes streams, repeats parts of them and loses events, but never the last of a stream.
func drawDelivery(rt *rapid.T, streams [][]eventstore.Recorded) []eventstore.Recorded {
	var lanes [][]eventstore.Recorded
	for i, stream := range streams {
		var lane []eventstore.Recorded
		for n, e := range stream {
			if n < len(stream)-1 && rapid.IntRange(0, 4).Draw(rt, "lost"+strconv.Itoa(i)) == 0 {
				continue
			}
			lane = append(lane, e)
			if rapid.IntRange(0, 3).Draw(rt, "repeat"+strconv.Itoa(i)) == 0 {
				lane = append(lane, lane[rapid.IntRange(0, len(lane)-1).Draw(rt, "from"):]...)
			}
		}
		lanes = append(lanes, lane)
	}
	var sent []eventstore.Recorded
	for len(lanes) > 0 {
		i := rapid.IntRange(0, len(lanes)-1).Draw(rt, "lane")
		sent = append(sent, lanes[i][0])
		if lanes[i] = lanes[i][1:]; len(lanes[i]) == 0 {
			lanes = slices.Delete(lanes, i, i+1)
		}
	}
	return sent
}
