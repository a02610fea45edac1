package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/domain"
)

func TestHoldsEndByThemselves(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 300))
	var last Answer
	for i := range 3 {
		c := place(1, 2, fmt.Sprint("buyer", i))
		c.TTL = time.Second
		last = do(t, w, c)
	}
	keepTime(t, o, w)
	eventually(t, "the holds end", func() error {
		got := o.totals(1)
		return must(got.Held == 0, "totals %+v", got)
	})
	read, err := o.store.ReadStreams(t.Context(), []string{domain.OrderStream(last.Result.OrderID)})
	if err != nil {
		t.Fatal(err)
	}
	events := read[domain.OrderStream(last.Result.OrderID)]
	end := events[len(events)-1]
	if end.Type != "OrderCanceled" || end.RecordedAt.Before(last.Order.ReleaseAt) {
		t.Fatalf("%s at %s, released at %s", end.Type, end.RecordedAt, last.Order.ReleaseAt)
	}
	eventually(t, "nothing stays due", func() error {
		due, err := o.store.LoadDue(t.Context(), []int64{1})
		if err != nil {
			return err
		}
		return must(len(due) == 0, "due %v", due)
	})
}

func TestNobodyIsRefusedWhileDueHoldsAreNotReleased(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	const tickets = 1300 // more than two batches of holds that end
	do(t, w, createShow(1, tickets))
	var running sync.WaitGroup
	for i := range tickets {
		running.Go(func() {
			c := place(1, 1, fmt.Sprint("early", i))
			c.TTL = time.Second
			do(t, w, c)
		})
	}
	running.Wait()
	show, err := loadShow(t.Context(), o.store, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := show.Totals()[0]; got.Held != tickets {
		t.Fatalf("totals %+v", got)
	}
	eventually(t, "all holds are due", func() error {
		left := len(show.DueOrders(o.store.Now(), tickets+1))
		return must(left == tickets, "%d due", left)
	})
	for i := range tickets {
		running.Go(func() { do(t, w, place(1, 1, fmt.Sprint("late", i))) })
	}
	running.Wait()
	refused(t, w, place(1, 1, "too late"), domain.SoldOut)
	checkDense(t, o)
}

func TestAWriterFoldsWhatAnotherReleased(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, _ := o.writer()
	two, _ := o.writer()
	do(t, one, createShow(1, 1))
	held := do(t, one, place(1, 1, "a"))
	refused(t, two, place(1, 1, "b"), domain.SoldOut)
	do(t, one, domain.CancelOrder{OrderID: held.Result.OrderID})
	do(t, two, place(1, 1, "b"))
}

// keepTime runs a timekeeper on a writer.
func keepTime(t *testing.T, o *office, w *Writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = Timekeeper{Store: o.store, Send: w.Do, Log: quiet()}.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func TestTheServicesOwnCommandsKeepTheirShare(t *testing.T) {
	t.Parallel()
	w := NewWriter(nil, quiet(), Observer{}, nil)
	for range 2000 {
		w.in <- &request{}
	}
	for range 50 {
		w.own <- &request{origin: Origin{Actor: ActorSystem}}
	}
	batch := w.collect(t.Context())
	own := 0
	for _, r := range batch {
		if r.origin.Actor == ActorSystem {
			own++
		}
	}
	if own < ownLeast || len(batch) < maxBatch-maxBatch/ownShare {
		t.Fatalf("%d of %d are the service's own", own, len(batch))
	}
}

func TestTwoWritersCreateTheSameShowOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, _ := o.writer()
	two, _ := o.writer()
	for id := int64(1); id <= 30; id++ {
		var created atomic.Int64
		var running sync.WaitGroup
		for _, w := range []*Writer{one, two} {
			running.Go(func() {
				_, err := w.Do(t.Context(), createShow(id, 5), Origin{})
				rejection, _ := errors.AsType[*domain.Rejection](err)
				switch {
				case err == nil:
					created.Add(1)
				case rejection == nil || rejection.Code != domain.Exists:
					t.Errorf("show %d: %v", id, err)
				}
			})
		}
		running.Wait()
		if created.Load() != 1 {
			t.Fatalf("show %d was created %d times", id, created.Load())
		}
	}
	checkDense(t, o)
}
