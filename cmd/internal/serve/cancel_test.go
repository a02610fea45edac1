package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

// refundless is a price that the simulated gateway takes and never sends back.
const refundless = 159_404

func (c client) createFragileShow(id int64) {
	c.o.t.Helper()
	show := map[string]any{
		"showId": id, "name": "Show", "venue": "Hall", "startsAt": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339),
		"timeZone": "Asia/Jakarta", "currency": "IDR", "ticketTypes": []map[string]any{
			{"ticketTypeId": 1, "name": "Standing", "price": 150_000, "capacity": 1000},
			{"ticketTypeId": 2, "name": "Glass box", "price": refundless, "capacity": 10},
		},
	}
	eventually(c.o.t, "the show is on sale", func() string {
		if a := c.asOperator("POST", "/shows", show, "Idempotency-Key", "fragile-show"); a.status != http.StatusCreated {
			return a.String()
		}
		return ""
	})
}

func TestTheEndOfAShow(t *testing.T) {
	t.Parallel()
	o, p := running(t, longHold)
	p.createFragileShow(1)
	const paid, unpaid = 30, 10
	orders := parallel(t, paid+unpaid, 8, func(i int) string { return p.mustPlace(wish{customer: fmt.Sprint("buyer-", i)}) })
	lost := p.mustPlace(wish{customer: "unlucky", ticketType: 2})
	for _, id := range append(orders[:paid:paid], lost) {
		p.mustWebhook(id, "SUCCESS")
	}
	o.awaitRest()

	t.Run("can be looked at before", func(t *testing.T) {
		head := o.head()
		var would views.Cancellation
		if err := decode(p.asOperator("POST", "/shows/1/cancel?dryRun=true", nil), &would); err != nil {
			t.Fatal(err)
		}
		if would.Orders != (views.CanceledOrders{Open: unpaid, Completed: paid + 1}) ||
			would.Tickets != (views.CanceledStock{Held: unpaid, Sold: paid + 1}) || !would.DryRun || would.ShowID != 1 || would.Version < 3 ||
			would.Refund != (domain.Money{Amount: paid*150_000 + refundless, Currency: "IDR"}) {
			t.Errorf("it would %+v", would)
		}
		for path, status := range map[string]int{
			"/shows/1/cancel?dryRun=perhaps": 400, "/shows/1/cancel?dryrun=true": 400, "/shows/1/cancel?dryRun=true&dryRun=true": 400,
			"/shows/99/cancel?dryRun=true": 404, "/shows/99/cancel": 404, "/shows/x/cancel": 404,
		} {
			if a := p.asOperator("POST", path, nil); a.status != status {
				t.Errorf("POST %s: %s, want %d", path, a, status)
			}
		}
		if a := p.asOperator("POST", "/shows/1/cancel", map[string]any{"reason": strings.Repeat("x", 1001)}); a.status != 400 {
			t.Errorf("a novel for a reason: %s", a)
		}
		if a := p.send("POST", "/shows/1/cancel", nil); a.status != http.StatusUnauthorized {
			t.Errorf("a stranger got %s", a)
		}
		if o.head() != head {
			t.Error("it left a trace")
		}
	})
	t.Run("stops sales, and gives everything back once", func(t *testing.T) {
		var show, again views.Show
		if err := decode(p.asOperator("POST", "/shows/1/cancel", map[string]any{"reason": "storm"}), &show); err != nil {
			t.Fatal(err)
		}
		if show.Status != views.Canceled || show.Refunds == nil || show.Refunds.Due+show.Refunds.Done+show.Refunds.Failed > paid+1 || show.Position == 0 {
			t.Errorf("the answer is %+v %+v", show, show.Refunds)
		}
		if err := decode(p.asOperator("POST", "/shows/1/cancel", nil), &again); err != nil || again.Status != views.Canceled {
			t.Errorf("a second time: %+v %v", again, err)
		}
		if refused := p.place(wish{customer: "late"}); refused.status != http.StatusConflict || refused.code != "show_canceled" {
			t.Errorf("a late order got %s", refused.answer)
		}
		// Operators and gateways are at it at the same time.
		parallel(t, 2*unpaid, unpaid, func(i int) any {
			if i%2 == 0 {
				if a := p.asOperator("POST", "/orders/"+orders[i]+"/cancel", nil); a.status != http.StatusOK {
					t.Errorf("an operator's cancellation beside it: %s", a)
				}
			} else if a := p.webhook(orders[paid+i/2], "SUCCESS"); a.status != http.StatusOK {
				t.Errorf("late money: %s", a)
			}
			return nil
		})
		p.awaitRefunds(1, views.Refunds{Done: paid + unpaid, Failed: 1})
		o.awaitRest()
		p.awaitStock(1, 0, 0, 1000)
		if n := o.number(`SELECT count(*) FROM events WHERE type = 'ShowCanceled'`); n != 1 {
			t.Errorf("the show was canceled %d times", n)
		}
		for what, query := range map[string]string{
			"refunds at the gateway": `SELECT count(*) FROM simulator_refunds`, "payments refunded": `SELECT count(DISTINCT payment_id) FROM simulator_refunds`,
		} {
			if n := o.number(query); n != paid+unpaid {
				t.Errorf("%s: %d, want %d", what, n, paid+unpaid)
			}
		}
		var stranger views.Show
		if err := decode(p.send("GET", "/shows/1", nil), &stranger); err != nil || stranger.Status != views.Canceled || stranger.Refunds != nil {
			t.Errorf("a stranger sees %+v %v", stranger, err)
		}
	})
	t.Run("leaves what could not be given back to a person", func(t *testing.T) { p.resolveRefund(t, lost) })
}

// awaitRefunds waits until the operators' list shows a canceled show with these refunds.
func (c client) awaitRefunds(show int64, want views.Refunds) {
	c.o.t.Helper()
	eventually(c.o.t, fmt.Sprintf("refunds %+v", want), func() string {
		var page struct{ Shows []views.Show }
		c.get("/shows", &page)
		for _, s := range page.Shows {
			if s.ShowID == show && s.Refunds != nil && *s.Refunds == want {
				return ""
			}
		}
		return string(c.o.encode(page))
	})
}

// items are open items as an operator lists them.
func (c client) items(resolved bool) []views.OpenItem {
	c.o.t.Helper()
	var page struct{ Items []views.OpenItem }
	c.get(fmt.Sprintf("/open-items?resolved=%t", resolved), &page)
	return page.Items
}

// resolveRefund resolves the open item of an order's failed refund.
func (c client) resolveRefund(t *testing.T, orderID string) {
	var item views.OpenItem
	eventually(t, "the refund is an open item", func() string {
		for _, item = range c.items(false) {
			if item.OrderID == orderID && item.Kind == views.RefundFailed && item.Amount == refundless {
				return ""
			}
		}
		return fmt.Sprintf("%+v", c.items(false))
	})
	path := "/open-items/" + url.PathEscape(item.ID) + "/resolve"
	for _, body := range []any{nil, map[string]any{}, map[string]any{"reason": ""}, map[string]any{"reason": " "}, map[string]any{"reason": strings.Repeat("x", 1001)}} {
		if a := c.asOperator("POST", path, body); a.status != http.StatusBadRequest {
			t.Errorf("resolved with %v: %s", body, a)
		}
	}
	for _, reason := range []string{"paid by hand", "again"} {
		a := c.asOperator("POST", path, map[string]any{"reason": reason})
		var answer struct {
			ID, Reason string
			Resolved   bool
		}
		if a.status != http.StatusOK || json.Unmarshal(a.body, &answer) != nil || answer.ID != item.ID || !answer.Resolved || answer.Reason != "paid by hand" {
			t.Errorf("resolved because %q: %s", reason, a)
		}
	}
	for _, unknown := range []string{"payment-" + domain.PaymentID(orderID, 1) + ":1", "payment-" + domain.PaymentID(orderID, 9) + ":3", "inbox-190001:1", "nothing"} {
		a := c.asOperator("POST", "/open-items/"+url.PathEscape(unknown)+"/resolve", map[string]any{"reason": "x"})
		if a.status != http.StatusNotFound {
			t.Errorf("%s is resolved: %s", unknown, a)
		}
	}
	eventually(t, "the item is listed as resolved", func() string {
		for _, now := range c.items(true) {
			if now.ID == item.ID && now.Reason == "paid by hand" && now.Resolved && !now.ResolvedAt.IsZero() && len(c.items(false)) == 0 {
				return ""
			}
		}
		return fmt.Sprintf("resolved %+v, open %+v", c.items(true), c.items(false))
	})
}
