package commands

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"boxoffice/domain"
)

func TestAnOrderIsPlacedAndPaid(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 10))
	placed := do(t, w, place(1, 2, "ref"))
	if placed.Order == nil || placed.Order.Status != domain.Pending || placed.Position == 0 {
		t.Fatalf("answer %+v", placed)
	}
	payment := placed.Order.Newest().PaymentID
	confirmed := do(t, w, domain.RecordInstruction{PaymentID: payment, QR: "qr", ExpiresAt: placed.Order.ExpiresAt})
	if confirmed.Order.Status != domain.Confirmed {
		t.Fatalf("after the instruction: %s", confirmed.Order.Status)
	}
	paid := do(t, w, domain.SettlePayment{Gateway: "test", PaymentID: placed.Order.OrderID})
	if paid.Order.Status != domain.Completed || len(paid.Order.Tickets) != 2 {
		t.Fatalf("after the money: %+v", paid.Order)
	}
	if got := o.totals(1); got.Held != 0 || got.Sold != 2 {
		t.Fatalf("totals %+v", got)
	}
	again := do(t, w, domain.SettlePayment{Gateway: "test", PaymentID: payment})
	if again.Result.Changed {
		t.Fatal("the same money changed something again")
	}
}

func TestTwoThousandBuyersFiveHundredTickets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 500))
	accepted := sellOut(t, []*Writer{w}, 2000)
	if accepted != 500 {
		t.Fatalf("%d accepted", accepted)
	}
	if got := o.totals(1); got.Held != 500 {
		t.Fatalf("totals %+v", got)
	}
	if n := o.count("OrderPlaced"); n != 500 {
		t.Fatalf("%d orders in the log", n)
	}
}

func TestFourWritersSellExactlyWhatThereIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var writers []*Writer
	for range 4 {
		w, _ := o.writer()
		writers = append(writers, w)
	}
	do(t, writers[0], createShow(1, 700))
	if accepted := sellOut(t, writers, 2000); accepted != 700 {
		t.Fatalf("%d accepted", accepted)
	}
	if got := o.totals(1); got.Held != 700 {
		t.Fatalf("totals %+v", got)
	}
	checkDense(t, o)
}

// sellOut lets buyers buy one ticket each, 128 at once, and returns how many were told yes. Nobody is told yes without an id.
func sellOut(t *testing.T, writers []*Writer, buyers int) int64 {
	t.Helper()
	var accepted atomic.Int64
	var ids sync.Map
	var running sync.WaitGroup
	next := make(chan int, buyers)
	for i := range buyers {
		next <- i
	}
	close(next)
	for range 128 {
		running.Go(func() {
			for i := range next {
				a, err := writers[i%len(writers)].Do(t.Context(), place(1, 1, fmt.Sprint("buyer", i)), Origin{Actor: "test"})
				if err == nil {
					accepted.Add(1)
					if _, twice := ids.LoadOrStore(a.Result.OrderID, true); twice || a.Result.OrderID == "" {
						t.Errorf("order id %q twice or empty", a.Result.OrderID)
					}
					continue
				}
				rejection, ok := errors.AsType[*domain.Rejection](err)
				if !ok || rejection.Code != domain.SoldOut {
					t.Errorf("buyer %d: %v", i, err)
				}
			}
		})
	}
	running.Wait()
	return accepted.Load()
}

func checkDense(t *testing.T, o *office) {
	t.Helper()
	versions := map[string]int64{}
	for i, e := range o.events() {
		if e.Position != int64(i)+1 || e.Version != versions[e.Stream]+1 {
			t.Fatalf("event %d: position %d, %s version %d", i, e.Position, e.Stream, e.Version)
		}
		versions[e.Stream]++
	}
}
