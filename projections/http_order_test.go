package projections

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/httpapi/httpapitest"
	"boxoffice/internal/views"
)

func TestWhoMayAskWhat(t *testing.T) {
	t.Parallel()
	httpapitest.CheckRoutes(t, NewQueries(QueryConfig{}).Routes(), map[string]httpapi.Who{
		"GET /orders":                         httpapi.AnyOperator(),
		"GET /orders/{id}":                    httpapi.Buyer,
		"GET /orders/{id}/history":            httpapi.Buyer,
		"GET /orders/{id}/events":             httpapi.Buyer,
		"GET /shows":                          httpapi.Anyone,
		"GET /shows/{id}":                     httpapi.Anyone,
		"GET /shows/{id}/availability":        httpapi.Anyone,
		"GET /shows/{id}/availability/events": httpapi.Anyone,
		"GET /open-items":                     httpapi.AnyOperator(),
	})
}

func TestAnOrderAsItIsSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := orderNumber(1)
	path, token := "/orders/"+id, s.secrets.OrderToken(id)
	contact := &eventstore.Contact{CustomerRef: "ref", CustomerID: "u1", Email: "u1@example.com", Name: "Una"}
	s.project(t, s.appendFor(t, contact, placed(id, 2))...)
	s.happens(t, confirmed(id))
	full := `{"orderId":"` + id + `","status":"CONFIRMED","showId":1,"lines":[{"ticketTypeId":1,"quantity":2,"unitPrice":150000}],
		"ticketTypeId":1,"quantity":2,"total":{"amount":300000,"currency":"IDR"},"placedAt":"2025-02-05T12:00:00Z",
		"expiresAt":"2025-02-05T12:15:00Z","version":2,"customer":{"id":"u1","email":"u1@example.com","name":"Una"},
		"payment":{"paymentId":"PAY-20250205-00000001-1","status":"INSTRUCTED","method":"QRIS","qr":"000201","expiresAt":"2025-02-05T12:14:00Z"}}`
	stranger := `{"orderId":"` + id + `","status":"CONFIRMED","version":2}`
	t.Run("its buyer sees all of it", func(t *testing.T) { wantJSON(t, s.get(t, path, "Order-Token", token), full) })
	t.Run("so does an operator", func(t *testing.T) { wantJSON(t, s.asOperator(t, path), full) })
	t.Run("a stranger sees its status", func(t *testing.T) { wantJSON(t, s.get(t, path), stranger) })
	t.Run("another order's token opens nothing", func(t *testing.T) {
		wantJSON(t, s.get(t, path, "Order-Token", s.secrets.OrderToken(orderNumber(2))), stranger)
	})
	t.Run("a wrong operator key is refused", func(t *testing.T) {
		wantStatus(t, s.get(t, path, "Authorization", "Bearer wrong"), http.StatusUnauthorized)
	})
	t.Run("unknown orders and what is no order id are not found", func(t *testing.T) {
		for _, other := range []string{orderNumber(9), "ORDER-1", "x", "PAY-20250205-00000001-1"} {
			wantStatus(t, s.get(t, "/orders/"+other), http.StatusNotFound, "not_found")
		}
	})
	t.Run("a completed order has tickets with codes", func(t *testing.T) {
		s.happens(t, completed(id, 2))
		order := must[views.Order](t, s.get(t, path, "Order-Token", token))
		want := []views.Ticket{
			{TicketID: "TICKET-20250205-00000001-1", TicketTypeID: 1, Code: s.secrets.TicketCode("TICKET-20250205-00000001-1")},
			{TicketID: "TICKET-20250205-00000001-2", TicketTypeID: 1, Code: s.secrets.TicketCode("TICKET-20250205-00000001-2")},
		}
		if !slices.Equal(order.Tickets, want) || order.Payment.Status != domain.Settled {
			t.Errorf("got %+v", order)
		}
	})
	t.Run("a canceled one has none, and shows its refund", func(t *testing.T) {
		s.happens(t, canceled(id, domain.Completed, domain.ReasonOperator), refunded(id, 1, domain.RefundDue, 300_000))
		order := must[views.Order](t, s.get(t, path, "Order-Token", token))
		if len(order.Tickets) != 0 || order.Reason != domain.ReasonOperator || *order.Refund != (views.Refund{Status: domain.RefundDue, Amount: 300_000}) {
			t.Errorf("got %+v", order)
		}
	})
	t.Run("a forgotten customer is not shown", func(t *testing.T) {
		if _, err := s.db.ExecContext(t.Context(), `UPDATE contacts SET customer_id = '', email = '', name = ''`); err != nil {
			t.Fatal(err)
		}
		if order := must[views.Order](t, s.asOperator(t, path)); order.Customer != nil {
			t.Errorf("shown as %+v", order.Customer)
		}
	})
}

func TestReadsThatWait(t *testing.T) {
	t.Parallel()
	t.Run("what is there is answered at once", func(t *testing.T) {
		t.Parallel()
		s, id := newSite(t), orderNumber(1)
		events := s.happens(t, placed(id, 1))
		for _, answer := range []*httptest.ResponseRecorder{
			s.get(t, "/orders/"+id+"?version=1"),
			s.get(t, "/orders/"+id, "Min-Position", strconv.FormatInt(events[0].Position, 10)),
		} {
			wantStatus(t, answer, http.StatusOK)
			if answer.Header().Get("Stale") != "" {
				t.Error("it is called stale")
			}
		}
	})
	t.Run("an order that others have moved the log past is fresh", func(t *testing.T) {
		t.Parallel()
		s, id := newSite(t), orderNumber(1)
		s.happens(t, placed(id, 1))
		later := s.append(t, placed(orderNumber(2), 1))
		answer := s.get(t, "/orders/"+id, "Min-Position", strconv.FormatInt(later[0].Position, 10))
		wantStatus(t, answer, http.StatusOK)
		if answer.Header().Get("Stale") != "" {
			t.Error("it is called stale")
		}
	})
	for name, ask := range map[string]func(*site, *testing.T, string, eventstore.Recorded) *httptest.ResponseRecorder{
		"by version": func(s *site, t *testing.T, id string, e eventstore.Recorded) *httptest.ResponseRecorder {
			return s.get(t, fmt.Sprintf("/orders/%s?version=%d", id, e.Version))
		},
		"by position": func(s *site, t *testing.T, id string, e eventstore.Recorded) *httptest.ResponseRecorder {
			return s.get(t, "/orders/"+id, "Min-Position", strconv.FormatInt(e.Position, 10))
		},
	} {
		t.Run("a read waits until the order is visible, "+name, func(t *testing.T) {
			t.Parallel()
			s, id := newSite(t), orderNumber(1)
			events := s.append(t, placed(id, 1), confirmed(id))
			answered := make(chan *httptest.ResponseRecorder, 1)
			go func() { answered <- ask(s, t, id, events[1]) }()
			eventually(t, func() bool { return len(s.queries.waiters) == 1 })
			s.project(t, events...)
			answer := <-answered
			wantJSON(t, answer, `{"orderId":"`+id+`","status":"CONFIRMED","version":2}`)
			if answer.Header().Get("Stale") != "" {
				t.Error("it is called stale")
			}
		})
	}
	t.Run("a read that waits in vain says so", func(t *testing.T) {
		t.Parallel()
		s, id := newSite(t), orderNumber(1)
		events := s.happens(t, placed(id, 1))
		begun := time.Now()
		answers := make(chan *httptest.ResponseRecorder, 3)
		go func() { answers <- s.get(t, "/orders/"+id+"?version=9") }()
		go func() {
			answers <- s.get(t, "/orders/"+id, "Min-Position", strconv.FormatInt(events[0].Position+1, 10))
		}()
		go func() { answers <- s.get(t, "/orders/"+orderNumber(2)+"?version=1") }()
		codes := map[int]int{}
		for range 3 {
			answer := <-answers
			codes[answer.Code]++
			if answer.Header().Get("Stale") != "true" {
				t.Errorf("%d without Stale", answer.Code)
			}
		}
		if took := time.Since(begun); took < maxWait || codes[http.StatusOK] != 2 || codes[http.StatusNotFound] != 1 {
			t.Errorf("after %s: %v", took, codes)
		}
	})
	t.Run("when too many wait, one more is answered at once", func(t *testing.T) {
		t.Parallel()
		s, id := newSite(t), orderNumber(1)
		s.happens(t, placed(id, 1))
		s.queries.waiters = make(chan struct{})
		if answer := s.get(t, "/orders/"+id+"?version=9"); answer.Code != http.StatusOK || answer.Header().Get("Stale") != "true" {
			t.Errorf("got %d %v", answer.Code, answer.Header())
		}
	})
}

func TestAnOrderThatTheReadModelDoesNotShowYet(t *testing.T) {
	t.Parallel()
	s, id, parkedID := newSite(t), orderNumber(1), orderNumber(2)
	path, token := "/orders/"+id, s.secrets.OrderToken(id)
	events := s.append(t, placed(id, 2))
	s.appendRaw(t, domain.OrderStream(parkedID), raw("OrderPlaced", 1, `{"orderId":7}`))
	t.Run("is not there for a stranger, at once", func(t *testing.T) {
		answer := s.get(t, path)
		wantStatus(t, answer, http.StatusNotFound)
		if answer.Header().Get("Stale") != "" {
			t.Error("it waited")
		}
	})
	t.Run("is not there for an operator either if the log does not have it, at once", func(t *testing.T) {
		answer := s.asOperator(t, "/orders/"+orderNumber(9))
		wantStatus(t, answer, http.StatusNotFound)
		if answer.Header().Get("Stale") != "" {
			t.Error("it waited")
		}
	})
	t.Run("is told from the log when its buyer and operators have waited in vain", func(t *testing.T) {
		answers := make(chan *httptest.ResponseRecorder, 2)
		begun := time.Now()
		go func() { answers <- s.get(t, path, "Order-Token", token) }()
		go func() { answers <- s.asOperator(t, path) }()
		for range 2 {
			answer := <-answers
			if order := must[views.Order](t, answer); order.Status != domain.Pending || order.Version != 1 || order.Quantity != 2 {
				t.Errorf("got %+v", order)
			}
			if took := time.Since(begun); answer.Header().Get("Stale") != "true" || took < maxWait {
				t.Errorf("Stale %q after %s", answer.Header().Get("Stale"), took)
			}
		}
	})
	t.Run("is not there if the log's event can't be read", func(t *testing.T) {
		wantStatus(t, s.asOperator(t, "/orders/"+parkedID), http.StatusNotFound)
	})
	t.Run("is waited for by its buyer", func(t *testing.T) {
		answered := make(chan *httptest.ResponseRecorder, 1)
		go func() { answered <- s.get(t, path, "Order-Token", token) }()
		eventually(t, func() bool { return len(s.queries.waiters) == 1 })
		s.project(t, events...)
		answer := <-answered
		if order := must[views.Order](t, answer); order.Version != 1 || answer.Header().Get("Stale") != "" {
			t.Errorf("got %+v, Stale %q", order, answer.Header().Get("Stale"))
		}
	})
}

func TestTheHistoryOfAnOrder(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	path, token := "/orders/"+id+"/history", s.secrets.OrderToken(id)
	s.append(t, placed(id, 2), domain.PaymentRequested{PaymentStep: paymentStep(id), Attempt: 1, Method: domain.QRIS, Amount: rupiah(300_000)})
	s.append(t, placed(orderNumber(2), 1), confirmed(id))
	s.append(t, domain.PaymentSettled{PaymentStep: paymentStep(id), Amount: rupiah(300_000), Reference: "m-1"}, completed(id, 2))
	answer := must[history](t, s.get(t, path, "Order-Token", token))
	var got []string
	last := int64(0)
	for _, e := range answer.Events {
		got = append(got, e.Type+": "+e.Text)
		if e.Position <= last || len(e.Data) == 0 || e.Time.IsZero() || e.Version == 0 || e.Stream == "" {
			t.Errorf("event %+v after %d", e, last)
		}
		last = e.Position
	}
	want := []string{
		"OrderPlaced: Order placed: 2 tickets for 300000 IDR, held until 2025-02-05 12:15:00 UTC",
		"PaymentRequested: 300000 IDR asked for by QRIS, attempt 1",
		"OrderConfirmed: Waiting for payment PAY-20250205-00000001-1 by QRIS, until 2025-02-05 12:14:00 UTC",
		"PaymentSettled: 300000 IDR received, reference m-1",
		"OrderCompleted: Order completed: 2 tickets issued",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wantStatus(t, s.asOperator(t, path), http.StatusOK)
	for _, headers := range [][]string{nil, {"Order-Token", "x"}, {"Order-Token", s.secrets.OrderToken(orderNumber(2))}} {
		wantStatus(t, s.get(t, path, headers...), http.StatusUnauthorized)
	}
	wantStatus(t, s.asOperator(t, "/orders/"+orderNumber(3)+"/history"), http.StatusNotFound)
	wantStatus(t, s.asOperator(t, path+"?limit=3"), http.StatusBadRequest, "limit")
}
