package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/internal/devstack"
	"boxoffice/internal/payments"
)

const (
	testOperator = "0123456789abcdef0123456789abcdef"
	testWebhook  = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
)

// office is a running service and the environment in which it was started.
type office struct {
	t       *testing.T
	environ []string
	url     string
	db      *sqlx.DB
	pg      *devstack.TestPostgres
	kafka   *devstack.TestKafka
	stop    func()
	said    string // by the service, once it was stopped
}

// serving starts the service on servers of its own, and ends it with the test.
func serving(t *testing.T) *office {
	t.Helper()
	o := officeOn(t, devstack.OwnPostgres(t, nil), devstack.OwnKafka(t))
	o.start()
	return o
}

// officeOn is an office in which nothing is started yet.
func officeOn(t *testing.T, pg *devstack.TestPostgres, kafka *devstack.TestKafka, more ...string) *office {
	t.Helper()
	address := closedAddress(t)
	return &office{t: t, url: "http://" + address, db: pg.Open(t), pg: pg, kafka: kafka, stop: func() {}, environ: append([]string{
		"DATABASE_URL=" + pg.URL, "KAFKA_BROKERS=" + strings.Join(kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + kafka.Prefix,
		"KAFKA_REPLICATION=1", "HTTP_ADDR=" + address, "METRICS_ADDR=127.0.0.1:0", "INSTANCE_ID=test", "DRAIN=0s",
		"SECRET_KEYS=" + testOperator, "OPERATOR_KEYS=ana:admin:" + testOperator, "PAYMENT_WEBHOOK_SECRET=" + testWebhook,
	}, more...)}
}

// start starts the service with some flags; it ends with stop or the test.
func (o *office) start(flags ...string) {
	o.t.Helper()
	ctx, terminate := context.WithCancel(context.WithoutCancel(o.t.Context()))
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- run(ctx, append([]string{"serve"}, flags...), surroundings{&stderr, &stderr, o.environ, "test", nil, false, false})
	}()
	o.stop = sync.OnceFunc(func() {
		terminate()
		if code := <-ended; code != exitOK {
			o.t.Errorf("serve ended with %d: %s", code, stderr.String())
		}
		o.said = stderr.String()
	})
	o.t.Cleanup(o.stop)
	o.await("the service is ready", func() string {
		if !answers(o.t, o.url+"/readyz") {
			return "not yet"
		}
		return ""
	})
}

// await looks until something is so; what is not so yet says why.
func (o *office) await(what string, so func() string) {
	o.t.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); ; <-look.C {
		not := so()
		if not == "" {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("%s: %s", what, not)
		}
	}
}

// post sends JSON and gives the good answer's body.
func (o *office) post(path, body string, header http.Header) string {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.url+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if header != nil {
		request.Header = header.Clone()
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusBadRequest {
		o.t.Fatalf("POST %s: %d %s %v", path, answer.StatusCode, text, err)
	}
	return string(text)
}

func (o *office) createShow() {
	o.t.Helper()
	o.post("/shows", `{"showId":1,"name":"Gala","venue":"Hall","startsAt":"2031-01-02T20:00:00+07:00","timeZone":"Asia/Jakarta","currency":"IDR",
		"ticketTypes":[{"ticketTypeId":1,"name":"Stalls","price":150000,"capacity":100}]}`,
		http.Header{"Authorization": {"Bearer " + testOperator}, "Idempotency-Key": {"show-1"}})
}

// order places an order in the owner's format.
func (o *office) order(customer, key string) (id string) {
	o.t.Helper()
	answer := o.post("/orders/ticket", fmt.Sprintf(`{"header":{"requestId":%q,"requestDS":"2025-02-03T12:00:00Z","uName":%q},
		"payload":{"ticketId":1,"eventId":1,"quantity":1,"paymentMethod":"QRIS"}}`, key, customer), nil)
	return regexp.MustCompile(`ORDER-\d+-[0-9a-f]{8}`).FindString(answer)
}

// pays delivers money, as a gateway that repeats who paid.
func (o *office) pays(payment, customer string) {
	o.t.Helper()
	secret, err := payments.ParseSecret(testWebhook)
	if err != nil {
		o.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"header":{"requestId":"1","requestDS":"2025-02-03T12:00:00Z","uName":%q},"payload":{"paymentId":%q,"status":"SUCCESS"}}`, customer, payment)
	header := http.Header{}
	secret.Sign(header, "msg-"+payment, time.Now(), []byte(body))
	o.post("/webhooks/payment", body, header)
}

func (o *office) lag(args ...string) (result, lagView) {
	o.t.Helper()
	r := runs(o.t, o.environ, append([]string{"lag", "--json"}, args...)...)
	var view lagView
	if err := json.Unmarshal([]byte(r.stdout), &view); err != nil && r.code == exitOK {
		o.t.Fatalf("lag prints %s: %v", r.stdout, err)
	}
	return r, view
}

func TestTheOperatorLooksIntoARunningService(t *testing.T) {
	t.Parallel()
	o := serving(t)
	o.createShow()
	id := o.order("ana", "1")
	o.await("the QR code is there", func() string { return o.status(id, "CONFIRMED") })
	t.Run("lag is 0 when all has been read", func(t *testing.T) {
		var view lagView
		o.await("everything has caught up", func() string {
			_, view = o.lag()
			for _, l := range view.Readers {
				if l.Events != 0 || l.Seconds != 0 {
					return fmt.Sprintf("%+v", l)
				}
			}
			return ""
		})
		if view.Head.Position == 0 || len(view.Readers) < 5 || *view.Readers[1].Position != view.Head.Position || view.DeadLetters == nil {
			t.Errorf("it tells %+v", view)
		}
		if r := runs(t, o.environ, "lag").must(t, exitOK); !strings.Contains(r.stdout, "order_status") || !strings.Contains(r.stdout, "relay") {
			t.Errorf("it prints %s", r.stdout)
		}
	})
	t.Run("doctor finds nothing wrong", func(t *testing.T) {
		r := runs(t, o.environ, "doctor").must(t, exitOK)
		line := regexp.MustCompile(`^(ok {2}|warn|fail) [^:]+: .+$`)
		for text := range strings.Lines(r.stdout) {
			if !line.MatchString(strings.TrimSuffix(text, "\n")) {
				t.Errorf("a line is %q", text)
			}
		}
		for _, want := range []string{
			"ok   postgres: PostgreSQL", "ok   fsync: on", "ok   schema: ", "warn rights: ", "ok   session: ", "ok   listen: ", "ok   clock: ",
			"ok   disk: ", "ok   transactions: ", "warn kafka: 1 brokers", "ok   topic " + o.kafka.Prefix + "orders-topic: ", "ok   lag of order_status: 0",
			"ok   dead letters: none", "ok   parked streams: none", "warn SECRET_KEYS: entry 1 looks like a placeholder",
		} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("%q is missing in\n%s", want, r.stdout)
			}
		}
	})
	t.Run("doctor names what is wrong", func(t *testing.T) {
		for _, statement := range []string{
			`ALTER DATABASE ` + o.pg.Name + ` SET synchronous_commit = off`, `ALTER TABLE events DISABLE TRIGGER events_append_only`,
			`INSERT INTO parked (projection, stream, version, position, type, reason) VALUES ('open_items', 'payment-x', 1, 1, 'X', 'x')`,
		} {
			if _, err := o.db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		r := runs(t, o.environ, "doctor", "--json").must(t, exitFault)
		var told struct {
			OK     bool
			Checks []finding
		}
		if err := json.Unmarshal([]byte(r.stdout), &told); err != nil || told.OK {
			t.Fatalf("%v in %s", err, r.stdout)
		}
		found := map[string]finding{}
		for _, f := range told.Checks {
			found[f.Name] = f
		}
		for name, want := range map[string]status{"synchronous_commit": wrong, "append-only": wrong, "parked streams": wary, "fsync": well} {
			if got := found[name]; got.Status != want || (want != well && got.Advice == "") {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
	t.Run("what can't be reached is told, and what can be is looked at", func(t *testing.T) {
		nowhere := []string{"--kafka-brokers", closedAddress(t)}
		if r, view := o.lag(nowhere...); r.code != exitUnreachable || !strings.Contains(r.stdout, `"name":"relay"`) || view.Kafka != "" && len(view.Readers) != 1 {
			t.Errorf("lag: exit %d, %s%s", r.code, r.stdout, r.stderr)
		}
		r := runs(t, o.environ, append([]string{"doctor"}, nowhere...)...).must(t, exitUnreachable)
		if !strings.Contains(r.stdout, "fail kafka: ") || !strings.Contains(r.stdout, "ok   schema: ") {
			t.Errorf("doctor: %s", r.stdout)
		}
		r = runs(t, o.environ, "doctor", "--database-url", "postgres://u:secret-word@"+closedAddress(t)+"/x").must(t, exitUnreachable)
		if !strings.Contains(r.stdout, "fail postgres: ") || !strings.Contains(r.stdout, "kafka: 1 brokers") || strings.Contains(r.stdout+r.stderr, "secret-word") {
			t.Errorf("doctor: %s", r.stdout)
		}
	})
}

// status is empty when an order has a status, and else says which it has.
func (o *office) status(id, want string) string {
	o.t.Helper()
	var status string
	if err := o.db.GetContext(o.t.Context(), &status, `SELECT coalesce((SELECT status FROM order_status WHERE order_id = $1), '')`, id); err != nil {
		o.t.Fatal(err)
	}
	if status == want {
		return ""
	}
	return "it is " + status
}

func TestForgettingACustomer(t *testing.T) {
	t.Parallel()
	const id, email, name = "Zebulon-7731", "zebulon@mailbox.example", "Zebulon Quist"
	o := serving(t)
	o.createShow()
	first, other := o.order(id, "1"), o.order("somebody-else", "1")
	native := o.post("/orders", fmt.Sprintf(`{"showId":1,"ticketTypeId":1,"quantity":1,"customer":{"id":%q,"email":%q,"name":%q},"paymentMethod":"QRIS"}`,
		id, email, name), http.Header{"Idempotency-Key": {"a-key-of-the-customer"}})
	if !strings.Contains(native, "ORDER-") {
		t.Fatalf("the order is %s", native)
	}
	o.await("it can be paid", func() string { return o.status(first, "CONFIRMED") })
	o.pays(first, id)
	o.pays("PAY-20250101-00000001-1", email)
	o.pays(other, "somebody-else")
	o.await("it is paid", func() string { return o.status(other, "COMPLETED") })
	if found := o.naming(id, email, name); len(found) == 0 {
		t.Fatal("nothing named the customer")
	}

	t.Run("needs a yes", func(t *testing.T) {
		if r := runs(t, o.environ, "forget", id).must(t, exitFault); !strings.Contains(r.stderr, "--yes") || !strings.Contains(r.stderr, "2 orders and 2 deliveries") {
			t.Errorf("it says %s", r.stderr)
		}
		var stdout, stderr bytes.Buffer
		around := surroundings{&stdout, &stderr, o.environ, "test", strings.NewReader("n\n"), true, false}
		if code := run(t.Context(), []string{"forget", id}, around); code != exitFault || !strings.Contains(stderr.String(), "[y/N]") {
			t.Errorf("exit %d: %s", code, stderr.String())
		}
		if len(o.naming(id, email, name)) == 0 {
			t.Error("it was done without one")
		}
	})
	t.Run("leaves nothing that names them", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		around := surroundings{&stdout, &stderr, o.environ, "test", strings.NewReader("y\n"), true, false}
		if code := run(t.Context(), []string{"forget", id}, around); code != exitOK || !strings.Contains(stdout.String(), "Blanked 2 orders and 2 deliveries") {
			t.Errorf("exit %d: %s %s", code, stdout.String(), stderr.String())
		}
		if found := o.naming(id, email, name); len(found) > 0 {
			t.Errorf("still there: %s", strings.Join(found, "\n"))
		}
		if found := o.naming("somebody-else"); len(found) != 2 {
			t.Errorf("of another customer there is %v", found)
		}
	})
	t.Run("may be repeated, and changes nothing else", func(t *testing.T) {
		if r := runs(t, o.environ, "forget", id, "--json").must(t, exitOK); !strings.Contains(r.stdout, `"orders":0,"deliveries":0`) {
			t.Errorf("it prints %s", r.stdout)
		}
		if r := runs(t, o.environ, "forget", "nobody").must(t, exitOK); !strings.Contains(r.stdout, "Nothing names") {
			t.Errorf("it prints %s", r.stdout)
		}
		runs(t, o.environ, "forget", "").must(t, exitUsage)
		o.await("the log proves itself", func() string {
			if r := runs(t, o.environ, "verify", "--kafka"); r.code != exitOK {
				return r.stdout + r.stderr
			}
			return ""
		})
	})
}

// naming lists the rows of all tables in which one of the words stands, as text or as bytes.
func (o *office) naming(words ...string) []string {
	o.t.Helper()
	var tables, found []string
	if err := o.db.SelectContext(o.t.Context(), &tables, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`); err != nil {
		o.t.Fatal(err)
	}
	for _, table := range tables {
		var rows []string
		if err := o.db.SelectContext(o.t.Context(), &rows, `SELECT t::text FROM `+table+` AS t`); err != nil {
			o.t.Fatal(err)
		}
		for _, row := range rows {
			for _, word := range words {
				if strings.Contains(strings.ToLower(row), strings.ToLower(word)) || strings.Contains(row, hex.EncodeToString([]byte(word))) {
					found = append(found, table+": "+row)
					break
				}
			}
		}
	}
	return found
}
