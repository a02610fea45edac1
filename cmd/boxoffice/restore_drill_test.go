package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
	"boxoffice/internal/notifications/mailtest"
)

// sale is an order as its buyer knows it.
type sale struct {
	OrderID  string `json:"orderId"`
	Token    string `json:"token"`
	replayed bool
}

// drill is an office that writes to its buyers, and what it has sold.
type drill struct {
	*office
	mails *mailtest.Server
	sales map[string]sale // by buyer
}

func newDrill(t *testing.T, pg *devstack.TestPostgres, mails *mailtest.Server) *drill {
	t.Helper()
	o := officeOn(t, pg, devstack.Kafka(t), "SMTP_URL="+mails.URL(), "MAIL_FROM=tickets@box.example", "KAFKA_PARTITIONS=3")
	return &drill{o, mails, map[string]sale{}}
}

// asked sends a request and gives the good answer with its headers.
func (d *drill) asked(method, path, body string, header http.Header) (http.Header, []byte) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusBadRequest {
		d.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, text, err)
	}
	return answer.Header, text
}

func (d *drill) newShow(id, capacity int) {
	d.t.Helper()
	d.asked("POST", "/shows", fmt.Sprintf(`{"showId":%d,"name":"Gala","venue":"Hall","startsAt":"2031-01-02T20:00:00+07:00","timeZone":"Asia/Jakarta",
		"currency":"IDR","ticketTypes":[{"ticketTypeId":1,"name":"Stalls","price":150000,"capacity":%d}]}`, id, capacity),
		http.Header{"Authorization": {"Bearer " + testOperator}, "Idempotency-Key": {fmt.Sprint("show-", id)}})
}

// sell places the one order of a buyer, or asks for it again.
func (d *drill) sell(buyer string, show int) sale {
	d.t.Helper()
	header, body := d.asked("POST", "/orders", fmt.Sprintf(`{"showId":%d,"ticketTypeId":1,"quantity":1,"paymentMethod":"QRIS",
		"customer":{"id":%q,"email":"%s@example.com","name":"Ibu %s"}}`, show, buyer, buyer, buyer),
		http.Header{"Idempotency-Key": {"the-one-key-of-" + buyer}})
	var s sale
	if err := json.Unmarshal(body, &s); err != nil || s.OrderID == "" || s.Token == "" {
		d.t.Fatalf("the order of %s is %s: %v", buyer, body, err)
	}
	s.replayed = header.Get("Idempotency-Replayed") == "true"
	d.sales[buyer] = s
	return s
}

// is waits until a buyer's order has a status and its refund one (empty: none).
func (d *drill) is(buyer, status, refund string) {
	d.t.Helper()
	id := d.sales[buyer].OrderID
	d.await("the order of "+buyer+" is "+status+" "+refund, func() string {
		var got string
		if err := d.db.GetContext(d.t.Context(), &got, `SELECT coalesce((SELECT status || ' ' || refund_status FROM order_status WHERE order_id = $1), '')`, id); err != nil {
			d.t.Fatal(err)
		}
		if got == status+" "+refund {
			return ""
		}
		return "it is " + got
	})
}

// paid lets the money for a buyer's order come.
func (d *drill) paid(buyer string) {
	d.t.Helper()
	d.pays(d.sales[buyer].OrderID, buyer)
}

// seen is every order as its buyer sees it.
func (d *drill) seen() map[string]string {
	d.t.Helper()
	all := map[string]string{}
	for buyer, s := range d.sales {
		_, body := d.asked("GET", "/orders/"+s.OrderID, "", http.Header{"Order-Token": {s.Token}})
		all[buyer] = string(body)
	}
	return all
}

// rests waits until nothing is left to read, to do or to tell.
func (d *drill) rests() {
	d.t.Helper()
	d.await("all is read, done and told", func() string {
		if r, view := d.lag(); r.code != exitOK || len(lagging(view)) > 0 {
			return fmt.Sprintf("exit %d, behind are %v", r.code, lagging(view))
		}
		var waiting int
		if err := d.db.GetContext(d.t.Context(), &waiting, `SELECT (SELECT count(*) FROM notifications WHERE NOT ended)
			+ (SELECT count(*) FROM payment_retries) + (SELECT count(*) FROM simulator_deliveries)`); err != nil {
			d.t.Fatal(err)
		}
		if waiting > 0 {
			return fmt.Sprintf("%d wait", waiting)
		}
		return ""
	})
}

// messages are the distinct ids on each topic that the relay fills, in order.
func (d *drill) messages() map[string][]string {
	d.t.Helper()
	all := map[string][]string{}
	for _, topic := range messaging.EventTopics() {
		ids := onTopic(d.t, messaging.Config{Brokers: d.kafka.Brokers, TopicPrefix: d.kafka.Prefix}, topic)
		slices.Sort(ids)
		all[topic] = slices.Compact(ids)
	}
	return all
}

// discards lets a buyer's order stop at its completion in the read model, and the operator discard that.
func (d *drill) discards(buyer string) {
	d.t.Helper()
	stream := "order-" + d.sales[buyer].OrderID
	if _, err := d.db.ExecContext(d.t.Context(), `INSERT INTO parked (projection, stream, version, position, type, reason)
		SELECT 'order_status', stream, max(version) + 1, max(position) + 1, 'OrderCompleted', 'by hand' FROM events WHERE stream = $1 GROUP BY stream`, stream); err != nil {
		d.t.Fatal(err)
	}
	d.paid(buyer)
	d.await("the order is complete", func() string {
		var n int
		if err := d.db.GetContext(d.t.Context(), &n, `SELECT count(*) FROM events WHERE stream = $1 AND type = 'OrderCompleted'`, stream); err != nil {
			d.t.Fatal(err)
		}
		if n == 0 {
			return "not yet"
		}
		return ""
	})
	runs(d.t, d.environ, "dlq", "discard", "parked/order_status/"+stream, "--reason", "it was by hand").must(d.t, exitOK)
}

// sellsOrdersOfEveryFate ends with the service, after all is read, done and told.
func (d *drill) sellsOrdersOfEveryFate() {
	d.t.Helper()
	d.start("--hold-ttl", "2s")
	d.newShow(1, 100)
	d.newShow(2, 1)
	for buyer, show := range map[string]int{"expires": 1, "pays-late": 1, "pays-too-late": 2} {
		d.sell(buyer, show)
	}
	for buyer := range d.sales {
		d.is(buyer, "CANCELED", "")
	}
	d.paid("pays-late")
	d.is("pays-late", "COMPLETED", "")
	d.stop()

	d.start()
	for buyer, show := range map[string]int{"takes-the-seat": 2, "buys": 1, "returns": 1, "waits": 1, "is-odd": 1} {
		d.sell(buyer, show)
		d.is(buyer, "CONFIRMED", "")
	}
	for _, buyer := range []string{"takes-the-seat", "buys", "returns"} {
		d.paid(buyer)
		d.is(buyer, "COMPLETED", "")
	}
	d.paid("pays-too-late")
	d.is("pays-too-late", "CANCELED", "DONE")
	d.asked("POST", "/orders/"+d.sales["returns"].OrderID+"/cancel", "{}", http.Header{"Authorization": {"Bearer " + testOperator}})
	d.is("returns", "CANCELED", "DONE")
	d.pays("PAY-20250101-00000001-1", "nobody")
	d.discards("is-odd")
	d.rests()
	d.proves()
	d.stop()
}

// drillBooks are the tables that say what went out of the house: charges, refunds, mails.
var drillBooks = []string{"simulator_payments", "simulator_refunds", "simulator_deliveries", "payment_retries", "notifications"}

// without are the rows that name none of some things.
func without(rows []string, things ...string) []string {
	return slices.DeleteFunc(slices.Clone(rows), func(row string) bool {
		return slices.ContainsFunc(things, func(thing string) bool { return strings.Contains(row, thing) })
	})
}

// sentToOthers counts the mails to all but one buyer.
func sentToOthers(mails *mailtest.Server, than string) (n int) {
	for _, m := range mails.Mails() {
		if !strings.HasPrefix(m.To[0], than+"@") {
			n++
		}
	}
	return n
}

func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	mails := mailtest.Start(t, mailtest.Config{})
	lost := newDrill(t, devstack.Postgres(t), mails)
	lost.sellsOrdersOfEveryFate()

	// The system ends in the middle of work: nobody ends the hold of this order any more.
	const hasty = "hasty"
	lost.start("--hold-ttl", "2s")
	seen := lost.seen()
	lost.newShow(3, 10)
	unfinished := []string{strings.TrimPrefix(lost.sell(hasty, 3).OrderID, "ORDER-"), "show-3:"}
	lost.stop()
	books, published, sent := without(rowsOf(t, lost.db, drillBooks...), unfinished...), lost.messages(), sentToOthers(mails, hasty)
	if sent < 10 || len(books) < 20 || len(published[messaging.OrdersTopic]) < 20 {
		t.Fatalf("%d mails were sent, the books are %v", sent, books)
	}

	d := newDrill(t, emptyDatabase(t), mails)
	d.sales = lost.sales
	runs(t, d.environ, "migrate").must(t, exitOK)
	restore(t, lost.db, d.db, keptTables(t))
	if before, after := logBytes(t, lost.db), logBytes(t, d.db); !slices.Equal(before, after) {
		t.Fatal("the restored log is not the same, byte for byte")
	}
	t.Run("replay, relay and verify put it right before anything is served", func(t *testing.T) {
		runs(t, d.environ, "replay", "all", "--yes").must(t, exitOK)
		runs(t, d.environ, "relay", "--from", "1", "--yes").must(t, exitOK)
		r := runs(t, d.environ, "verify", "--kafka").must(t, exitOK)
		if !strings.Contains(r.stdout, " 0 repeats") || !strings.Contains(r.stdout, "left out") {
			t.Errorf("verify says %s", r.stdout)
		}
		for topic, ids := range d.messages() {
			if before := without(published[topic], unfinished...); !slices.Equal(without(ids, unfinished...), before) {
				t.Errorf("%s has %v, before the loss it had %v", topic, ids, before)
			}
		}
	})
	d.start()
	t.Run("what was under way goes on", func(*testing.T) {
		d.is(hasty, "CANCELED", "")
		d.rests()
	})
	t.Run("nobody is charged, refunded or written to again", func(t *testing.T) {
		if after := without(rowsOf(t, d.db, drillBooks...), unfinished...); !slices.Equal(after, books) {
			t.Errorf("the books are\n%s\nthey were\n%s", strings.Join(after, "\n"), strings.Join(books, "\n"))
		}
		if n := sentToOthers(mails, hasty); n != sent {
			t.Errorf("%d mails were sent again", n-sent)
		}
	})
	t.Run("buyers see their orders with their tokens, and a request that is repeated is known", func(t *testing.T) {
		now := d.seen()
		for buyer, order := range seen {
			if now[buyer] != order {
				t.Errorf("the order of %s is %s, it was %s", buyer, now[buyer], order)
			}
		}
		if again := d.sell("buys", 1); !again.replayed || again.OrderID != lost.sales["buys"].OrderID || again.Token != lost.sales["buys"].Token {
			t.Errorf("asked for again the order is %+v", again)
		}
	})
	t.Run("selling goes on", func(t *testing.T) {
		last := ""
		for _, s := range d.sales {
			last = max(last, s.OrderID)
		}
		if s := d.sell("comes-later", 1); s.replayed || s.OrderID <= last {
			t.Errorf("the next order after %s is %+v", last, s)
		}
		for _, buyer := range []string{"comes-later", "waits"} {
			d.is(buyer, "CONFIRMED", "")
			d.paid(buyer)
			d.is(buyer, "COMPLETED", "")
		}
		d.rests()
		if n := sentToOthers(mails, hasty) - sent; n != 3 { // the later one's QR code and tickets, tickets for who waited
			t.Errorf("%d mails were sent since", n)
		}
		d.proves()
	})
}

// anotherHistory is what the operator does to ids that were given out and are not known any more.
const anotherHistory = `INSERT INTO order_ids (day, next) SELECT d::date, 1000001 FROM generate_series(now() - interval '1 day', now(), '1 day') AS d
	ON CONFLICT (day) DO UPDATE SET next = order_ids.next + 1000000`

func TestALogThatLostItsEndGoesOnOnTopicsOfItsOwn(t *testing.T) {
	t.Parallel()
	mails := mailtest.Start(t, mailtest.Config{})
	lost := newDrill(t, devstack.Postgres(t), mails)
	lost.start()
	lost.newShow(1, 100)
	lost.sell("early", 1)
	lost.is("early", "CONFIRMED", "")
	lost.rests()
	lost.stop()
	dump := emptyDatabase(t)
	d := &drill{officeOn(t, dump, lost.kafka, "SMTP_URL="+mails.URL(), "MAIL_FROM=tickets@box.example"), mails, map[string]sale{"early": lost.sales["early"]}}
	runs(t, d.environ, "migrate").must(t, exitOK)
	restore(t, lost.db, d.db, keptTables(t))

	lost.start()
	late := lost.sell("late", 1)
	lost.is("late", "CONFIRMED", "")
	lost.rests()
	lost.stop()
	runs(t, d.environ, "replay", "all", "--yes").must(t, exitOK)

	t.Run("the tools tell it", func(t *testing.T) {
		if r := runs(t, d.environ, "doctor"); !strings.Contains(r.stdout, "fail published events: ") || !strings.Contains(r.stdout, "which the log does not have") {
			t.Errorf("doctor says %s", r.stdout)
		}
		if r := runs(t, d.environ, "relay", "--from", "1", "--yes").must(t, exitFault); !strings.Contains(r.stderr, "another KAFKA_TOPIC_PREFIX") {
			t.Errorf("relay says %s", r.stderr)
		}
		if r := runs(t, d.environ, "verify", "--kafka"); !strings.Contains(r.stderr, "are no events of the log") {
			t.Errorf("verify says %s %s", r.stdout, r.stderr)
		}
	})
	t.Run("a service that is started nevertheless says so, and shows nothing that the log does not have", func(t *testing.T) {
		d.start()
		d.await("all is read", d.readOn)
		d.stop()
		if !strings.Contains(d.said, "message claims a position that the log does not have") {
			t.Errorf("it says %s", d.said)
		}
		if rows := rowsOf(t, d.db, "order_status"); len(rows) != 1 || !strings.Contains(rows[0], d.sales["early"].OrderID) {
			t.Errorf("orders are %v", rows)
		}
	})
	t.Run("on topics of its own it goes on, with other ids", func(t *testing.T) {
		if _, err := d.db.ExecContext(t.Context(), anotherHistory); err != nil {
			t.Fatal(err)
		}
		d.kafka = &devstack.TestKafka{Brokers: lost.kafka.Brokers, Prefix: lost.kafka.Prefix + "second-"}
		d.environ = append(d.environ, "KAFKA_TOPIC_PREFIX="+d.kafka.Prefix)
		runs(t, d.environ, "relay", "--from", "1", "--yes").must(t, exitOK)
		d.start()
		if s := d.sell("comes-later", 1); s.OrderID <= late.OrderID {
			t.Errorf("the lost order was %s, the next one is %s", late.OrderID, s.OrderID)
		}
		for _, buyer := range []string{"early", "comes-later"} {
			d.is(buyer, "CONFIRMED", "")
			d.paid(buyer)
			d.is(buyer, "COMPLETED", "")
		}
		d.pays(late.OrderID, "late") // the gateway delivers again
		d.await("money for the lost order is an open item", func() string {
			if items := rowsOf(t, d.db, "open_items"); len(items) != 1 || !strings.Contains(items[0], late.OrderID) {
				return fmt.Sprint(items)
			}
			return ""
		})
		d.rests()
		d.proves()
	})
}
