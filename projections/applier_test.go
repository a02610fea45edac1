package projections

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

var ordersPlace = place{topic: OrdersTopic}

func TestABatchAndItsCheckpointAreOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.applier(OrderStatus())
	if offset := start(t, a, ordersPlace, 0, 0); offset != 0 {
		t.Fatalf("begins at %d", offset)
	}
	one, two := orderNumber(1), orderNumber(2)
	batch := w.messages(ordersPlace, w.append(t, placed(one, 2), placed(two, 1), confirmed(one), created(1, 10))...)
	apply(t, a, ordersPlace, batch)
	if row := w.order(t, one); row.Version != 2 || row.State.Status != domain.Confirmed || row.Position != 3 {
		t.Errorf("order one is %+v", row)
	}
	if row := w.order(t, two); row.Version != 1 || row.State.Status != domain.Pending {
		t.Errorf("order two is %+v", row)
	}
	successor := w.applier(OrderStatus())
	if offset := start(t, successor, ordersPlace, 0, 4); offset != 4 {
		t.Errorf("a restart begins at %d", offset)
	}
	if got := a.Tally(); got != (Tally{Folded: 3}) {
		t.Errorf("tally %+v", got)
	}
}

func TestARedeliveredBatchChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	events := w.append(t, placed(id, 2), confirmed(id))
	w.project(t, events...)
	before := w.order(t, id)
	w.project(t, append(events, events...)...)
	if after := w.order(t, id); !reflect.DeepEqual(before, after) {
		t.Errorf("was %+v, is %+v", before, after)
	}
}

func TestAZombieWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zombie, owner := w.applier(OrderStatus()), w.applier(OrderStatus())
	id := orderNumber(1)
	batch := w.messages(ordersPlace, w.append(t, placed(id, 2))...)
	start(t, zombie, ordersPlace, 0, 1)
	start(t, owner, ordersPlace, 0, 1)
	if err := zombie.Apply(t.Context(), OrdersTopic, 0, batch); !errors.Is(err, ErrClaimLost) {
		t.Fatalf("the zombie got %v", err)
	}
	if row := w.order(t, id); row.Version != 0 {
		t.Fatalf("the zombie wrote %+v", row)
	}
	apply(t, owner, ordersPlace, batch)
	if row := w.order(t, id); row.Version != 1 {
		t.Errorf("the owner wrote %+v", row)
	}
	if err := owner.Apply(t.Context(), OrdersTopic, 5, batch); !errors.Is(err, ErrClaimLost) {
		t.Errorf("a partition that was never taken: %v", err)
	}
}

// failing fails after it has saved its rows, as a process does that dies before its commit.
type failing struct {
	Projection
	fail bool
}

var errDied = errors.New("died before the commit")

type failingRows struct {
	Bulk
	of *failing
}

func (f *failing) Rows() Bulk { return failingRows{f.Projection.Rows(), f} }

func (r failingRows) Save(ctx context.Context, tx *sqlx.Tx) error {
	if err := r.Bulk.Save(ctx, tx); err != nil || !r.of.fail {
		return err
	}
	return errDied
}

func TestACrashBeforeTheCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &failing{Projection: OrderStatus(), fail: true}
	a := w.applier(p)
	id := orderNumber(1)
	batch := w.messages(ordersPlace, w.append(t, placed(id, 2))...)
	start(t, a, ordersPlace, 0, 1)
	if err := a.Apply(t.Context(), OrdersTopic, 0, batch); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if row := w.order(t, id); row.Version != 0 {
		t.Fatalf("it left %+v", row)
	}
	p.fail = false
	apply(t, a, ordersPlace, batch)
	if row := w.order(t, id); row.Version != 1 {
		t.Errorf("the same batch again made %+v", row)
	}
}

func TestACommitWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	batch := w.messages(ordersPlace, w.append(t, placed(id, 2))...)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 1)
	before := a.claims[ordersPlace]
	apply(t, a, ordersPlace, batch)
	a.claims[ordersPlace] = before // the process never learned of the commit and sends the batch again
	if err := a.Apply(t.Context(), OrdersTopic, 0, batch); !errors.Is(err, ErrClaimLost) {
		t.Fatalf("the batch again: %v", err)
	}
	if offset := start(t, a, ordersPlace, 0, 1); offset != 1 {
		t.Errorf("the claim begins again at %d", offset)
	}
}

func TestGapsAreHealedFromTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	all := w.append(t, placed(id, 2), confirmed(id), completed(id, 2), canceled(id, domain.Completed, domain.ReasonOperator))
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, w.messages(ordersPlace, all[1], all[3], all[2]))
	want, err := foldRow(OrderStatus(), id, all)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.order(t, id); same(facts(t, got)) != same(facts(t, want)) || got.Version != 4 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := a.Tally(); got.Gaps != 2 || got.Repeats != 1 {
		t.Errorf("tally %+v", got)
	}
}

func TestAPoisonedStreamIsParkedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad, good := orderNumber(1), orderNumber(2)
	events := w.append(t, placed(bad, 1), confirmed(bad), placed(good, 1), completed(bad, 1))
	events[1].Data = []byte(`{"payment":7}`)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, w.messages(ordersPlace, events...))
	if row := w.order(t, bad); row.Version != 1 {
		t.Errorf("the bad order is at version %d, not before the poison", row.Version)
	}
	if row := w.order(t, good); row.Version != 1 {
		t.Errorf("the good order is at version %d", row.Version)
	}
	parked := w.parked(t)
	if len(parked) != 1 || parked[0].Stream != domain.OrderStream(bad) || parked[0].Version != 2 || parked[0].Projection != "order_status" {
		t.Fatalf("parked: %+v", parked)
	}
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(bad, 1, domain.RefundDue, 1), confirmed(good))...))
	if row := w.order(t, bad); row.Version != 1 {
		t.Errorf("a later event went past the poison: %d", row.Version)
	}
	if row := w.order(t, good); row.Version != 2 {
		t.Errorf("the good order stayed at %d", row.Version)
	}
	if got := a.Tally(); got.Parked != 1 || got.Waiting != 2 {
		t.Errorf("tally %+v", got)
	}
	// The log is the truth: without the mark the next event of the stream heals it.
	if _, err := w.db.ExecContext(t.Context(), `DELETE FROM parked`); err != nil {
		t.Fatal(err)
	}
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, refunded(bad, 1, domain.RefundDone, 1))...))
	if row := w.order(t, bad); row.Version != 5 {
		t.Errorf("the healed order is at %d", row.Version)
	}
}

func TestAFoldThatPanicsParksItsStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := *OrderStatus()
	fold := p.Apply
	p.Apply = func(s *OrderState, e eventstore.Recorded, ev domain.Event) error {
		if e.Type == "OrderConfirmed" {
			s.Status = "half"
			panic("a fold with a fault")
		}
		return fold(s, e, ev)
	}
	id := orderNumber(1)
	a := w.applier(&p)
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, w.messages(ordersPlace, w.append(t, placed(id, 1), confirmed(id))...))
	if row := w.order(t, id); row.Version != 1 || row.State.Status != domain.Pending {
		t.Errorf("the order is %+v", row)
	}
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 2 {
		t.Errorf("parked: %+v", parked)
	}
}

func TestAnEventThatTheLogDoesNotHaveIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	w.append(t, placed(orderNumber(2), 1))
	foreign := stored(t, domain.OrderStream(id), 7, confirmed(id))
	foreign.Position = w.head.Position
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, w.messages(ordersPlace, foreign))
	if parked := w.parked(t); len(parked) != 1 || parked[0].Version != 7 {
		t.Errorf("parked: %+v", parked)
	}
}

func TestMessagesThatAreNoEventsArePassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.applier(OrderStatus())
	start(t, a, ordersPlace, 0, 0)
	apply(t, a, ordersPlace, nil)
	apply(t, a, ordersPlace, []Message{{Offset: 0, Message: message.NewMessage("x", []byte("garbage"))}})
	if offset := start(t, w.applier(OrderStatus()), ordersPlace, 0, 1); offset != 1 {
		t.Errorf("the checkpoint stayed at %d", offset)
	}
	if got := a.Tally(); got.Foreign != 1 {
		t.Errorf("tally %+v", got)
	}
}

func TestACheckpointThatDoesNotFitItsPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	events := w.append(t, placed(id, 1), confirmed(id))
	first := w.applier(OrderStatus())
	start(t, first, ordersPlace, 0, 2)
	apply(t, first, ordersPlace, w.messages(ordersPlace, events...))
	t.Run("beyond the end: the topic was made anew and is read from its start", func(t *testing.T) {
		a := w.applier(OrderStatus())
		w.offsets[ordersPlace] = 0
		if offset := start(t, a, ordersPlace, 0, 1); offset != 0 {
			t.Fatalf("begins at %d", offset)
		}
		apply(t, a, ordersPlace, w.messages(ordersPlace, events[1]))
		if got := a.Tally(); got.Restarts != 1 || got.Repeats != 1 {
			t.Errorf("tally %+v", got)
		}
		if offset := start(t, a, ordersPlace, 0, 1); offset != 1 {
			t.Errorf("the checkpoint is at %d", offset)
		}
	})
	t.Run("before the oldest: what is gone is told, and rows heal when they move", func(t *testing.T) {
		a := w.applier(OrderStatus())
		more := w.append(t, completed(id, 1), refunded(id, 1, domain.RefundDue, 1))
		w.offsets[ordersPlace] = 9
		if offset := start(t, a, ordersPlace, 9, 10); offset != 9 {
			t.Fatalf("begins at %d", offset)
		}
		apply(t, a, ordersPlace, w.messages(ordersPlace, more[1]))
		if got := a.Tally(); got.Lost != 1 || got.Gaps != 1 {
			t.Errorf("tally %+v", got)
		}
		if row := w.order(t, id); row.Version != 4 {
			t.Errorf("the row is at %d", row.Version)
		}
	})
}

func TestARowIsNeverWrittenOverAHigherVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := orderNumber(1)
	events := w.append(t, placed(id, 1), confirmed(id))
	slow := OrderStatus().Rows()
	if _, err := slow.Fold(id, events[0]); err != nil {
		t.Fatal(err)
	}
	w.project(t, events...)
	tx := w.db.MustBegin()
	if err := slow.Save(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if row := w.order(t, id); row.Version != 2 {
		t.Errorf("it was, by version %d", row.Version)
	}
}

func TestEveryEventOfAShowMovesTheVersionOfAllItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	two := append(totals(10, 0, 0), domain.Totals{TicketTypeID: 2, Capacity: 5})
	w.happens(t, created(7, 10), domain.TicketTypeAdded{ShowID: 7, TicketType: ticketType(2, 5), Totals: two})
	two[0].Held = 3
	w.happens(t, held(7, two))
	for _, table := range Availability().Definition().Tables {
		var versions []int64
		if err := w.db.SelectContext(t.Context(), &versions, `SELECT DISTINCT version FROM `+table+` WHERE show_id = 7`); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(versions, []int64{3}) {
			t.Errorf("%s is at %v", table, versions)
		}
	}
	var n domain.Totals
	if err := w.db.QueryRowContext(t.Context(), `SELECT ticket_type_id, capacity, held, sold FROM availability
		WHERE show_id = 7 AND ticket_type_id = 1`).Scan(&n.TicketTypeID, &n.Capacity, &n.Held, &n.Sold); err != nil || n != two[0] {
		t.Errorf("got %+v, %v", n, err)
	}
}

func TestPartitionsAreAppliedSideBySide(t *testing.T) {
	t.Parallel()
	const partitions, orders = 6, 20
	w := newWorld(t)
	a := w.applier(OrderStatus())
	batches := make([][]Message, partitions)
	for n := range partitions * orders {
		p := place{OrdersTopic, int32(n % partitions)}
		batches[p.partition] = append(batches[p.partition], w.messages(p, w.append(t, placed(orderNumber(n), 1), confirmed(orderNumber(n)))...)...)
	}
	var all errgroup.Group
	for partition, batch := range batches {
		start(t, a, place{OrdersTopic, int32(partition)}, 0, int64(len(batch)))
		all.Go(func() error {
			for ; len(batch) > 0; batch = batch[4:] {
				if err := a.Apply(t.Context(), OrdersTopic, int32(partition), batch[:4]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := w.db.GetContext(t.Context(), &n, `SELECT count(*) FROM order_status WHERE status = 'CONFIRMED' AND version = 2`); err != nil || n != partitions*orders {
		t.Errorf("%d orders, %v", n, err)
	}
	if got := a.Tally(); got != (Tally{Folded: 2 * partitions * orders}) {
		t.Errorf("tally %+v", got)
	}
}
