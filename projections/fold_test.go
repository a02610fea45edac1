package projections

import (
	"reflect"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

func TestOrderFold(t *testing.T) {
	t.Parallel()
	id := orderNumber(1)
	again := completed(id, 2)
	again.Late, again.Payment = true, payment(id, 1, domain.Settled)
	second := domain.OrderPaymentChanged{OrderStep: step(id, domain.Confirmed, domain.Confirmed), Payment: payment(id, 2, domain.Requested)}
	oldFails := domain.OrderPaymentChanged{OrderStep: step(id, domain.Confirmed, domain.Confirmed), Payment: payment(id, 1, domain.Failed)}
	type want struct {
		status  domain.OrderStatus
		reason  domain.CancelReason
		payment string // attempt and status
		refund  views.Refund
		tickets int
	}
	for name, c := range map[string]struct {
		given []domain.Event
		want  want
	}{
		"a placed order waits for its payment": {
			[]domain.Event{placed(id, 2)}, want{domain.Pending, "", "1 REQUESTED", views.Refund{}, 0},
		},
		"a confirmed order shows how to pay": {
			[]domain.Event{placed(id, 2), confirmed(id)}, want{domain.Confirmed, "", "1 INSTRUCTED", views.Refund{}, 0},
		},
		"a second attempt takes the place of the first": {
			[]domain.Event{placed(id, 2), confirmed(id), second}, want{domain.Confirmed, "", "2 REQUESTED", views.Refund{}, 0},
		},
		"what becomes of an older attempt is not shown": {
			[]domain.Event{placed(id, 2), confirmed(id), second, oldFails}, want{domain.Confirmed, "", "2 REQUESTED", views.Refund{}, 0},
		},
		"a completed order has its tickets": {
			[]domain.Event{placed(id, 2), confirmed(id), completed(id, 2)}, want{domain.Completed, "", "1 SETTLED", views.Refund{}, 2},
		},
		"money for the first attempt shows the first again": {
			[]domain.Event{placed(id, 2), confirmed(id), second, completed(id, 2)}, want{domain.Completed, "", "1 SETTLED", views.Refund{}, 2},
		},
		"an expired order says why": {
			[]domain.Event{placed(id, 2), canceled(id, domain.Pending, domain.ReasonHoldExpired)},
			want{domain.Canceled, domain.ReasonHoldExpired, "1 EXPIRED", views.Refund{}, 0},
		},
		"an order that is paid late has no reason left": {
			[]domain.Event{placed(id, 2), canceled(id, domain.Pending, domain.ReasonHoldExpired), again},
			want{domain.Completed, "", "1 SETTLED", views.Refund{}, 2},
		},
		"a canceled order that was paid has no tickets and its money is due": {
			[]domain.Event{placed(id, 2), confirmed(id), completed(id, 2), canceled(id, domain.Completed, domain.ReasonOperator), refunded(id, 1, domain.RefundDue, 300)},
			want{domain.Canceled, domain.ReasonOperator, "1 EXPIRED", views.Refund{Status: domain.RefundDue, Amount: 300}, 0},
		},
		"a refund that is done is not counted twice": {
			[]domain.Event{placed(id, 2), refunded(id, 1, domain.RefundDue, 300), refunded(id, 1, domain.RefundDone, 300)},
			want{domain.Canceled, "", "1 REQUESTED", views.Refund{Status: domain.RefundDone, Amount: 300}, 0},
		},
		"of several refunds the one that failed is shown, and the sum": {
			[]domain.Event{placed(id, 2), refunded(id, 1, domain.RefundLost, 300), refunded(id, 2, domain.RefundDone, 200)},
			want{domain.Canceled, "", "1 REQUESTED", views.Refund{Status: domain.RefundLost, Amount: 500}, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, err := foldRow(OrderStatus(), id, streamWith(t, domain.OrderStream(id), c.given...))
			if err != nil {
				t.Fatal(err)
			}
			f := facts(t, row)
			p := f.Payment
			got := want{f.Status, f.Reason, string('0'+rune(p.Attempt)) + " " + string(p.Status), f.Refund, len(f.Tickets)}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if f.Version != int64(len(c.given)) || row.State.PlacedPosition != 1 || f.Total != rupiah(2*price) {
				t.Errorf("version %d, placed at %d, total %v", f.Version, row.State.PlacedPosition, f.Total)
			}
		})
	}
}

func TestShowFold(t *testing.T) {
	t.Parallel()
	fresh := func() []domain.Event { return []domain.Event{created(7, 10)} }
	dearer := ticketType(1, 20)
	dearer.Price = 2 * price
	for name, c := range map[string]struct {
		when    []domain.Event
		totals  []domain.Totals
		defined int64
		check   func(ShowState) bool
	}{
		"a new show has all to sell":      {nil, totals(10, 0, 0), 1, func(s ShowState) bool { return s.Name == "First night" }},
		"held tickets are out of sale":    {[]domain.Event{held(7, totals(10, 3, 0))}, totals(10, 3, 0), 1, nil},
		"sold tickets are held no longer": {[]domain.Event{held(7, totals(10, 3, 0)), sold(7, totals(10, 0, 3))}, totals(10, 0, 3), 1, nil},
		"a changed ticket type": {
			[]domain.Event{held(7, totals(10, 3, 0)), domain.TicketTypeChanged{ShowID: 7, TicketType: dearer, Totals: totals(20, 3, 0)}},
			totals(20, 3, 0), 3, func(s ShowState) bool { return s.TicketTypes[0].Price == 2*price },
		},
		"one more ticket type": {
			[]domain.Event{domain.TicketTypeAdded{ShowID: 7, TicketType: ticketType(2, 5), Totals: append(totals(10, 0, 0), domain.Totals{TicketTypeID: 2, Capacity: 5})}},
			append(totals(10, 0, 0), domain.Totals{TicketTypeID: 2, Capacity: 5}), 2, func(s ShowState) bool { return len(s.TicketTypes) == 2 },
		},
		"a show that was moved": {
			[]domain.Event{domain.ShowChanged{ShowID: 7, Name: "Second night", Venue: "Hall 2", StartsAt: noon, Totals: totals(10, 0, 0)}},
			totals(10, 0, 0), 1, func(s ShowState) bool {
				return s.Name == "Second night" && s.Venue == "Hall 2" && s.StartsAt.Equal(noon)
			},
		},
		"a paused show": {
			[]domain.Event{domain.SalesPaused{ShowID: 7, Totals: totals(10, 0, 0)}}, totals(10, 0, 0), 1, func(s ShowState) bool { return s.Paused },
		},
		"a show that goes on": {
			[]domain.Event{domain.SalesPaused{ShowID: 7}, domain.SalesResumed{ShowID: 7, Totals: totals(10, 0, 0)}},
			totals(10, 0, 0), 1, func(s ShowState) bool { return !s.Paused },
		},
		"a canceled show": {
			[]domain.Event{domain.ShowCanceled{ShowID: 7, Totals: totals(10, 0, 0)}}, totals(10, 0, 0), 1, func(s ShowState) bool { return s.Canceled },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := append(fresh(), c.when...)
			row, err := foldRow(Availability(), "7", streamWith(t, domain.ShowStream(7), events...))
			if err != nil {
				t.Fatal(err)
			}
			if s := row.State; !reflect.DeepEqual(s.Totals, c.totals) || s.Defined != c.defined || row.Version != int64(len(events)) {
				t.Errorf("got %+v, defined at %d, version %d", s.Totals, s.Defined, row.Version)
			}
			if c.check != nil && !c.check(row.State) {
				t.Errorf("got %+v", row.State)
			}
		})
	}
}

func TestMovementsAreReadTheSameWayInBothForms(t *testing.T) {
	t.Parallel()
	after := totals(10, 3, 2)
	for _, ev := range []domain.Event{
		held(7, after), sold(7, after),
		domain.HoldsReleased{Movement: movement(7, after)},
		domain.HoldsExpired{Movement: movement(7, after)},
		domain.HoldReacquired{Movement: movement(7, after)},
		domain.TicketsReturned{Movement: movement(7, after)},
	} {
		got, err := decodeShow(stored(t, domain.ShowStream(7), 1, ev))
		if err != nil || !reflect.DeepEqual(got, moved{after}) {
			t.Errorf("%s is read as %+v, %v", ev.EventType(), got, err)
		}
	}
}

func TestOpenItemFold(t *testing.T) {
	t.Parallel()
	id := orderNumber(1)
	stream := domain.PaymentStream(domain.PaymentID(id, 1))
	mismatch := domain.PaymentMismatched{
		PaymentStep: paymentStep(id), Mismatch: domain.WrongAmount, Expected: rupiah(300), Received: rupiah(299), ReceivedAt: noon,
	}
	item := stream + ":4"
	opened := stored(t, stream, 4, mismatch)
	resolved := stored(t, stream, 9, domain.OpenItemResolved{Item: item, Reason: "paid back", ResolvedAt: noon.Add(time.Hour)})
	t.Run("an item opens at the event that tells of it", func(t *testing.T) {
		t.Parallel()
		key, ok, err := OpenItems().Key(opened)
		if err != nil || !ok || key != item {
			t.Fatalf("key %q, %t, %v", key, ok, err)
		}
		row, err := foldRow(OpenItems(), item, []eventstore.Recorded{opened})
		if err != nil || row.State.Kind != views.PaymentMismatched || row.State.Amount != 299 || row.State.Detail != "299 IDR came where 300 IDR was asked for" {
			t.Errorf("got %+v, %v", row.State, err)
		}
	})
	t.Run("a resolution closes it, whatever came between", func(t *testing.T) {
		t.Parallel()
		key, ok, err := OpenItems().Key(resolved)
		if err != nil || !ok || key != item {
			t.Fatalf("key %q, %t, %v", key, ok, err)
		}
		row, err := foldRow(OpenItems(), item, []eventstore.Recorded{opened, resolved, opened})
		if err != nil || !row.State.Resolved || row.State.Reason != "paid back" || row.State.Opened != 4 {
			t.Errorf("got %+v, %v", row.State, err)
		}
	})
	t.Run("what was never open can't be resolved", func(t *testing.T) {
		t.Parallel()
		if _, err := foldRow(OpenItems(), item, []eventstore.Recorded{resolved}); err == nil {
			t.Error("it was")
		}
	})
	t.Run("most events of a payment open nothing", func(t *testing.T) {
		t.Parallel()
		if _, ok, err := OpenItems().Key(stored(t, stream, 1, domain.PaymentSettled{PaymentStep: paymentStep(id)})); ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	})
}

// streamWith is a stream of these events.
func streamWith(t *testing.T, stream string, events ...domain.Event) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for i, ev := range events {
		all = append(all, stored(t, stream, int64(i)+1, ev))
	}
	return all
}
