package projections

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// atTime is a path as of a time.
func atTime(path string, moment time.Time) string {
	return path + "?at=" + url.QueryEscape(moment.Format(time.RFC3339Nano))
}

// atEvent is a path right after an event.
func atEvent(path string, e eventstore.Recorded) string {
	return fmt.Sprintf("%s?at=%d", path, e.Position)
}

func TestWhatNoMomentOfThePastCanBe(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	s.happens(t, created(7, 10), placed(id, 1))
	for _, path := range []string{"/orders/" + id, "/orders/" + id + "/history", "/shows/7", "/shows/7/availability"} {
		for _, c := range []struct{ at, why string }{
			{"3", "is beyond the head of the log"},
			{"9223372036854775807", "is beyond the head of the log"},
			{"9223372036854775808", "is beyond the head of the log"},
			{strings.Repeat("9", 100), "is beyond the head of the log"},
			{"", "must be a time like"},
			{"0", "must be a time like"},
			{"-1", "must be a time like"},
			{"%2B1", "must be a time like"},
			{"01", "must be a time like"},
			{"1.5", "must be a time like"},
			{"1e3", "must be a time like"},
			{"x", "must be a time like"},
			{"2025-02-03", "must be a time like"},
			{"1,2025-02-03T12:00:00Z", "must be a time like"},
			{"2025-02-03T12:00:00+07:00", "written %2B"},
			{url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339)), "must not be in the future"},
			{"9999-12-31T23:59:59Z", "must not be in the future"},
			{"1&at=2", "is there twice"},
			{"1&at=2025-02-03T12:00:00Z", "is there twice"},
		} {
			answer := s.asOperator(t, path+"?at="+c.at)
			wantStatus(t, answer, http.StatusBadRequest, `"parameter":"at"`, c.why)
		}
		for _, at := range []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1969-07-20T20:17:40.5Z"} {
			wantStatus(t, s.asOperator(t, path+"?at="+at), http.StatusNotFound)
		}
	}
	wantStatus(t, s.asOperator(t, "/orders/"+id+"?at=1&version=1"), http.StatusBadRequest, `"parameter":"version"`)
	wantStatus(t, s.get(t, "/shows/7?version=1"), http.StatusBadRequest, `"parameter":"version"`)
	wantStatus(t, s.get(t, "/shows?at=1"), http.StatusBadRequest, `"parameter":"at"`)
	for path, code := range map[string]int{"/shows/x?at=1": 404, "/shows/8?at=1": 404, "/shows/8/availability?at=1": 404, "/orders/x?at=1": 404} {
		wantStatus(t, s.get(t, path), code)
	}
}

func TestAnOrderAsItWas(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	path, token := "/orders/"+id, s.secrets.OrderToken(id)
	before := s.happens(t, created(7, 10))
	contact := &eventstore.Contact{CustomerRef: "ref", CustomerID: "u1"}
	one := s.appendFor(t, contact, placed(id, 1))
	s.project(t, one...)
	two := s.happens(t, confirmed(id))
	three := s.happens(t, completed(id, 1))
	ask := func(path string) *httptest.ResponseRecorder { return s.get(t, path, "Order-Token", token) }
	t.Run("before it was placed it is not found", func(t *testing.T) {
		wantStatus(t, ask(atTime(path, one[0].RecordedAt.Add(-time.Millisecond))), http.StatusNotFound)
		wantStatus(t, ask(atEvent(path, before[0])), http.StatusNotFound)
		wantStatus(t, ask(atEvent(path+"/history", before[0])), http.StatusNotFound)
	})
	for name, c := range map[string]struct {
		path   string
		status domain.OrderStatus
	}{
		"when it was placed":                             {atTime(path, one[0].RecordedAt), domain.Pending},
		"right after it was placed":                      {atEvent(path, one[0]), domain.Pending},
		"just before the next event":                     {atTime(path, two[0].RecordedAt.Add(-time.Microsecond)), domain.Pending},
		"so little before that the log can't tell apart": {atTime(path, two[0].RecordedAt.Add(-time.Nanosecond)), domain.Pending},
		"when it was confirmed":                          {atTime(path, two[0].RecordedAt), domain.Confirmed},
		"right after it was confirmed":                   {atEvent(path, two[0]), domain.Confirmed},
		"in another time zone":                           {atTime(path, two[0].RecordedAt.In(time.FixedZone("", 7*3600))), domain.Confirmed},
		"right after it was completed":                   {atEvent(path, three[0]), domain.Completed},
		"now":                                            {atTime(path, s.store.Now()), domain.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(c.path)
			order := must[views.Order](t, answer)
			if order.Status != c.status || (len(order.Tickets) == 1) != (c.status == domain.Completed) || order.Customer.ID != "u1" {
				t.Errorf("it was %+v", order)
			}
			if cache := answer.Header().Get("Cache-Control"); cache != "no-store" {
				t.Errorf("a person's order may be kept: %s", cache)
			}
		})
	}
	t.Run("a stranger sees its status only", func(t *testing.T) {
		stranger := `{"orderId":"` + id + `","status":"PENDING","version":1}`
		wantJSON(t, s.get(t, atTime(path, one[0].RecordedAt)), stranger)
		wantJSON(t, s.get(t, atEvent(path, one[0]), "Order-Token", s.secrets.OrderToken(orderNumber(2))), stranger)
		wantStatus(t, s.get(t, atEvent(path+"/history", one[0])), http.StatusUnauthorized)
	})
	t.Run("an event that can't be read ends what is known", func(t *testing.T) {
		e := s.appendRaw(t, domain.OrderStream(id), raw("OrderDanced", 1, `{}`))
		if order := must[views.Order](t, ask(atEvent(path, e[0]))); order.Version != 3 || order.Status != domain.Completed {
			t.Errorf("it was %+v", order)
		}
	})
	t.Run("neither the read model nor a forgotten customer comes back", func(t *testing.T) {
		for _, statement := range []string{`UPDATE contacts SET customer_id = '', email = '', name = ''`, `TRUNCATE order_status`} {
			if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if order := must[views.Order](t, ask(atEvent(path, two[0]))); order.Status != domain.Confirmed || order.Customer != nil || order.Total != rupiah(price) {
			t.Errorf("it was %+v", order)
		}
	})
}

func TestTheHistoryOfAnOrderAsItWasKnown(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	path, token := "/orders/"+id+"/history", s.secrets.OrderToken(id)
	first := paymentStep(id)
	first.Previous, first.Status = "", domain.Requested
	s.append(t, placed(id, 2), domain.PaymentRequested{PaymentStep: first, Attempt: 1, Method: domain.QRIS, Amount: rupiah(300_000)})
	then := s.append(t, confirmed(id))
	s.append(t, domain.PaymentSettled{PaymentStep: paymentStep(id), Amount: rupiah(300_000), Reference: "m-1"}, completed(id, 2))
	for _, at := range []string{atEvent(path, then[0]), atTime(path, then[0].RecordedAt), atTime(path, then[0].RecordedAt.Add(time.Microsecond))} {
		known := must[history](t, s.get(t, at, "Order-Token", token))
		if len(known.Events) != 3 || known.Events[2].Position != then[0].Position || !strings.HasPrefix(known.Why, "confirmed: the gateway is asked how to pay 300000 IDR by QRIS, ") {
			t.Errorf("%s: it was %d events, %q", at, len(known.Events), known.Why)
		}
	}
	now := must[history](t, s.get(t, path, "Order-Token", token))
	if len(now.Events) != 5 || !strings.HasPrefix(now.Why, "completed: ") {
		t.Errorf("it is %d events, %q", len(now.Events), now.Why)
	}
}

func TestOnlyOperatorsSeeWhoDidIt(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	path, token := "/orders/"+id+"/history", s.secrets.OrderToken(id)
	s.append(t, placed(id, 1))
	e := stored(t, domain.OrderStream(id), 2, canceled(id, domain.Pending, domain.ReasonOperator)).Event
	e.Metadata = []byte(`{"batch":"b","actor":"operator:ann","causation":"x:1"}`)
	if _, err := s.store.Append(t.Context(), eventstore.Batch{Head: s.head, Time: s.now, Events: []eventstore.Event{e}}); err != nil {
		t.Fatal(err)
	}
	if seen := must[history](t, s.asOperator(t, path)).Events[1]; seen.Actor != "operator:ann" || seen.Causation != "x:1" {
		t.Errorf("an operator sees %+v", seen)
	}
	answer := s.get(t, path, "Order-Token", token)
	wantStatus(t, answer, http.StatusOK)
	if body := answer.Body.String(); strings.Contains(body, "ann") || strings.Contains(body, "actor") || strings.Contains(body, "causation") {
		t.Errorf("its buyer sees %s", body)
	}
}

// pastShow is what is asked about a moment of a show, and what was so.
type pastShow struct {
	name       string
	e          eventstore.Recorded
	held, sold int64
	price      int64
	title      string
	status     views.ShowStatus
}

func TestAShowAsItWas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	show := created(7, 10)
	show.StartsAt = s.now.Add(10 * time.Second) // it has begun long ago, but not in the past that is asked about
	dearer := ticketType(1, 10)
	dearer.Price, dearer.MaxPerCustomer, dearer.SalesTo = 2*price, 4, s.now.Add(8*time.Second)
	moved := domain.ShowChanged{ShowID: 7, Name: "Last night", Venue: "Hall 2", StartsAt: show.StartsAt, Totals: totals(10, 0, 2)}
	var log []eventstore.Recorded
	for _, ev := range []domain.Event{
		show, held(7, totals(10, 2, 0)),
		domain.SalesPaused{ShowID: 7, Totals: totals(10, 2, 0)},
		sold(7, totals(10, 0, 2)),
		domain.SalesResumed{ShowID: 7, Totals: totals(10, 0, 2)},
		domain.TicketTypeChanged{ShowID: 7, TicketType: dearer, Totals: totals(10, 0, 2)},
		moved, held(7, totals(10, 8, 2)),
		domain.ShowCanceled{ShowID: 7, Totals: totals(10, 8, 2)},
	} {
		log = append(log, s.append(t, ev)...)
	}
	all := []pastShow{
		{"created", log[0], 0, 0, price, "First night", views.OnSale},
		{"held", log[1], 2, 0, price, "First night", views.OnSale},
		{"paused", log[2], 2, 0, price, "First night", views.Paused},
		{"sold", log[3], 0, 2, price, "First night", views.Paused},
		{"resumed", log[4], 0, 2, price, "First night", views.OnSale},
		{"dearer", log[5], 0, 2, 2 * price, "First night", views.OnSale},
		{"renamed", log[6], 0, 2, 2 * price, "Last night", views.OnSale},
		{"when no ticket type was sold any more", log[7], 8, 2, 2 * price, "Last night", views.Ended},
		{"canceled", log[8], 8, 2, 2 * price, "Last night", views.Canceled},
	}
	// Whatever the read model has: nothing, the beginning, nearly all, all, and nothing again.
	s.checkPast(t, all)
	for _, events := range [][]eventstore.Recorded{log[:1], log[1:3], log[3:8], log[8:]} {
		s.project(t, events...)
		s.checkPast(t, all)
	}
	if _, err := s.db.ExecContext(t.Context(), `TRUNCATE availability, shows, ticket_types`); err != nil {
		t.Fatal(err)
	}
	s.checkPast(t, all)
	t.Run("limits and windows come with it, what became of the money does not", func(t *testing.T) {
		was := must[views.Show](t, s.asOperator(t, atEvent("/shows/7", log[8])))
		if kind := was.TicketTypes[0]; kind.MaxPerCustomer != 4 || !kind.SalesTo.Equal(dearer.SalesTo) || was.Refunds != nil || was.Venue != "Hall 2" {
			t.Errorf("it was %+v", was)
		}
		if kind := must[views.Show](t, s.get(t, atEvent("/shows/7", log[4]))).TicketTypes[0]; kind.MaxPerCustomer != 0 || !kind.SalesTo.IsZero() {
			t.Errorf("it was %+v", kind)
		}
	})
	t.Run("when something else happened is not told by its position", func(t *testing.T) {
		other := s.append(t, created(8, 10))[0]
		for at, want := range map[string]time.Time{
			atEvent("/shows/7/availability", other):           log[8].RecordedAt,
			atTime("/shows/7/availability", other.RecordedAt): other.RecordedAt,
		} {
			if left := must[views.Availability](t, s.get(t, at)); !left.AsOf.Equal(want) || left.Version != log[8].Version {
				t.Errorf("%s: it was %+v, want as of %s", at, left, want)
			}
		}
	})
	t.Run("before it was created it is not found", func(t *testing.T) {
		for _, path := range []string{"/shows/7", "/shows/7/availability"} {
			wantStatus(t, s.get(t, atTime(path, log[0].RecordedAt.Add(-time.Microsecond))), http.StatusNotFound)
		}
	})
	t.Run("an event that only a newer program knows has the totals too", func(t *testing.T) {
		e := s.appendRaw(t, "show-7", raw("ShowDanced", 1, `{"showId":7,"totals":[{"ticketTypeId":1,"capacity":10,"held":1,"sold":2}]}`))
		s.checkPast(t, []pastShow{{"danced", e[0], 1, 2, 2 * price, "Last night", views.Canceled}})
	})
}

// checkPast asks for a show and what is left of it at moments, by position and by time.
func (s *site) checkPast(t *testing.T, all []pastShow) {
	t.Helper()
	for _, c := range all {
		for _, at := range []func(string) string{
			func(path string) string { return atEvent(path, c.e) }, func(path string) string { return atTime(path, c.e.RecordedAt) },
		} {
			answer := s.get(t, at("/shows/7"))
			was := must[views.Show](t, answer)
			left := must[views.Availability](t, s.get(t, at("/shows/7/availability")))
			kind := was.TicketTypes[0]
			if kind.Held != c.held || kind.Sold != c.sold || kind.Price != c.price || kind.Capacity != kind.Held+kind.Sold+kind.Available ||
				was.Name != c.title || was.Status != c.status || was.Version != c.e.Version {
				t.Errorf("%s: it was %+v", c.name, was)
			}
			if !slices.Equal(left.TicketTypes, []views.Stock{kind.Stock}) || !left.AsOf.Equal(c.e.RecordedAt) || left.Version != c.e.Version {
				t.Errorf("%s: left was %+v, the show says %+v", c.name, left, kind.Stock)
			}
			wantStatus(t, s.get(t, at("/shows/7/availability"), "If-None-Match", fmt.Sprintf(`"%d"`, c.e.Version)), http.StatusNotModified)
		}
	}
}

func TestWhatMayBeKeptOfThePast(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	log := append(s.happens(t, created(7, 10)), s.happens(t, held(7, totals(10, 2, 0)))...)
	for _, path := range []string{"/shows/7", "/shows/7/availability"} {
		for at, settled := range map[string]bool{
			atEvent(path, log[0]):           true,
			atEvent(path, log[1]):           true, // no event comes between the last and its position
			atTime(path, log[0].RecordedAt): true,
			atTime(path, log[1].RecordedAt): false, // an event of that time may still come
			atTime(path, s.store.Now()):     false,
			path:                            false,
		} {
			answer := s.get(t, at)
			if kept := strings.Contains(answer.Header().Get("Cache-Control"), "immutable"); answer.Code != http.StatusOK || kept != settled {
				t.Errorf("%s: %d %s", at, answer.Code, answer.Header().Get("Cache-Control"))
			}
		}
	}
}
