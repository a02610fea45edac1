package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"boxoffice/domain"
)

// soldOut puts a show on sale, and sells some orders of one ticket each; as many more are held. The orders are
// in the order of their payment.
func soldOut(t *testing.T, w *Writer, show int64, sold, held int) (paid, open []string) {
	t.Helper()
	do(t, w, createShow(show, int64(sold+held)))
	ids := make([]string, sold+held)
	var buyers sync.WaitGroup
	for i := range ids {
		buyers.Go(func() { ids[i] = do(t, w, place(show, 1, fmt.Sprint("buyer", i))).Result.OrderID })
	}
	buyers.Wait()
	for _, id := range ids[:sold] {
		buyers.Go(func() { do(t, w, settled(id)) })
	}
	buyers.Wait()
	return ids[:sold], ids[sold:]
}

func settled(orderID string) domain.SettlePayment {
	return domain.SettlePayment{Gateway: "test", PaymentID: orderID, Reference: "money-" + orderID, GatewayStatus: "PAID"}
}

// refunded counts refunds by payment.
func (o *office) refunded() map[string]int {
	o.t.Helper()
	n := map[string]int{}
	for _, e := range o.events() {
		event, err := decode(e)
		if err != nil {
			o.t.Fatal(err)
		}
		if e, is := event.(domain.RefundRequested); is {
			n[e.PaymentID]++
		}
	}
	return n
}

func (o *office) awaitEmpty(show int64) {
	o.t.Helper()
	eventually(o.t, "nothing is held or sold", func() error {
		got := o.totals(show)
		return must(got.Held == 0 && got.Sold == 0, "totals %+v", got)
	})
	eventually(o.t, "nothing stays due", func() error {
		due, err := o.store.LoadDue(o.t.Context(), []int64{show})
		if err != nil {
			return err
		}
		return must(len(due) == 0, "due %v", due)
	})
}

func TestACanceledShowGivesEverythingBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	const sold, held = 2*closingCommands*closingOrders + 30, 20
	paid, open := soldOut(t, w, 1, sold, held)
	do(t, w, domain.CancelOrder{OrderID: paid[7], ByOperator: true})
	answer := do(t, w, domain.CancelShow{ShowID: 1, Reason: "storm"})
	if !answer.Show.Canceled || !answer.Result.Changed {
		t.Fatalf("answer %+v", answer)
	}
	if again := do(t, w, domain.CancelShow{ShowID: 1}); again.Result.Changed || again.Show.Version < answer.Show.Version {
		t.Fatalf("a second time: %+v", again)
	}
	refused(t, w, place(1, 1, "late"), domain.ShowIsCanceled)
	do(t, w, settled(open[3])) // money on its way meanwhile goes back at once
	keepTime(t, o, w)
	o.awaitEmpty(1)
	refunds := o.refunded()
	if len(refunds) != sold+1 {
		t.Errorf("%d payments were refunded, want %d", len(refunds), sold+1)
	}
	for payment, n := range refunds {
		if n != 1 {
			t.Errorf("%s has %d refunds", payment, n)
		}
	}
	if n := o.count("OrderCanceled"); n != sold+held {
		t.Errorf("%d of %d orders ended", n, sold+held)
	}
	checkDense(t, o)
}

func TestTwoTimekeepersGiveBackOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, _ := o.writer()
	two, _ := o.writer()
	const sold = 3 * closingCommands * closingOrders
	paid, _ := soldOut(t, one, 1, sold, 0)
	do(t, one, domain.CancelShow{ShowID: 1})
	keepTime(t, o, one)
	keepTime(t, o, two)
	var operators sync.WaitGroup
	for _, id := range paid[:40] {
		operators.Go(func() { do(t, two, domain.CancelOrder{OrderID: id, ByOperator: true}) })
	}
	operators.Wait()
	o.awaitEmpty(1)
	refunds := o.refunded()
	for payment, n := range refunds {
		if n != 1 {
			t.Errorf("%s has %d refunds", payment, n)
		}
	}
	if len(refunds) != sold {
		t.Errorf("%d payments were refunded, want %d", len(refunds), sold)
	}
	checkDense(t, o)
}

func TestAClosingReadsEveryEventOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	paid, _ := soldOut(t, w, 1, 2*closingCommands*closingOrders+30, 0)
	do(t, w, domain.CancelOrder{OrderID: paid[0], ByOperator: true})
	do(t, w, domain.CancelShow{ShowID: 1})
	keeper := Timekeeper{Store: o.store, Send: w.Do, Log: quiet()}
	c := newClosing(1)
	for step, left := range []int64{closingCommands*closingOrders + 29, 29, 0} {
		read := c.version
		if done, err := c.step(t.Context(), keeper); err != nil || !done || c.version <= read {
			t.Fatalf("step %d: %v %v, read from %d to %d", step, done, err, read, c.version)
		}
		if got := o.totals(1); got.Sold != left {
			t.Fatalf("after step %d: %+v, want %d", step, got, left)
		}
	}
	for what, c := range map[string]*closing{"after all is done": c, "from the start": newClosing(1)} {
		if done, err := c.step(t.Context(), keeper); err != nil || done {
			t.Errorf("%s: %v %v", what, done, err)
		}
	}
}

func TestAClosingWaitsForALogThatCannotBeReached(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	paid, _ := soldOut(t, w, 1, 3, 0)
	do(t, w, domain.CancelShow{ShowID: 1})
	for _, fault := range []error{ErrUnavailable, ErrOverloaded} {
		c, away := newClosing(1), true
		keeper := Timekeeper{Store: o.store, Log: quiet(), Send: func(_ context.Context, command domain.Command, _ Origin) (Answer, error) {
			if away {
				return Answer{}, fmt.Errorf("not now: %w", fault)
			}
			if got := command.(domain.ReturnTickets).OrderIDs; len(got) != len(paid) {
				t.Errorf("after %v it gives back %v of %v", fault, got, paid)
			}
			return Answer{}, nil
		}}
		if done, err := c.step(t.Context(), keeper); done || !errors.Is(err, fault) {
			t.Fatalf("got %v %v", done, err)
		}
		away = false
		if done, err := c.step(t.Context(), keeper); !done || err != nil {
			t.Fatalf("got %v %v", done, err)
		}
	}
}

func TestAnOrderThatCannotBeGivenBackHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	paid, _ := soldOut(t, w, 1, 20, 0)
	do(t, w, domain.CancelShow{ShowID: 1})
	bad := errors.New("this order can't be read")
	c := newClosing(1)
	keeper := Timekeeper{Store: o.store, Log: quiet(), Send: func(ctx context.Context, command domain.Command, from Origin) (Answer, error) {
		if slices.Contains(command.(domain.ReturnTickets).OrderIDs, paid[11]) {
			return Answer{}, bad
		}
		return w.Do(ctx, command, from)
	}}
	failed := 0
	for done := true; done || failed > 0 && len(c.next()) > 0; {
		var err error
		if done, err = c.step(t.Context(), keeper); err != nil {
			if failed++; !errors.Is(err, bad) || failed > 30 {
				t.Fatalf("%d steps failed: %v", failed, err)
			}
		}
	}
	if got := o.totals(1); got.Sold != 1 {
		t.Errorf("totals %+v", got)
	}
}
