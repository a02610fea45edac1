package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
	"boxoffice/internal/httpapi/openapitest"
	"boxoffice/internal/messaging"
	"boxoffice/projections/verify"
)

var (
	rounds = flag.Int("rounds", 2, "how often the demo is killed in the middle of a burst of orders")
	seed   = flag.Uint64("seed", 20261122, "of the moments at which it is killed")
)

const (
	burst        = 200                  // orders at once
	longestDelay = 3 * time.Millisecond // from an answer to the kill
)

// campaign kills the demo in the middle of bursts of orders, and looks after each what became of them.
func campaign(t *testing.T, program, dir string) {
	random := rand.New(rand.NewPCG(*seed, 0))
	client := &http.Client{Timeout: startPatience, Transport: openapitest.NewTransport(t, &http.Transport{MaxIdleConnsPerHost: burst})}
	defer client.CloseIdleConnections()
	var reached []int
	d := launch(t, dir, program)
	for round := range *rounds {
		show := d.newShow()
		wishes := d.buy(client, show, "before", func() {}) // opens the connections
		// Where answers come in heaps, a moment that time alone decides is mostly before or after all of them. More
		// moments are early than late, because many answers are on their way while the first are read.
		early := random.Float64() * random.Float64()
		after, delay := int64(early*burst), time.Duration(random.Int64N(int64(longestDelay)))
		killed, at := d.killDuring(client, show, after, delay)
		wishes = append(wishes, killed...)
		d.awaitKilled()

		d = launch(t, dir, program)
		unanswered, stored := d.settle(client, show, wishes)
		events := d.verify()
		reached = append(reached, burst-unanswered)
		t.Logf("round %d: killed %s after answer %d was read (%d were), %d of %d had been sent; %d of the other %d were stored; ready again after %s, %d events verified",
			round+1, delay.Round(10*time.Microsecond), after, at, burst-unanswered, burst, stored, unanswered, d.took.Round(time.Millisecond), events)
	}
	d.terminate()
	d.awaitNobody()
	t.Logf("of %d orders, answered when the demo was killed:\n%s", burst, histogram(reached))
}

// killDuring kills the demo a while after so many orders of a burst were answered. It returns the burst, and how
// many were answered when the kill was sent.
func (d *running) killDuring(client *http.Client, show, after int64, delay time.Duration) (wishes []wish, at int) {
	d.t.Helper()
	var answered atomic.Int64
	moment := make(chan struct{})
	if after == 0 {
		close(moment)
	}
	bought := make(chan []wish, 1)
	go func() {
		bought <- d.buy(client, show, "during", func() {
			if answered.Add(1) == after {
				close(moment)
			}
		})
	}()
	<-moment
	<-time.After(delay) // random on purpose
	at = int(answered.Load())
	d.kill()
	return <-bought, at
}

// wish is an order of a burst, and what was answered.
type wish struct {
	customer string
	orderID  string // empty: no answer came
}

func (d *running) newShow() int64 {
	d.t.Helper()
	text := d.send("POST", "/shows", `{"name":"Show","venue":"Hall","startsAt":"2031-01-02T20:00:00+07:00","timeZone":"Asia/Jakarta",
		"currency":"IDR","ticketTypes":[{"ticketTypeId":1,"name":"Standing","price":150000,"capacity":1000}]}`,
		"Idempotency-Key", "show-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	var show struct {
		ShowID int64 `json:"showId"`
	}
	if err := json.Unmarshal(text, &show); err != nil || show.ShowID == 0 {
		d.t.Fatalf("POST /shows: %s %v", text, err)
	}
	return show.ShowID
}

// buy places a burst of orders at once, each under a key of its own, and tells of each answer.
func (d *running) buy(client *http.Client, show int64, who string, answered func()) []wish {
	wishes := make([]wish, burst)
	var buyers sync.WaitGroup
	for i := range wishes {
		w := &wishes[i]
		w.customer = fmt.Sprintf("%s-%d", who, i)
		buyers.Go(func() {
			var err error
			if w.orderID, _, err = d.place(client, show, w.customer); err == nil {
				answered()
			}
		})
	}
	buyers.Wait()
	return wishes
}

// place places an order; the customer's name and the show are its key. An error means that no answer came.
func (d *running) place(client *http.Client, show int64, customer string) (orderID string, again bool, err error) {
	status, header, text, err := d.try(client, "POST", "/orders/ticket", fmt.Sprintf(
		`{"header":{"requestId":%q,"requestDS":%q,"uName":%q},"payload":{"ticketId":1,"eventId":%d,"quantity":1,"paymentMethod":"QRIS"}}`,
		fmt.Sprintf("%d-%s", show, customer), time.Now().UTC().Format(time.RFC3339Nano), customer, show))
	if err != nil {
		return "", false, err
	}
	var answer struct {
		Payload struct {
			OrderID string `json:"orderId"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || status != http.StatusOK || answer.Payload.OrderID == "" {
		d.t.Errorf("%s got %d %s", customer, status, text)
	}
	return answer.Payload.OrderID, header.Get("Idempotency-Replayed") == "true", nil
}

// settle repeats all orders after a restart: who was answered gets the same answer, who was not gets one, and
// the log has these orders and no others. It returns how many had no answer, and how many of these the log had.
func (d *running) settle(client *http.Client, show int64, wishes []wish) (unanswered, stored int) {
	d.t.Helper()
	told := map[string]bool{}
	for _, w := range wishes {
		id, again, err := d.place(client, show, w.customer)
		switch {
		case err != nil:
			d.t.Fatalf("%s got no answer from the new demo: %v", w.customer, err)
		case w.orderID == "":
			unanswered++
			if again {
				stored++
			}
			if id2, again, err := d.place(client, show, w.customer); err != nil || id2 != id || !again {
				d.t.Errorf("%s was told %s and then %s %v", w.customer, id, id2, err)
			}
		case id != w.orderID || !again:
			d.t.Errorf("%s was told %s before the kill, and %s after it", w.customer, w.orderID, id)
		}
		told[id] = true
	}
	if len(told) != len(wishes) {
		d.t.Errorf("%d requests have %d orders", len(wishes), len(told))
	}
	for _, id := range d.texts(`SELECT data->>'orderId' FROM events WHERE type = 'OrderPlaced' AND (data->>'showId')::bigint = $1`, show) {
		if !told[id] {
			d.t.Errorf("%s is in the log, but nobody was told", id)
		}
		delete(told, id)
	}
	for id := range told {
		d.t.Errorf("%s was told, but is not in the log", id)
	}
	return unanswered, stored
}

// verify proves the invariants, and that nobody was charged twice. It returns the number of events.
func (d *running) verify() int64 {
	d.t.Helper()
	db, err := eventstore.OpenDB(d.about.DatabaseURL, 2)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	kafka := messaging.Config{Brokers: d.about.KafkaBrokers}
	report, err := verify.Run(d.t.Context(), db, verify.Config{
		Wait: 2 * endLimit,
		Topics: func(ctx context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
			return messaging.ReadTopic(ctx, kafka, topic, func(partition int32, m messaging.Message) error {
				return fn(partition, m.Offset, m.Message)
			})
		},
	})
	if err != nil || !report.Ok() {
		d.t.Errorf("verify: %v, %d faults: %+v", err, report.Found, report.Findings[:min(10, len(report.Findings))])
	}
	for _, id := range d.texts(`SELECT order_id FROM simulator_payments GROUP BY order_id HAVING count(*) > 1`) {
		d.t.Errorf("%s was charged more than once", id)
	}
	return report.Events
}

// texts is one column of the demo's database.
func (d *running) texts(query string, args ...any) []string {
	d.t.Helper()
	db, err := eventstore.OpenDB(d.about.DatabaseURL, 1)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var found []string
	if err := db.SelectContext(d.t.Context(), &found, query, args...); err != nil {
		d.t.Fatal(err)
	}
	return found
}

// histogram draws how many values fall into each tenth of a burst.
func histogram(values []int) string {
	const tenth = burst / 10
	var counts [burst/tenth + 1]int
	for _, v := range values {
		counts[v/tenth]++
	}
	var drawing strings.Builder
	for i, n := range counts {
		from, to := i*tenth, min((i+1)*tenth-1, burst)
		fmt.Fprintf(&drawing, "%3d to %3d  %s %d\n", from, to, strings.Repeat("*", n), n)
	}
	return drawing.String()
}
