package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

func TestTwoProcessesSellExactlyWhatThereIs(t *testing.T) {
	const buyers, tickets = 600, 250
	o := open(t, longHold)
	one := o.start("one", config.API)
	two := o.start("two", config.API, config.Relay, config.Projections, config.Payments, config.Notifications)
	one.createShow(1, tickets)
	two.createShow(2, 1) // it answers too
	door := func(i int) client { return []client{one.client, two.client}[i%2] }

	yes := map[string]bool{}
	by := [2]int{}
	for i, placed := range parallel(t, buyers, 64, func(i int) placed { return door(i).place(wish{customer: fmt.Sprint("buyer-", i)}) }) {
		switch {
		case placed.status == http.StatusOK && placed.err == nil:
			yes[placed.orderID] = true
			by[i%2]++
		case placed.code != "sold_out":
			t.Errorf("buyer %d got %s %v", i, placed.answer, placed.err)
		}
	}
	t.Logf("one process sold %d, the other %d of %d", by[0], by[1], tickets)
	if len(yes) != tickets || by[0]+by[1] != tickets || by[0] == 0 || by[1] == 0 {
		t.Errorf("%d and %d sold under %d ids, of %d", by[0], by[1], len(yes), tickets)
	}

	// What one has sold, the other cancels and settles, and both know of it at once.
	ids := make([]string, 0, tickets)
	for id := range yes {
		ids = append(ids, id)
	}
	two.mustWebhook(ids[0], "SUCCESS")
	one.mustWebhook(ids[1], "FAILED")
	if a := two.asOperator("POST", "/orders/"+ids[2]+"/cancel", nil); a.status != http.StatusOK {
		t.Errorf("cancel: %s", a)
	}
	one.mustPlace(wish{customer: "late"})
	two.mustPlace(wish{customer: "later"})
	if last := one.place(wish{customer: "too late"}); last.code != "sold_out" {
		t.Errorf("the ticket that was not there: %s", last.answer)
	}

	// The same request at both doors at once is one order.
	one.createShow(3, 100)
	for i := range 20 {
		twice := parallel(t, 2, 2, func(d int) placed {
			return door(d).place(wish{customer: "twice", key: fmt.Sprint("the-key-for-both-", i), show: 3})
		})
		if twice[0].orderID == "" || twice[0].orderID != twice[1].orderID || twice[0].again == twice[1].again {
			t.Errorf("the same request at both doors got %s and %s", twice[0].answer, twice[1].answer)
		}
	}
	o.awaitRest()
	two.awaitStock(1, tickets-1, 1, 0)
	one.awaitStock(3, 20, 0, 80)
}

func TestARelayThatPublishesEverythingAgainChangesNothing(t *testing.T) {
	const orders = 60
	o, p := running(t, longHold)
	p.createShow(1, orders)
	ids := parallel(t, orders, 16, func(i int) string {
		return p.place(wish{customer: fmt.Sprint("buyer-", i), method: []string{"QRIS", "CARD"}[i%2]}).orderID
	})
	for i, id := range ids {
		switch i % 4 {
		case 0:
			p.mustWebhook(id, "SUCCESS")
		case 1:
			p.mustWebhook(id, "FAILED")
		case 2: // money for an order that has ended, and no ticket for it: a refund
			if i%3 != 0 {
				break
			}
			if a := p.asOperator("POST", "/orders/"+id+"/cancel", nil); a.status != http.StatusOK {
				t.Fatalf("cancel: %s", a)
			}
			p.mustPlace(wish{customer: fmt.Sprint("next-", i)})
			p.mustWebhook(id, "SUCCESS")
		}
	}
	p.mustWebhook("PAY-20250101-00000001-1", "SUCCESS") // an open item
	o.awaitRest()
	eventually(t, "the refunds are done", func() string {
		if due, done := len(eventsOf[domain.RefundRequested](o)), len(eventsOf[domain.RefundCompleted](o)); due == 0 || due != done {
			return fmt.Sprintf("%d of %d", done, due)
		}
		return ""
	})
	o.awaitRest()
	head, before, messages := o.head(), o.everything(), o.messages()
	if n := o.number(`SELECT count(*) FROM simulator_payments`); n < orders/2 {
		t.Fatalf("only %d payments were charged", n)
	}

	// The epoch tells the active relay that the checkpoint is not its own any more.
	if _, err := o.db.ExecContext(t.Context(), `UPDATE checkpoints SET position = 0, epoch = epoch + 1 WHERE name = 'relay'`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the relay has found its checkpoint at 0", func() string {
		if now := o.messages(); now <= messages {
			return fmt.Sprintf("%d messages", now)
		}
		return ""
	})
	o.awaitRest()
	if now := o.messages(); now < 2*messages {
		t.Errorf("%d messages became %d: not all were published again", messages, now)
	}
	if now := o.head(); now != head {
		t.Errorf("the log has grown by %d events", now-head)
	}
	for table, rows := range o.everything() {
		if rows != before[table] {
			t.Errorf("%s has changed:\n%s\nwas\n%s", table, rows, before[table])
		}
	}
}

// messages is how many messages the topics of the relay have.
func (o *office) messages() int64 {
	o.t.Helper()
	var n int64
	for _, topic := range messaging.EventTopics() {
		for _, b := range o.bounds(topic) {
			n += b.Newest - b.Oldest
		}
	}
	return n
}

// everything is the gateway's books and all read models, row by row.
func (o *office) everything() map[string]string {
	o.t.Helper()
	tables := []string{"simulator_payments", "simulator_refunds", "simulator_deliveries", "payment_retries", "parked"}
	for _, p := range projections.All() {
		tables = append(tables, p.Definition().Tables...)
	}
	all := map[string]string{}
	for _, table := range tables {
		var rows []string
		if err := o.db.SelectContext(o.t.Context(), &rows, `SELECT t::text FROM `+table+` AS t ORDER BY 1`); err != nil {
			o.t.Fatal(err)
		}
		all[table] = strings.Join(rows, "\n")
	}
	return all
}

func TestProcessesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	o := open(t, longHold)
	begun := time.Now()
	o.start("back", config.Relay, config.Projections, config.Payments, config.Notifications)
	p := o.start("front", config.API)
	p.createShow(1, 1)
	id := p.mustPlace(wish{customer: "ana"})
	p.await(id, domain.Confirmed)
	p.mustWebhook(id, "PAID")
	p.await(id, domain.Completed)
	t.Logf("the first order was complete %s after the start", time.Since(begun).Round(time.Millisecond))
}
