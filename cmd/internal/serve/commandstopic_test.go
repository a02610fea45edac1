package serve_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/devstack"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/messaging"
)

func nativeOrder(customer string, quantity int) string {
	return fmt.Sprintf(`{"showId":1,"ticketTypeId":1,"quantity":%d,"customer":{"id":%q},"paymentMethod":"QRIS"}`, quantity, customer)
}

// tokenOf is the buyer's secret of an order, as HTTP gives it.
func tokenOf(t *testing.T, orderID string) string {
	t.Helper()
	secrets, err := httpapi.ParseSecrets("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	return secrets.OrderToken(orderID)
}

func TestAClientThatSpeaksKafkaBuysAndCancels(t *testing.T) {
	o, p := running(t, longHold)
	p.createShow(1, 3)
	k := o.kafkaClient()
	const ownerOrder = `{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},
		"payload":{"ticketId":1,"eventId":1,"quantity":2,"paymentMethod":"QRIS"}}`
	var first, second notice

	t.Run("an order in the owner's format, which comes twice, is one order", func(t *testing.T) {
		r := record{kind: "PlaceOrder", id: "first", body: ownerOrder, partition: 1}
		k.send(r, r)
		first = k.await("first")
		if first.Status != "PENDING" || first.ShowID != 1 || first.Source != kafkaSource || first.key != first.OrderID {
			t.Fatalf("told %+v", first)
		}
		if order := p.await(first.OrderID, domain.Confirmed); order.Quantity != 2 || order.Customer == nil || order.Customer.ID != "USER_TESTING" {
			t.Errorf("order %+v", order)
		}
	})
	t.Run("a native order", func(t *testing.T) {
		k.send(record{kind: "PlaceOrder", id: "second", body: nativeOrder("u1", 1), partition: 2})
		second = k.await("second")
		if order := p.await(second.OrderID, domain.Confirmed); order.Quantity != 1 || order.OrderID == first.OrderID {
			t.Errorf("order %+v", order)
		}
	})
	t.Run("a refusal is told, and no order", func(t *testing.T) {
		k.send(record{kind: "PlaceOrder", id: "third", body: nativeOrder("u2", 1)})
		n := k.await("third")
		if n.Status != "REJECTED" || n.Code != "sold_out" || n.ShowID != 1 || n.Source != kafkaSource || n.At.IsZero() || n.Detail == "" {
			t.Errorf("told %+v", n)
		}
		if strings.Contains(n.body, "orderId") || n.key != "third" {
			t.Errorf("key %q: %s", n.key, n.body)
		}
		for name, want := range map[string]string{
			"ce_specversion": "1.0", "ce_type": "boxoffice.StatusChanged.v1", "ce_source": "/boxoffice", "ce_subject": "show-1",
			"content-type": "application/json",
		} {
			if n.headers[name] != want {
				t.Errorf("%s is %q, want %q", name, n.headers[name], want)
			}
		}
		k.send(record{kind: "PlaceOrder", id: "third", body: nativeOrder("u2", 1)})
		eventually(t, "the repeat is refused under the same id", func() string {
			if all := k.answers()["third"]; len(all) != 2 || all[0].headers["ce_id"] != all[1].headers["ce_id"] {
				return fmt.Sprintf("%+v", all)
			}
			return ""
		})
	})
	t.Run("the same id with another order is refused", func(t *testing.T) {
		k.send(record{kind: "PlaceOrder", id: "second", body: nativeOrder("u1", 2)})
		eventually(t, "a refusal", func() string {
			all := k.answers()["second"]
			if len(all) != 2 || !hasCode(all, "idempotency_mismatch") {
				return fmt.Sprintf("%+v", all)
			}
			return ""
		})
	})
	t.Run("an order ends with its token only", func(t *testing.T) {
		cancel := func(token string) string { return fmt.Sprintf(`{"orderId":%q,"token":%q}`, first.OrderID, token) }
		k.send(
			record{kind: "CancelOrder", id: "stolen", body: cancel(tokenOf(t, second.OrderID))},
			record{kind: "CancelOrder", id: "cancel", body: cancel(tokenOf(t, first.OrderID))},
		)
		if n := k.await("stolen"); n.Status != "REJECTED" || n.Code != "unauthorized" || n.OrderID != first.OrderID || n.key != first.OrderID {
			t.Errorf("told %+v", n)
		}
		if n := k.await("cancel"); n.Status != "CANCELED" || n.Reason != "CUSTOMER" || n.OrderID != first.OrderID {
			t.Errorf("told %+v", n)
		}
		p.await(first.OrderID, domain.Canceled)
	})
	if n := o.number(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`); n != 2 {
		t.Errorf("%d orders", n)
	}
	p.awaitStock(1, 1, 0, 2)
}

func hasCode(notices []notice, code string) bool {
	for _, n := range notices {
		if n.Code == code {
			return true
		}
	}
	return false
}

func TestWhatIsNoCommandIsADeadLetterAndHoldsNothingUp(t *testing.T) {
	o, p := running(t, longHold)
	p.createShow(1, 10)
	k := o.kafkaClient()
	poison := []struct {
		record
		reason string
	}{
		{record{kind: "PlaceOrder", id: "a", body: "garbage"}, "not valid JSON"},
		{record{kind: "PlaceOrder", id: "b", body: strings.Replace(nativeOrder("u", 1), "{", `{"seat":1,`, 1)}, "/seat is not known"},
		{record{kind: "PlaceOrder", id: "c", body: nativeOrder("u", 0)}, "/quantity must be from 1"},
		{record{kind: "boxoffice.OrderPlaced.v1", id: "d", body: nativeOrder("u", 1)}, "is not a command of this topic"},
		{record{kind: "PlaceOrder", body: nativeOrder("u", 1)}, "ce_id is missing"},
		{record{kind: "PlaceOrder", id: "f", body: nativeOrder("u", 1), headers: map[string]string{"ce_source": ""}}, "ce_source is missing"},
		{record{kind: "CancelOrder", id: "g", body: `{"orderId":"1","token":"x"}`}, "/orderId must be an order's id"},
		{record{kind: "PlaceOrder", id: "h", body: `"` + strings.Repeat("x", 950_000) + `"`}, "the body has 950002 bytes"},
		{record{kind: "PlaceOrder", id: "i", headers: map[string]string{"x": strings.Repeat("x", 1_040_000)}}, "is not valid JSON"},
		{record{}, "ce_type is missing"},
	}
	for i, bad := range poison {
		good := record{kind: "PlaceOrder", id: fmt.Sprint("good ", i), body: nativeOrder("u", 1)}
		k.send(bad.record, good)
	}
	for i := range poison {
		if n := k.await(fmt.Sprint("good ", i)); n.Status != "PENDING" {
			t.Errorf("behind %d: %+v", i, n)
		}
	}
	eventually(t, "all are dead letters, and done", func() string {
		if n := len(k.read("dead-letter-topic")); n != len(poison) {
			return fmt.Sprint(n)
		}
		return o.groupBehind("commands", messaging.CommandsTopic)
	})
	for _, bad := range poison {
		if !hasLetter(k.read("dead-letter-topic"), bad.record, bad.reason) {
			t.Errorf("no dead letter for %.100q with %q", bad.body, bad.reason)
		}
	}
}

func hasLetter(letters []*sarama.ConsumerMessage, r record, reason string) bool {
	for _, m := range letters {
		headers := headersOf(m)
		same := headers["ce_id"] == r.id && headers["ce_type"] == r.kind && strings.HasPrefix(r.body, string(m.Value))
		if same && string(m.Key) == "1" && strings.Contains(headers[messaging.DeadReason], reason) &&
			headers[messaging.DeadTopic] == "commands-topic" {
			return true
		}
	}
	return false
}

func TestOrdersFromAllPartitionsAreServedInTheirOrderAndNeverTooMany(t *testing.T) {
	const orders, tickets, partitions = 300, 50, 4
	o, p := running(t, longHold)
	p.createShow(1, tickets)
	k := o.kafkaClient()
	records := make([]record, orders)
	for i := range records {
		records[i] = record{
			kind: "PlaceOrder", id: fmt.Sprint(i), body: nativeOrder(fmt.Sprint("u", i), 1), partition: int32(i % partitions),
		}
	}
	k.send(records...)
	var answers map[string][]notice
	eventually(t, "all are answered", func() string {
		if answers = k.answers(); len(answers) < orders {
			return fmt.Sprintf("%d are", len(answers))
		}
		return ""
	})
	placed, over, newest := 0, map[int32]bool{}, map[int32]string{}
	for _, r := range records {
		all := answers[r.id]
		switch {
		case len(all) == 1 && all[0].Status == "PENDING":
			placed++
			if over[r.partition] {
				t.Errorf("order %s was placed after one before it in partition %d was refused", r.id, r.partition)
			}
			if all[0].OrderID < newest[r.partition] { // ids are drawn in the order of decisions
				t.Errorf("order %s was decided before one that stands before it in partition %d", r.id, r.partition)
			}
			newest[r.partition] = all[0].OrderID
		case len(all) == 1 && all[0].Code == "sold_out":
			over[r.partition] = true
		default:
			t.Errorf("order %s: %+v", r.id, all)
		}
	}
	if placed != tickets {
		t.Errorf("%d orders for %d tickets", placed, tickets)
	}
	p.awaitStock(1, tickets, 0, 0)
}

func TestEachMessageIsOneOrderWhateverStops(t *testing.T) {
	const orders = 1200
	kafka := devstack.OwnKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	k := o.kafkaClient()
	placed := func() int64 { return o.number(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`) }
	records := make([]record, orders)
	for i := range records {
		records[i] = record{kind: "PlaceOrder", id: fmt.Sprint(i), body: nativeOrder(fmt.Sprint("u", i), 1), partition: int32(i % 4)}
	}
	more := func(n int64) {
		t.Helper()
		eventually(t, "more orders", func() string {
			if now := placed(); now < n {
				return fmt.Sprint(now)
			}
			return ""
		})
	}
	k.send(records[:orders/3]...)
	more(20)
	if err := kafka.Server.CutOff(); err != nil {
		t.Fatal(err)
	}
	if err := kafka.Server.Reconnect(); err != nil {
		t.Fatal(err)
	}
	k.send(records[orders/3 : 2*orders/3]...)
	more(orders/3 + 20)
	p.stop()
	k.send(records[2*orders/3:]...)
	k.send(records[:orders/2]...) // a client that was not answered sends again
	o.start("one", config.AllRoles()...)
	more(orders)
	eventually(t, "every message is done", func() string { return o.groupBehind("commands", messaging.CommandsTopic) })
	if n := placed(); n != orders {
		t.Errorf("%d orders from %d messages", n, orders)
	}
	o.awaitRest()
	ids := map[string]bool{}
	answers := k.answers()
	for id, all := range answers {
		for _, n := range all {
			ids[n.OrderID] = true
			if n.Status != "PENDING" || n.OrderID != all[0].OrderID {
				t.Errorf("command %s: %+v", id, all)
			}
		}
	}
	if len(answers) != orders || len(ids) != orders {
		t.Errorf("%d commands answered, with %d orders", len(answers), len(ids))
	}
}

func TestMessagesWaitForPostgres(t *testing.T) {
	const orders = 600
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	k := o.kafkaClient()
	records := make([]record, orders)
	for i := range records {
		records[i] = record{kind: "PlaceOrder", id: fmt.Sprint(i), body: nativeOrder(fmt.Sprint("u", i), 1), partition: int32(i % 4)}
	}
	k.send(records[:orders/2]...)
	eventually(t, "some orders", func() string {
		if n := o.number(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`); n < 20 {
			return fmt.Sprint(n)
		}
		return ""
	})
	if err := postgres.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	k.send(records[orders/2:]...)
	<-time.After(*postgresAway) // this is the outage, not a way to wait for something
	if err := postgres.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*patience, "every message is one order", func() string {
		if n := len(k.answers()); n != orders {
			return fmt.Sprint(n)
		}
		return o.groupBehind("commands", messaging.CommandsTopic)
	})
	if n := o.number(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`); n != orders {
		t.Errorf("%d orders", n)
	}
	if letters := k.read("dead-letter-topic"); len(letters) != 0 {
		t.Errorf("%d dead letters: %v", len(letters), headersOf(letters[0]))
	}
}
