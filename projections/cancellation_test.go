package projections

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// inShow is an order's placement in another show.
func inShow(show int64, e domain.OrderPlaced) domain.OrderPlaced {
	e.ShowID = show
	return e
}

func TestWhatACancellationWouldDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	last := s.happens(t, created(7, 10), held(7, totals(10, 3, 4)))[1]
	open, confirmedToo, paid, gone := orderNumber(1), orderNumber(2), orderNumber(3), orderNumber(4)
	s.happens(t, inShow(7, placed(open, 1)), inShow(7, placed(confirmedToo, 2)), confirmed(confirmedToo), inShow(7, placed(paid, 4)), completed(paid, 4),
		inShow(7, placed(gone, 1)), canceled(gone, domain.Pending, domain.ReasonCustomer), inShow(8, placed(orderNumber(5), 1)))
	got, err := s.queries.Cancellation(t.Context(), 7)
	want := views.Cancellation{
		DryRun: true, ShowID: 7, Version: 2, AsOf: last.RecordedAt, Orders: views.CanceledOrders{Open: 2, Completed: 1},
		Tickets: views.CanceledStock{Held: 3, Sold: 4}, Refund: rupiah(4 * price),
	}
	if err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	t.Run("its numbers agree when the show is ahead of the orders", func(t *testing.T) {
		s.happens(t, held(7, totals(10, 1, 7)))
		got, err := s.queries.Cancellation(t.Context(), 7)
		if err != nil || got.Version != 3 || got.Orders != want.Orders || got.Tickets != want.Tickets || got.Refund != want.Refund {
			t.Errorf("got %+v %v", got, err)
		}
	})
	t.Run("a show without orders has nothing to give back", func(t *testing.T) {
		s.happens(t, created(9, 5))
		got, err := s.queries.Cancellation(t.Context(), 9)
		if err != nil || got.Orders != (views.CanceledOrders{}) || got.Tickets != (views.CanceledStock{}) || got.Refund != rupiah(0) {
			t.Errorf("got %+v %v", got, err)
		}
	})
	t.Run("a show that is not there is not found", func(t *testing.T) {
		_, err := s.queries.Cancellation(t.Context(), 99)
		if problem, ok := errors.AsType[*httpapi.Problem](err); !ok || problem.Status != http.StatusNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheListOfShowsTellsOperatorsOfRefunds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owed, failed := orderNumber(1), orderNumber(2)
	s.happens(t, created(7, 10), created(8, 10), created(9, 10))
	s.happens(t, inShow(8, placed(owed, 1)), completed(owed, 1), canceled(owed, domain.Completed, domain.ReasonShowCanceled),
		refunded(owed, 1, domain.RefundDue, price), inShow(8, placed(failed, 1)), completed(failed, 1),
		canceled(failed, domain.Completed, domain.ReasonShowCanceled), refunded(failed, 1, domain.RefundLost, price),
		domain.ShowCanceled{ShowID: 8, Totals: totals(10, 0, 0)}, domain.ShowCanceled{ShowID: 9, Totals: totals(10, 0, 0)})
	want := map[int64]*views.Refunds{7: nil, 8: {Due: 1, Failed: 1}, 9: {}}
	for _, show := range must[showPage](t, s.asOperator(t, "/shows")).Shows {
		if got := show.Refunds; (got == nil) != (want[show.ShowID] == nil) || got != nil && *got != *want[show.ShowID] {
			t.Errorf("show %d: %+v, want %+v", show.ShowID, got, want[show.ShowID])
		}
	}
	for _, show := range must[showPage](t, s.get(t, "/shows")).Shows {
		if show.Refunds != nil {
			t.Errorf("everybody sees %+v of show %d", show.Refunds, show.ShowID)
		}
	}
}

// fillOrders puts rows of refunded orders into a show, between rows of other shows.
const fillOrders = `INSERT INTO order_status (order_id, status, reason, show_id, lines, total, currency, placed_at, expires_at, version,
		customer_ref, placed_position, payment, refund_status, refund_amount, refunds, tickets, position)
	SELECT 'ORDER-20250205-' || lpad(to_hex(n), 8, '0'), 'CANCELED', 'SHOW_CANCELED', CASE WHEN n % 3 = 0 THEN 8 ELSE 9 END,
		'[{"ticketTypeId":1,"quantity":1,"unitPrice":150000}]', 150000, 'IDR', now(), now(), 6, md5(n::text) || md5(n::text), n,
		json_build_object('paymentId', 'PAY-20250205-' || n || '-1', 'attempt', 1, 'status', 'SETTLED', 'method', 'QRIS', 'qr', repeat(md5(n::text), 6)),
		CASE WHEN n % 1000 = 0 THEN 'FAILED' ELSE 'DONE' END, 150000,
		'[{"refundId":"REFUND-20250205-00000001-1-1","status":"DONE","amount":150000}]', '[]', n
	FROM generate_series(1, $1::bigint) AS n`

func TestRefundsAreCountedAsOftenAsItCosts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.db.ExecContext(t.Context(), fillOrders, 3_000); err != nil {
		t.Fatal(err)
	}
	want := views.Refunds{Done: 999, Failed: 1}
	q := s.queries
	for range 2 {
		if n, err := q.Refunds(t.Context(), 8); err != nil || n != want {
			t.Fatalf("counted %+v %v, want %+v", n, err, want)
		}
	}
	if _, err := s.db.ExecContext(t.Context(), `UPDATE order_status SET refund_status = 'DUE' WHERE order_id = (
		SELECT max(order_id) FROM order_status WHERE show_id = 8 AND refund_status = 'DONE')`); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		n, err := q.Refunds(t.Context(), 8)
		return err == nil && n == views.Refunds{Due: 1, Done: 998, Failed: 1}
	})
	t.Run("many may ask at once", func(t *testing.T) {
		var asking sync.WaitGroup
		for range 64 {
			asking.Go(func() {
				if n, err := q.refundsOf(t.Context(), []int64{7, 8, 9}); err != nil || n[8].Due != 1 || n[9].Done != 1998 || n[7] != (views.Refunds{}) {
					t.Errorf("counted %+v %v", n, err)
				}
			})
		}
		asking.Wait()
	})
}

func BenchmarkRefundsOfAShowWith50000Orders(b *testing.B) {
	w := newWorld(b)
	if _, err := w.db.ExecContext(b.Context(), fillOrders, 150_000); err != nil {
		b.Fatal(err)
	}
	q := NewQueries(QueryConfig{DB: w.db, Store: w.store})
	for name, count := range map[string]func() (views.Refunds, error){
		"counted": func() (views.Refunds, error) {
			n, err := q.countRefunds(b.Context(), []int64{8})
			return n[8], err
		},
		"asked": func() (views.Refunds, error) { return q.Refunds(b.Context(), 8) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := count(); err != nil || n.Done+n.Failed != 50_000 {
					b.Fatalf("%+v %v", n, err)
				}
			}
		})
	}
}
