package projections

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// orderIDs reads all pages of a list of orders, doing something between two pages.
func (s *site) orderIDs(t *testing.T, params string, between func(page int)) []string {
	t.Helper()
	var ids []string
	cursor := ""
	for page := 0; ; page++ {
		answer := must[orderPage](t, s.asOperator(t, "/orders?"+params+"&cursor="+cursor))
		for _, order := range answer.Orders {
			ids = append(ids, order.OrderID)
		}
		if cursor = answer.Next; cursor == "" {
			return ids
		}
		if page > 1000 {
			t.Fatal("the pages never end")
		}
		between(page)
	}
}

func TestTheListOfOrders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var newestFirst []string
	for n := range 25 {
		id := orderNumber(n + 1)
		order := placed(id, 1)
		if n == 7 {
			order.CustomerRef = "ref-of-una"
		}
		order.ShowID = int64(1 + n%5/4) // every fifth is of show 2
		s.happens(t, order)
		newestFirst = append([]string{id}, newestFirst...)
	}
	s.happens(t, canceled(orderNumber(3), domain.Pending, domain.ReasonCustomer))
	quiet := func(int) {}
	t.Run("all pages together are all orders, the newest first", func(t *testing.T) {
		for _, limit := range []int{1, 7, 25, 200} {
			if ids := s.orderIDs(t, fmt.Sprintf("limit=%d", limit), quiet); !slices.Equal(ids, newestFirst) {
				t.Errorf("limit %d: %v", limit, ids)
			}
		}
	})
	t.Run("by status, customer and show", func(t *testing.T) {
		for params, want := range map[string][]string{
			"status=CANCELED":               {orderNumber(3)},
			"customer=una":                  {orderNumber(8)},
			"customer=una&status=PENDING":   {orderNumber(8)},
			"customer=una&status=COMPLETED": nil,
			"customer=nobody":               nil,
			"show=2":                        {orderNumber(25), orderNumber(20), orderNumber(15), orderNumber(10), orderNumber(5)},
		} {
			if ids := s.orderIDs(t, params+"&limit=2", quiet); !slices.Equal(ids, want) {
				t.Errorf("%s: %v, want %v", params, ids, want)
			}
		}
	})
	t.Run("orders that come meanwhile push none out and repeat none", func(t *testing.T) {
		ids := s.orderIDs(t, "limit=4", func(page int) {
			s.happens(t, placed(orderNumber(100+page), 1), confirmed(newestFirst[0]))
			newestFirst = newestFirst[1:]
		})
		slices.Sort(ids)
		if len(ids) != 25 || len(slices.Compact(ids)) != 25 || slices.Contains(ids, orderNumber(100)) {
			t.Errorf("%d orders: %v", len(ids), ids)
		}
	})
}

func TestOpenItemsPageByPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var open []string
	for n := range 7 {
		events := s.happens(t, domain.PaymentUnmatched{
			Gateway: "simulator", PaymentID: fmt.Sprintf("P-%d", n), GatewayStatus: "PAID", ReceivedAt: noon,
		})
		open = append([]string{events[0].ID()}, open...)
	}
	list := func(params string) (ids []string) {
		for cursor := ""; ; {
			page := must[itemPage](t, s.asOperator(t, "/open-items?limit=3&cursor="+cursor+params))
			for _, item := range page.Items {
				ids = append(ids, item.ID)
			}
			if cursor = page.Next; cursor == "" {
				return ids
			}
		}
	}
	if got := list(""); !slices.Equal(got, open) {
		t.Errorf("open are %v, want %v", got, open)
	}
	s.happens(t, domain.OpenItemResolved{Item: open[2], Reason: "paid back by hand", ResolvedAt: noon})
	if got := list("&resolved=true"); !slices.Equal(got, open[2:3]) {
		t.Errorf("resolved are %v", got)
	}
	if got := list("&resolved=false"); !slices.Equal(got, slices.Delete(slices.Clone(open), 2, 3)) {
		t.Errorf("open are %v", got)
	}
	resolved := must[itemPage](t, s.asOperator(t, "/open-items?resolved=true")).Items[0]
	if want := (views.OpenItem{
		ID: open[2], Kind: views.PaymentUnmatched, PaymentID: "P-4", At: noon, Resolved: true, ResolvedAt: noon, Reason: "paid back by hand",
		Detail: `simulator reported PAID for "P-4", which nobody knows here`,
	}); resolved != want {
		t.Errorf("got %+v", resolved)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	wantJSON(t, s.asOperator(t, "/orders"), `{"orders":[]}`)
	wantJSON(t, s.asOperator(t, "/open-items"), `{"items":[]}`)
	wantJSON(t, s.get(t, "/shows"), `{"shows":[]}`)
}

func TestBadParametersAreNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	order := "/orders/" + orderNumber(1)
	elsewhere, err := httpapi.EncodeCursor(map[string]any{"before": 5, "of": "another filter"})
	if err != nil {
		t.Fatal(err)
	}
	for path, name := range map[string]string{
		"/orders?limit=0":                               "limit",
		"/orders?limit=1000":                            "limit",
		"/orders?limit=x":                               "limit",
		"/orders?show=-1":                               "show",
		"/orders?show=1.5":                              "show",
		"/orders?show=1&show=2":                         "show",
		"/orders?status=paid":                           "status",
		"/orders?status=PENDING&status=X":               "status",
		"/orders?cursor=!":                              "cursor",
		"/orders?cursor=e30x":                           "cursor",
		"/orders?colour=red":                            "colour",
		order + "?version=x":                            "version",
		order + "?at=yesterday":                         "at",
		order + "?at=2025-02-05":                        "at",
		order + "?at=2999-02-05T12:00:00Z":              "at",
		"/shows/1/availability?at=2999-02-05T12:00:00Z": "at",
		"/orders?customer=":                             "customer",
		"/orders?customer=&status=PENDING":              "customer",
		"/orders?status=PENDING&cursor=" + elsewhere:    "cursor",
		"/open-items?resolved=true&cursor=" + elsewhere: "cursor",
		order + "?token=x":                              "token",
		"/shows?limit=1":                                "limit",
		"/shows?cursor=x":                               "cursor",
		"/shows/1/availability?at=noon":                 "at",
		"/open-items?resolved=perhaps":                  "resolved",
		"/open-items?cursor=" + url.QueryEscape("{}"):   "cursor",
	} {
		wantStatus(t, s.asOperator(t, path), http.StatusBadRequest, `"invalid"`, `"`+name+`"`)
	}
	wantStatus(t, s.get(t, order, "Min-Position", "soon"), http.StatusBadRequest, "Min-Position")
	for _, path := range []string{"/shows/x", "/shows/0", "/shows/01", "/shows/9", "/shows/9/availability", "/shows/9/availability?at=2025-02-05T12:00:00Z"} {
		wantStatus(t, s.get(t, path), http.StatusNotFound, "not_found")
	}
}

func TestWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`); err == nil {
		t.Fatal("the connection lives")
	} else if !away(err) {
		t.Errorf("a database that is away is taken for a fault: %v", err)
	}
	if _, err := s.db.ExecContext(t.Context(), `SELECT nothing`); err == nil || away(err) {
		t.Errorf("a fault is taken for a database that is away: %v", err)
	}
}
