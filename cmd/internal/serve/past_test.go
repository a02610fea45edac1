package serve_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// told is an order's history as it is answered.
type told struct {
	Why    string
	Events []struct {
		Position   int64
		Type, Text string
		Time       time.Time
		Actor      string
	}
}

// then is what is asked about one moment of the past.
type then struct {
	order, history, show, availability answer
}

func (c client) asOf(orderID, at string) then {
	query := "?at=" + url.QueryEscape(at)
	return then{
		c.asOperator("GET", "/orders/"+orderID+query, nil), c.asOperator("GET", "/orders/"+orderID+"/history"+query, nil),
		c.asOperator("GET", "/shows/1"+query, nil), c.asOperator("GET", "/shows/1/availability"+query, nil),
	}
}

func TestThePastIsTheSameFromWhicheverSideItIsLookedAt(t *testing.T) {
	t.Parallel()
	o, p := running(t, longHold)
	p.createShow(1, 10)
	id := p.mustPlace(wish{customer: "ana", quantity: 2, method: "CARD"})
	attempt := p.await(id, domain.Confirmed).Payment.PaymentID
	p.mustWebhook(attempt, "FAILED")
	if a := p.asOperator("POST", "/orders/"+id+"/payments", map[string]any{"method": "CARD"}, "Idempotency-Key", "a-second-attempt"); a.status != http.StatusCreated {
		t.Fatalf("a second attempt: %s", a)
	}
	other := p.mustPlace(wish{customer: "ben", quantity: 3})
	p.await(other, domain.Confirmed)
	p.mustWebhook(id, "SUCCESS")
	p.await(id, domain.Completed)
	if a := p.asOperator("POST", "/shows/1/pause", nil); a.status != http.StatusOK {
		t.Fatalf("pause: %s", a)
	}
	if a := p.asOperator("POST", "/orders/"+id+"/cancel", map[string]any{"reason": "asked by phone"}); a.status != http.StatusOK {
		t.Fatalf("cancel: %s", a)
	}
	eventually(t, "the money is back", func() string {
		var order views.Order
		if p.get("/orders/"+id, &order); order.Refund != nil && order.Refund.Status == domain.RefundDone {
			return ""
		}
		return fmt.Sprintf("%+v", order.Refund)
	})
	o.awaitRest()

	log, err := o.store.ReadAll(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var order domain.Order
	stages, paused := map[domain.OrderStatus]bool{}, false
	var moved time.Time // when the show's last event happened
	for i, e := range log {
		if e.Stream == domain.OrderStream(id) {
			evolve(t, &order, e)
			stages[order.Status] = true
		}
		paused = paused || e.Type == "SalesPaused"
		if e.Stream == domain.ShowStream(1) {
			moved = e.RecordedAt
		}
		was := p.asOf(id, fmt.Sprint(e.Position))
		checkShowThen(t, e, was, paused)
		if left := was.left(t); !left.AsOf.Equal(moved) {
			t.Errorf("after %d there was left %+v, the show's last event was at %s", e.Position, left, moved)
		}
		checkOrderThen(t, e, was, order.Status)
		if i+1 == len(log) || log[i+1].RecordedAt.After(e.RecordedAt) {
			byTime := p.asOf(id, e.RecordedAt.Format(time.RFC3339Nano))
			left, then := was.left(t), byTime.left(t)
			if !then.AsOf.Equal(e.RecordedAt) {
				t.Errorf("at the time of %d it is said to be %s", e.Position, then.AsOf)
			}
			if then.AsOf = left.AsOf; byTime.String() != was.String() || !reflect.DeepEqual(left, then) {
				t.Errorf("right after %d it was\n%s\n%+v\nat its time\n%s\n%+v", e.Position, was, left, byTime, then)
			}
		}
	}
	if len(stages) != 4 {
		t.Errorf("it went through %v", stages)
	}
	var all told
	if p.get("/orders/"+id+"/history", &all); !strings.Contains(all.Why, "by an operator at ") || !strings.Contains(all.Why, "(asked by phone)") ||
		!strings.Contains(all.Why, "300000 IDR, received at ") || !strings.Contains(all.Why, ", sent back at ") {
		t.Errorf("why: %s", all.Why)
	}
	if last := all.Events[len(all.Events)-1]; last.Actor != "system" {
		t.Errorf("the last event is %+v", last)
	}
	if a := p.asOperator("GET", fmt.Sprintf("/orders/%s?at=%d", id, o.head()+1), nil); a.status != http.StatusBadRequest {
		t.Errorf("beyond the head: %s", a)
	}
}

// left is what was answered that was left.
func (t then) left(test *testing.T) (left views.Availability) {
	test.Helper()
	if err := decode(t.availability, &left); err != nil {
		test.Error(err)
	}
	return left
}

// String is what was answered of the order and the show, without what is another one for every request.
func (t then) String() string {
	var lines []string
	for _, a := range []answer{t.order, t.history, t.show} {
		if a.status != http.StatusOK {
			a.body = nil
		}
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n")
}

func evolve(t *testing.T, order *domain.Order, e eventstore.Recorded) {
	t.Helper()
	ev, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
	if err != nil {
		t.Fatal(err)
	}
	order.Evolve(ev)
}

func checkShowThen(t *testing.T, e eventstore.Recorded, was then, paused bool) {
	t.Helper()
	var show views.Show
	var left views.Availability
	if err := decode(was.show, &show); err != nil {
		t.Errorf("show after %d: %v", e.Position, err)
		return
	}
	if err := decode(was.availability, &left); err != nil {
		t.Errorf("availability after %d: %v", e.Position, err)
		return
	}
	n := left.TicketTypes[0]
	if n.Capacity != 10 || n.Held+n.Sold+n.Available != 10 || n.Available < 0 || show.TicketTypes[0].Stock != n || show.Version != left.Version {
		t.Errorf("after %d there was left %+v, the show says %+v", e.Position, left, show)
	}
	if (show.Status == views.Paused) != paused {
		t.Errorf("after %d the show was %s", e.Position, show.Status)
	}
}

// checkOrderThen compares the order's answer with its history's, and both with the log.
func checkOrderThen(t *testing.T, e eventstore.Recorded, was then, status domain.OrderStatus) {
	t.Helper()
	if status == "" {
		if was.order.status != http.StatusNotFound || was.history.status != http.StatusNotFound {
			t.Errorf("after %d there was no order yet, but %d and %d", e.Position, was.order.status, was.history.status)
		}
		return
	}
	var order views.Order
	var history told
	if err := decode(was.order, &order); err != nil {
		t.Errorf("order after %d: %v", e.Position, err)
		return
	}
	if err := decode(was.history, &history); err != nil {
		t.Errorf("history after %d: %v", e.Position, err)
		return
	}
	if order.Status != status || !strings.HasPrefix(history.Why, strings.ToLower(string(status))+": ") {
		t.Errorf("after %d it was %s, %q, want %s", e.Position, order.Status, history.Why, status)
	}
	if last := history.Events[len(history.Events)-1]; last.Position > e.Position {
		t.Errorf("after %d %s at %d was known already", e.Position, last.Type, last.Position)
	}
}
