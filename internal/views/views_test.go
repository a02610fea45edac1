package views

import (
	"encoding/json"
	"testing"
	"time"

	"boxoffice/domain"
)

var noon = time.Date(2025, 2, 5, 12, 0, 0, 0, time.UTC)

func TestTheStatusOfAShow(t *testing.T) {
	t.Parallel()
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	open := domain.TicketType{TicketTypeID: 1, Capacity: 10}
	later := domain.TicketType{TicketTypeID: 2, Capacity: 10, SalesFrom: hour(1)}
	over := domain.TicketType{TicketTypeID: 3, Capacity: 10, SalesTo: hour(-1)}
	closes := domain.TicketType{TicketTypeID: 4, Capacity: 10, SalesFrom: hour(-1), SalesTo: noon}
	totals := func(id, held, sold int64) domain.Totals {
		return domain.Totals{TicketTypeID: id, Capacity: 10, Held: held, Sold: sold}
	}
	for name, c := range map[string]struct {
		facts ShowFacts
		want  ShowStatus
	}{
		"one type is open":                      {ShowFacts{TicketTypes: []domain.TicketType{open, later, over}}, OnSale},
		"all is held, so some may come back":    {ShowFacts{TicketTypes: []domain.TicketType{open}, Totals: []domain.Totals{totals(1, 1, 9)}}, OnSale},
		"all is sold":                           {ShowFacts{TicketTypes: []domain.TicketType{open}, Totals: []domain.Totals{totals(1, 0, 10)}}, SoldOut},
		"all that can still be sold is":         {ShowFacts{TicketTypes: []domain.TicketType{open, over}, Totals: []domain.Totals{totals(1, 0, 10)}}, SoldOut},
		"all is sold, and it is paused too":     {ShowFacts{Paused: true, TicketTypes: []domain.TicketType{open}, Totals: []domain.Totals{totals(1, 0, 10)}}, SoldOut},
		"one type is sold, another opens later": {ShowFacts{TicketTypes: []domain.TicketType{open, later}, Totals: []domain.Totals{totals(1, 0, 10)}}, OnSale},
		"nothing is open yet":                   {ShowFacts{TicketTypes: []domain.TicketType{later, over}}, Upcoming},
		"a pause":                               {ShowFacts{Paused: true, TicketTypes: []domain.TicketType{open}}, Paused},
		"all windows are over":                  {ShowFacts{TicketTypes: []domain.TicketType{over}}, Ended},
		"a window ends at its last moment":      {ShowFacts{TicketTypes: []domain.TicketType{closes}}, Ended},
		"it has begun":                          {ShowFacts{StartsAt: noon, TicketTypes: []domain.TicketType{open}}, Ended},
		"it is canceled, whatever else":         {ShowFacts{Canceled: true, Paused: true, StartsAt: noon}, Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.facts.StartsAt.IsZero() {
				c.facts.StartsAt = hour(10)
			}
			if got := NewShow(c.facts, noon).Status; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAShowInAnUnknownTimeZoneIsInUTC(t *testing.T) {
	t.Parallel()
	s := NewShow(ShowFacts{StartsAt: noon.In(time.FixedZone("x", 3600)), TimeZone: "Mars/Olympus"}, noon)
	if got := s.StartsAt.Format(time.RFC3339); got != "2025-02-05T12:00:00Z" {
		t.Error(got)
	}
}

func TestAnOrderOfSeveralLines(t *testing.T) {
	t.Parallel()
	code := func(id string) string { return "code of " + id }
	facts := OrderFacts{
		OrderID: "ORDER-20250205-00000001", Status: domain.Completed, ShowID: 1, Version: 3, PlacedAt: noon, ExpiresAt: noon,
		Lines: []domain.Line{{TicketTypeID: 1, Quantity: 2, UnitPrice: 5}, {TicketTypeID: 3, Quantity: 1, UnitPrice: 7}},
		Total: domain.Money{Amount: 17, Currency: "IDR"}, Tickets: []domain.Ticket{{TicketID: "T-1", TicketTypeID: 1}},
	}
	got, err := json.Marshal(NewOrder(facts, code))
	const want = `{"orderId":"ORDER-20250205-00000001","status":"COMPLETED","showId":1,` +
		`"lines":[{"ticketTypeId":1,"quantity":2,"unitPrice":5},{"ticketTypeId":3,"quantity":1,"unitPrice":7}],"quantity":3,` +
		`"total":{"amount":17,"currency":"IDR"},"placedAt":"2025-02-05T12:00:00Z","expiresAt":"2025-02-05T12:00:00Z","version":3,` +
		`"tickets":[{"ticketId":"T-1","ticketTypeId":1,"code":"code of T-1"}]}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	facts.Status = domain.Canceled
	if o := NewOrder(facts, code); o.Tickets != nil {
		t.Errorf("a canceled order shows %v", o.Tickets)
	}
	if got := NewOrder(facts, code).ForStranger(); got != (Stranger{facts.OrderID, domain.Canceled, 3}) {
		t.Errorf("a stranger sees %+v", got)
	}
}
