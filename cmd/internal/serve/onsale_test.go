package serve_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

func TestTwoThousandBuyersForFiveHundredTickets(t *testing.T) {
	const buyers, tickets = 2000, 500
	o, p := running(t, longHold)
	p.createShow(1, tickets)
	begun := time.Now()
	yes := map[string]bool{}
	for i, placed := range parallel(t, buyers, 256, func(i int) placed { return p.place(wish{customer: fmt.Sprint("buyer-", i)}) }) {
		switch {
		case placed.err != nil:
			t.Errorf("buyer %d: %v", i, placed.err)
		case placed.status == http.StatusOK && yes[placed.orderID]:
			t.Errorf("two buyers were told %s", placed.orderID)
		case placed.status == http.StatusOK:
			yes[placed.orderID] = true
		case placed.status != http.StatusConflict || placed.code != "sold_out" || placed.message != "STOCK IS NOT AVAILABLE":
			t.Errorf("buyer %d is neither served nor told that it is sold out: %s", i, placed.answer)
		case placed.available != 0 || placed.held != tickets:
			t.Errorf("buyer %d is told of %d available and %d held", i, placed.available, placed.held)
		}
	}
	t.Logf("%d buyers answered in %s", buyers, time.Since(begun).Round(time.Millisecond))
	if len(yes) != tickets {
		t.Errorf("%d yes for %d tickets", len(yes), tickets)
	}
	for _, e := range eventsOf[domain.OrderPlaced](o) {
		if !yes[e.OrderID] {
			t.Errorf("%s is in the log, but nobody was told", e.OrderID)
		}
		delete(yes, e.OrderID)
	}
	if len(yes) != 0 {
		t.Errorf("%d buyers were told of orders that are not there", len(yes))
	}
	p.awaitStock(1, tickets, 0, 0)
	o.awaitRest()
	if n := p.countOrders("show=1"); n != tickets {
		t.Errorf("the read model has %d orders", n)
	}
}

func TestAfterABurstEverythingReachesTheHeadWithoutAnotherOrder(t *testing.T) {
	const orders = 700
	o, p := running(t, longHold)
	p.createShow(1, orders)
	ids := parallel(t, orders, 64, func(i int) string { return p.place(wish{customer: fmt.Sprint("buyer-", i)}).orderID })
	begun := time.Now()
	o.awaitRest() // nothing is sent any more
	report := o.audit()
	t.Logf("%d events were everywhere %s after the last answer", report.Events, time.Since(begun).Round(time.Millisecond))
	if report.Orders != orders || report.Topics.Messages != report.Events {
		t.Errorf("%d orders, %d of %d events in the topics", report.Orders, report.Topics.Messages, report.Events)
	}
	if n := p.countOrders("status=CONFIRMED"); n != orders {
		t.Errorf("%d of %d orders are confirmed", n, orders)
	}
	var order views.Order
	if !p.get("/orders/"+ids[orders-1], &order) || order.Payment.QR == "" {
		t.Errorf("the last order does not say how to pay: %+v", order)
	}
}
