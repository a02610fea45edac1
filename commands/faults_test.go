package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func TestACommandThatCannotBeStoredFailsAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 1000))
	var running sync.WaitGroup
	for i := range 60 {
		running.Go(func() {
			from := Origin{Actor: "test", Contact: &eventstore.Contact{CustomerRef: "ref", CustomerID: "fine"}}
			if i == 30 {
				from.Contact.CustomerID = "not\x00fine"
			}
			_, err := w.Do(t.Context(), place(1, 1, "ref"), from)
			if refused := errors.Is(err, eventstore.ErrRefused); refused != (i == 30) || (err != nil) != (i == 30) {
				t.Errorf("order %d: %v", i, err)
			}
		})
	}
	running.Wait()
	if n := o.count("OrderPlaced"); n != 59 {
		t.Fatalf("%d orders", n)
	}
	checkDense(t, o)
}

func TestALogThatWasReplacedIsFoldedAnew(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, _ := o.writer()
	do(t, w, createShow(1, 10))
	kept := do(t, w, place(1, 4, "a"))
	head, err := o.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	do(t, w, place(1, 6, "b"))
	refused(t, w, place(1, 1, "c"), domain.SoldOut)
	// A replica that lagged behind is promoted: the last order was never there.
	for _, statement := range []string{
		`ALTER TABLE events DISABLE TRIGGER events_append_only`,
		fmt.Sprintf(`DELETE FROM events WHERE position > %d`, head.Position),
		fmt.Sprintf(`UPDATE log_head SET position = %d, hash = (SELECT hash FROM events WHERE position = %[1]d)`, head.Position),
		`ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only`,
	} {
		if _, err := o.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	again := do(t, w, place(1, 6, "c"))
	if again.Result.OrderID == kept.Result.OrderID {
		t.Fatal("an order id twice")
	}
	refused(t, w, place(1, 1, "d"), domain.SoldOut)
	if got := o.totals(1); got.Held != 10 {
		t.Fatalf("totals %+v", got)
	}
	checkDense(t, o)
}

func TestPostgresCrashesUnderOrders(t *testing.T) {
	t.Parallel()
	pg := devstack.OwnPostgres(t, nil)
	o := officeAt(t, pg.URL)
	w, _ := o.writer()
	do(t, w, createShow(1, 1_000_000))
	var mu sync.Mutex
	yes := map[string]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	for i := range 32 {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := keyed(fmt.Sprint(i, "-", n), "body")
				for ctx.Err() == nil { // a request without an answer is sent again
					once, done := context.WithTimeout(t.Context(), 2*time.Second)
					a, err := w.Do(once, place(1, 1, "x"), key)
					done()
					if err == nil {
						mu.Lock()
						yes[a.Result.OrderID] = true
						mu.Unlock()
						break
					}
					if !errors.Is(err, ErrUnavailable) {
						t.Errorf("neither accepted nor unavailable: %v", err)
						return
					}
				}
			}
		})
	}
	answered := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(yes)
	}
	for range 3 {
		before := answered()
		eventually(t, "orders go on", func() error { return must(answered() > before+200, "%d answered", answered()) })
		if err := pg.Server.Crash(); err != nil {
			t.Fatal(err)
		}
		if err := pg.Server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := answered()
	eventually(t, "orders go on", func() error { return must(answered() > before+200, "%d answered", answered()) })
	cancel()
	running.Wait()
	stored := map[string]bool{}
	for _, e := range o.events() {
		if e.Type == "OrderPlaced" {
			_, id := domain.ParseStream(e.Stream)
			stored[id] = true
		}
	}
	for id := range yes {
		if !stored[id] {
			t.Errorf("%s was answered and is not there", id)
		}
	}
	if extra := len(stored) - len(yes); extra > 32 {
		t.Errorf("%d orders that nobody was told of, of 32 buyers", extra)
	}
	checkDense(t, o)
}
