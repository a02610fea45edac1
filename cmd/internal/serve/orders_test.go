package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/devstack"
	"boxoffice/internal/views"
)

func TestTheFirstOrderAfterAFreshInstallCompletes(t *testing.T) {
	t.Parallel()
	postgres := devstack.Postgres(t)
	if _, err := postgres.Open(t).ExecContext(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 10) // nobody waits for topics or consumers
	id := p.mustPlace(wish{customer: "ana", quantity: 2, method: "QRIS"})

	order := p.await(id, domain.Confirmed)
	if order.Payment == nil || order.Payment.QR == "" || order.Payment.Status != domain.Instructed {
		t.Fatalf("a confirmed order says how to pay, this one %+v", order.Payment)
	}
	if a := p.asOperator("POST", "/simulator/payments/"+order.Payment.PaymentID, map[string]any{"status": "SUCCESS"}); a.status != http.StatusAccepted {
		t.Fatalf("the simulated gateway: %s", a)
	}
	order = p.await(id, domain.Completed)
	if len(order.Tickets) != 2 || order.Tickets[0].Code == "" || order.Tickets[0].Code == order.Tickets[1].Code {
		t.Fatalf("a completed order has its tickets, this one %+v", order.Tickets)
	}
	p.awaitStock(1, 0, 2, 8)
}

// rank is how far a status is on the way of an order that is paid.
func rank(s domain.OrderStatus) int {
	return map[domain.OrderStatus]int{domain.Pending: 1, domain.Confirmed: 2, domain.Completed: 3}[s]
}

// watch reads an order as a stranger again and again until stop closes, and says when it went back.
func (c client) watch(orderID string, stop <-chan struct{}) error {
	var seen views.Stranger
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-stop:
			if seen.Status != domain.Completed {
				return fmt.Errorf("%s was last seen as %q", orderID, seen.Status)
			}
			return nil
		case <-look.C:
		}
		a := c.send("GET", "/orders/"+orderID, nil)
		if a.status == http.StatusNotFound && seen.Version == 0 {
			continue
		}
		var now views.Stranger
		if err := decode(a, &now); err != nil {
			return err
		}
		if now.Version < seen.Version || rank(now.Status) < rank(seen.Status) {
			return fmt.Errorf("%s went from %+v back to %+v", orderID, seen, now)
		}
		seen = now
	}
}

func TestMoneyThatIsFasterThanTheReadModelNeverMovesAStateBackwards(t *testing.T) {
	t.Run("with everything running", func(t *testing.T) {
		t.Parallel()
		const orders = 16
		o, p := running(t, longHold)
		p.createShow(1, orders)
		stop := make(chan struct{})
		var watchers sync.WaitGroup
		ids := parallel(t, orders, 4, func(i int) string {
			placed := p.place(wish{customer: fmt.Sprint("buyer-", i)})
			if a := p.webhook(placed.orderID, "SUCCESS"); a.status != http.StatusOK {
				t.Errorf("webhook right after the answer: %s", a)
			}
			watchers.Go(func() {
				if err := p.watch(placed.orderID, stop); err != nil {
					t.Error(err)
				}
			})
			return placed.orderID
		})
		for _, id := range ids {
			p.await(id, domain.Completed)
		}
		o.awaitRest()
		close(stop)
		watchers.Wait()
		p.awaitStock(1, 0, orders, 0)
	})
	t.Run("with read models and payments that come up only afterwards", func(t *testing.T) {
		t.Parallel()
		o := open(t, longHold)
		p := o.start("api", config.API)
		p.createShow(1, 2)
		id := p.mustPlace(wish{customer: "ana"})
		p.mustWebhook(id, "SUCCESS")
		unpaid := p.mustPlace(wish{customer: "ben"})
		if a := p.send("GET", "/orders/"+id, nil); a.status != http.StatusNotFound {
			t.Fatalf("the read model should be empty: %s", a)
		}
		stop := make(chan struct{})
		watched := make(chan error, 1)
		go func() { watched <- p.watch(id, stop) }()
		o.start("rest", config.Relay, config.Projections, config.Payments, config.Notifications)
		p.await(id, domain.Completed)
		p.await(unpaid, domain.Confirmed)
		o.awaitRest()
		close(stop)
		if err := <-watched; err != nil {
			t.Error(err)
		}
		if charges := o.number(`SELECT count(*) FROM simulator_payments WHERE order_id = $1`, id); charges != 0 {
			t.Errorf("a paid order was charged %d times", charges)
		}
	})
}

func TestWhatMakesNoSenseIsRefusedAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	o, p := running(t, longHold)
	p.createShow(1, 1000)
	p.createShow(2, 10, 10, 10)
	head := o.head()
	owner := func(show, ticketType, quantity string) answer {
		return p.send("POST", "/orders/ticket", fmt.Appendf(nil, `{"header":{"requestId":"r","requestDS":"2025-02-03T12:00:00Z","uName":"u"},
			"payload":{"ticketId":%s,"eventId":%s,"quantity":%s,"paymentMethod":"QRIS"}}`, ticketType, show, quantity))
	}
	native := func(show, ticketType, quantity string) answer {
		return p.send("POST", "/orders", fmt.Appendf(nil, `{"showId":%s,"ticketTypeId":%s,"quantity":%s,"customer":{"id":"u"}}`,
			show, ticketType, quantity), "Idempotency-Key", "a-key-of-this-test")
	}
	for _, c := range []struct {
		name                       string
		show, ticketType, quantity string
		status                     int
		message                    string // of the owner's format
	}{
		{"quantity -5", "1", "1", "-5", 400, "INVALID quantity"},
		{"quantity 0", "1", "1", "0", 400, "INVALID quantity"},
		{"quantity 1.5", "1", "1", "1.5", 400, "INVALID"},
		{"a quantity in quotes", "1", "1", `"2"`, 400, "INVALID"},
		{"a huge quantity", "1", "1", "2147483648", 400, "INVALID quantity"},
		{"a quantity beyond 64 bits", "1", "1", "92233720368547758080", 400, "INVALID"},
		{"more than an order may have", "1", "1", "101", 409, "BUSINESS_ERROR"},
		{"a ticket of another show", "1", "3", "1", 404, "TICKET NOT FOUND"},
		{"a show that is not there", "9", "1", "1", 404, "EVENT NOT FOUND"},
		{"show -1", "-1", "1", "1", 400, "INVALID eventId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := owner(c.show, c.ticketType, c.quantity)
			if a.status != c.status || !strings.Contains(string(a.body), c.message) {
				t.Errorf("the owner's format got %s, want %d %s", a, c.status, c.message)
			}
			if a := native(c.show, c.ticketType, c.quantity); a.status != c.status {
				t.Errorf("the native format got %s, want %d", a, c.status)
			}
		})
	}
	if now := o.head(); now != head {
		t.Errorf("refusals made %d events", now-head)
	}
	p.awaitStock(1, 0, 0, 1000)
	if id := p.mustPlace(wish{customer: "u", key: "r"}); id == "" {
		t.Error("a refusal uses a key up")
	}
}

func TestManyRequestsAtOnceKeepTheirOwnDates(t *testing.T) {
	t.Parallel()
	const requests = 256
	o, p := running(t, longHold)
	p.createShow(1, requests)
	begin := time.Date(2004, 2, 28, 23, 59, 59, 999_000_000, time.UTC)
	sent := func(i int) time.Time {
		zone := time.FixedZone("", (i%25-12)*3600+(i%2)*1800)
		return begin.Add(time.Duration(i) * (1009*time.Hour + 61*time.Second + time.Millisecond)).In(zone)
	}
	dates := map[string]time.Time{}
	for i, placed := range parallel(t, requests, requests, func(i int) placed {
		return p.place(wish{customer: fmt.Sprint("buyer-", i), at: sent(i).Format(time.RFC3339Nano)})
	}) {
		if placed.err != nil || placed.status != http.StatusOK {
			t.Fatalf("request %d: %s", i, placed.answer)
		}
		dates[placed.orderID] = sent(i)
	}
	if len(dates) != requests {
		t.Fatalf("%d requests got %d ids", requests, len(dates))
	}
	for _, e := range eventsOf[domain.OrderPlaced](o) {
		if want := dates[e.OrderID]; !e.RequestedAt.Equal(want) {
			t.Errorf("%s was requested at %s, the log has %s", e.OrderID, want, e.RequestedAt)
		}
		delete(dates, e.OrderID)
	}
	if len(dates) != 0 {
		t.Errorf("%d orders are not in the log", len(dates))
	}
}

func TestNobodyPaysSoNoOrderIsPaid(t *testing.T) {
	t.Parallel()
	const orders = 40
	o, p := running(t, 3*time.Second)
	p.createShow(1, orders)
	ids := parallel(t, orders, 8, func(i int) string {
		return p.place(wish{customer: fmt.Sprint("buyer-", i), method: []string{"QRIS", "CARD"}[i%2]}).orderID
	})
	for _, id := range ids {
		if order := p.await(id, domain.Canceled); order.Reason != domain.ReasonHoldExpired {
			t.Errorf("%s ended by %s", id, order.Reason)
		}
	}
	o.awaitRest()
	if n := len(eventsOf[domain.PaymentInstructed](o)); n != orders {
		t.Errorf("%d of %d buyers were told how to pay", n, orders)
	}
	if n := len(eventsOf[domain.PaymentSettled](o)) + len(eventsOf[domain.OrderCompleted](o)) + len(eventsOf[domain.TicketsSold](o)); n != 0 {
		t.Errorf("%d events say that somebody has paid", n)
	}
	if n := o.number(`SELECT coalesce(sum(received), 0) FROM simulator_payments`); n != 0 {
		t.Errorf("the gateway got %d", n)
	}
	p.awaitStock(1, 0, 0, orders)
}

func TestARepeatGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	o, p := running(t, longHold)
	p.createShow(1, 100)
	var first atomic.Int64
	ids := map[string]int{}
	for _, placed := range parallel(t, 32, 32, func(int) placed {
		placed := p.place(wish{customer: "ana", key: "the-same-key-for-all", at: time.Now().Format(time.RFC3339Nano)})
		if !placed.again {
			first.Add(1)
		}
		return placed
	}) {
		if placed.status != http.StatusOK {
			t.Errorf("a repeat got %s", placed.answer)
		}
		ids[placed.orderID]++
	}
	if len(ids) != 1 || first.Load() != 1 {
		t.Errorf("32 times the same request made %d orders, %d of them as new", len(ids), first.Load())
	}
	if other := p.place(wish{customer: "ana", key: "the-same-key-for-all", quantity: 2}); other.status != http.StatusUnprocessableEntity {
		t.Errorf("the key with another payload got %s", other.answer)
	}
	if n := len(eventsOf[domain.OrderPlaced](o)); n != 1 {
		t.Errorf("the log has %d orders", n)
	}
}
