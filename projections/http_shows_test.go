package projections

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

func TestShowsAsTheyAreSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	show := created(7, 10)
	show.StartsAt = time.Date(2090, 1, 2, 13, 0, 0, 0, time.UTC)
	show.TicketTypes[0].MaxPerCustomer = 6
	show.TicketTypes[0].SalesFrom = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	s.happens(t, show, held(7, totals(10, 3, 0)))
	s.happens(t, created(8, 5))
	wantJSON(t, s.get(t, "/shows/7"), `{"showId":7,"name":"First night","venue":"Hall 1","startsAt":"2090-01-02T20:00:00+07:00",
		"timeZone":"Asia/Jakarta","currency":"IDR","paymentMethods":["QRIS","CARD"],"status":"on_sale","version":2,
		"ticketTypes":[{"ticketTypeId":1,"name":"Standard","price":150000,"capacity":10,"held":3,"sold":0,"available":7,
		"maxPerOrder":10,"maxPerCustomer":6,"salesFrom":"2025-01-01T07:00:00+07:00"}]}`)
	t.Run("the list has them by id", func(t *testing.T) {
		var ids []int64
		for _, show := range must[showPage](t, s.get(t, "/shows")).Shows {
			ids = append(ids, show.ShowID)
		}
		if !slices.Equal(ids, []int64{7, 8}) {
			t.Errorf("got %v", ids)
		}
	})
	t.Run("those that are on come with the next one first", func(t *testing.T) {
		begun := created(9, 5)
		begun.StartsAt = noon
		s.happens(t, begun, created(10, 5), domain.ShowCanceled{ShowID: 10, Totals: totals(5, 0, 0)})
		for limit, want := range map[int][]int64{1: {8}, 9: {8, 7}} {
			on, err := s.queries.ShowsOn(t.Context(), limit)
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for _, show := range on {
				ids = append(ids, show.ShowID)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("got %v, want %v", ids, want)
			}
		}
	})
	t.Run("operators see the refunds of a canceled show", func(t *testing.T) {
		one, two := orderNumber(1), orderNumber(2)
		order := placed(one, 1)
		order.ShowID = 8
		other := placed(two, 1)
		other.ShowID = 8
		s.happens(t, order, completed(one, 1), other, completed(two, 1), canceled(two, domain.Completed, domain.ReasonShowCanceled),
			refunded(two, 1, domain.RefundDone, price), domain.ShowCanceled{ShowID: 8, Totals: totals(5, 0, 1)})
		if got := must[views.Show](t, s.asOperator(t, "/shows/8")); got.Status != views.Canceled || *got.Refunds != (views.Refunds{Due: 1, Done: 1}) {
			t.Errorf("got %+v %+v", got, got.Refunds)
		}
		if got := must[views.Show](t, s.get(t, "/shows/8")); got.Refunds != nil {
			t.Errorf("everybody sees %+v", got.Refunds)
		}
	})
}

func TestAvailabilityOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	path := "/shows/7/availability"
	s.happens(t, created(7, 10))
	second := s.happens(t, held(7, totals(10, 2, 0)))[0].RecordedAt
	live := `{"showId":7,"version":2,"asOf":"` + second.Format(time.RFC3339Nano) + `","ticketTypes":[
		{"ticketTypeId":1,"name":"Standard","price":150000,"capacity":10,"held":2,"sold":0,"available":8}]}`
	first := s.get(t, path)
	wantJSON(t, first, live)
	t.Run("what is unchanged is not sent again", func(t *testing.T) {
		tag := first.Header().Get("ETag")
		if tag != `"2"` {
			t.Errorf("ETag %s", tag)
		}
		if answer := s.get(t, path, "If-None-Match", tag); answer.Code != http.StatusNotModified || answer.Body.Len() != 0 {
			t.Errorf("got %d %s", answer.Code, answer.Body)
		}
		s.happens(t, sold(7, totals(10, 0, 2)))
		answer := s.get(t, path, "If-None-Match", tag)
		if got := must[views.Availability](t, answer); got.TicketTypes[0].Sold != 2 || answer.Header().Get("ETag") != `"3"` {
			t.Errorf("got %+v, ETag %s", got, answer.Header().Get("ETag"))
		}
	})
}
