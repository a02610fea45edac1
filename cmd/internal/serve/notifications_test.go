package serve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/messaging"
	"boxoffice/internal/notifications/mailtest"
	"boxoffice/internal/views"
)

// written gives a test an office with one process that does everything, and writes to buyers.
func written(t *testing.T) (*office, *process, *mailtest.Server) {
	t.Helper()
	server := mailtest.Start(t, mailtest.Config{})
	o := open(t, longHold)
	o.mails = server.URL()
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 100)
	return o, p, server
}

// orderOf places an order of a buyer with a mail address.
func (c client) orderOf(buyer string) string {
	c.o.t.Helper()
	a := c.send("POST", "/orders", fmt.Appendf(nil, `{"showId":1,"ticketTypeId":1,"quantity":2,"paymentMethod":"QRIS",
		"customer":{"id":%q,"email":"%s@example.com","name":"Ibu %s"}}`, buyer, buyer, buyer), "Idempotency-Key", "the-key-of-"+buyer)
	var order views.Order
	if err := json.Unmarshal(a.body, &order); err != nil || a.status != http.StatusCreated {
		c.o.t.Fatalf("order of %s: %s", buyer, a)
	}
	return order.OrderID
}

// awaitMails waits until a buyer has got these mails, by the beginning of their subjects, and returns the one that is
// named last. Mails are sent side by side, so those of one moment come in any order.
func awaitMails(t *testing.T, server *mailtest.Server, buyer string, subjects ...string) mailtest.Mail {
	t.Helper()
	var last mailtest.Mail
	want := slices.Sorted(slices.Values(subjects))
	eventually(t, fmt.Sprintf("%s got %q", buyer, subjects), func() string {
		var got []string
		for _, m := range server.Mails() {
			if m.To[0] == buyer+"@example.com" {
				subject, _, _ := strings.Cut(m.Subject, ":")
				if got = append(got, subject); subject == subjects[len(subjects)-1] {
					last = m
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Sprintf("%q", got)
		}
		return ""
	})
	return last
}

// awaitTold waits until there is nothing left to do or to tell.
func (o *office) awaitTold() {
	o.t.Helper()
	o.awaitRest()
	eventually(o.t, "everything is told", func() string {
		if behind := o.groupBehind("notifications", messaging.NotificationTopic); behind != "" {
			return behind
		}
		if n := o.number(`SELECT count(*) FROM notifications WHERE NOT ended`); n != 0 {
			return fmt.Sprintf("%d wait", n)
		}
		return ""
	})
}

// published is how many messages a topic has got.
func (o *office) published(topic string) (n int64) {
	o.t.Helper()
	for _, b := range o.bounds(topic) {
		n += b.Newest
	}
	return n
}

// publish puts a message on a topic as anybody might.
func (o *office) publish(topic string, msg *message.Message) {
	o.t.Helper()
	publisher, err := messaging.OpenSingle(o.kafka, watermill.NopLogger{})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := errors.Join(publisher.Publish(topic, msg), publisher.Close()); err != nil {
		o.t.Fatal(err)
	}
}

// digest is everything in some tables, in short.
func (o *office) digest(tables ...string) string {
	o.t.Helper()
	var all []string
	for _, table := range tables {
		var text string
		if err := o.db.GetContext(o.t.Context(), &text, `SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM `+table+` AS r`); err != nil {
			o.t.Fatal(err)
		}
		all = append(all, table+" "+text)
	}
	return strings.Join(all, ", ")
}

const (
	pleasePay  = "Please pay for your order"
	tickets    = "Your tickets"
	ended      = "Order canceled"
	moneyBack  = "Money sent back"
	ticketCode = 22 // characters
)

func TestTheWholeLogPublishedAgainSendsNoMailAndChargesNobody(t *testing.T) {
	t.Parallel()
	o, p, server := written(t)
	buys, returns, leaves, waits := p.orderOf("buys"), p.orderOf("returns"), p.orderOf("leaves"), p.orderOf("waits")
	for _, buyer := range []string{"buys", "returns", "leaves", "waits"} {
		awaitMails(t, server, buyer, pleasePay)
	}
	for _, id := range []string{buys, returns} {
		p.mustWebhook(id, "SUCCESS")
	}
	m := awaitMails(t, server, "buys", pleasePay, tickets)
	order := p.await(buys, domain.Completed)
	for _, ticket := range order.Tickets {
		if len(ticket.Code) != ticketCode || !strings.Contains(m.Text, ticket.Code) || !strings.Contains(m.HTML, ticket.Code) {
			t.Errorf("ticket %s with code %q is not in the mail:\n%s", ticket.TicketID, ticket.Code, m.Text)
		}
	}
	awaitMails(t, server, "returns", pleasePay, tickets)
	for _, id := range []string{returns, leaves} {
		if a := p.asOperator("POST", "/orders/"+id+"/cancel", map[string]any{}); a.status != http.StatusOK {
			t.Fatalf("cancel: %s", a)
		}
	}
	m = awaitMails(t, server, "returns", pleasePay, tickets, ended, moneyBack)
	if !strings.Contains(m.Text, "Rp300.000 went back the way you paid because the order was canceled.") {
		t.Errorf("the refund is told as\n%s", m.Text)
	}
	awaitMails(t, server, "leaves", pleasePay, ended)
	p.await(waits, domain.Confirmed)
	o.awaitTold()
	const mails = 2 + 4 + 2 + 1
	books := []string{"simulator_payments", "simulator_refunds", "simulator_deliveries", "events", "notifications"}
	before, published := o.digest(books...), o.published(messaging.NotificationTopic)

	if _, err := o.db.ExecContext(t.Context(), `UPDATE checkpoints SET position = 0, epoch = epoch + 1 WHERE name = 'relay'`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is published again", func() string {
		if now := o.published(messaging.NotificationTopic); now < 2*published || o.relayed() != o.head() {
			return fmt.Sprintf("%d of %d", now, 2*published)
		}
		return ""
	})
	o.awaitTold()
	if after := o.digest(books...); after != before {
		t.Errorf("publishing it all again changed\n%s to\n%s", before, after)
	}
	if n := len(server.Mails()); n != mails {
		t.Errorf("%d mails, want %d", n, mails)
	}
	p.awaitFigures("the metrics say what was sent", map[string]float64{
		`boxoffice_notifications_total{result="sent",sender="mail"}`: mails, `boxoffice_notifications_waiting{sender="mail"}`: 0,
	})
}

func TestOrdersGoOnWhileTheMailServerIsDead(t *testing.T) {
	t.Parallel()
	const orders = 12
	o, p, server := written(t)
	server.Down()
	foreign := message.NewMessage("foreign", []byte("not ours"))
	foreign.Metadata.Set(messaging.KeyMetadata, "foreign")
	o.publish(messaging.NotificationTopic, foreign)
	for i := range orders {
		buyer := fmt.Sprint("buyer-", i)
		id := p.orderOf(buyer)
		p.mustWebhook(id, "SUCCESS")
		p.await(id, domain.Completed)
	}
	o.awaitRest()
	if n := len(server.Mails()); n != 0 {
		t.Fatalf("%d mails from a dead server", n)
	}
	eventually(t, "what nobody can read is a dead letter", func() string {
		if n := o.published(messaging.DeadLetterTopic); n != 1 {
			return fmt.Sprint(n)
		}
		return ""
	})
	server.Up()
	for i := range orders {
		awaitMails(t, server, fmt.Sprint("buyer-", i), tickets) // and nothing about paying, which would be too late
	}
	o.awaitTold()
	if n := len(server.Mails()); n != orders {
		t.Errorf("%d mails to %d buyers", n, orders)
	}
}
