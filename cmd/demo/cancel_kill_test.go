package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

var (
	kills  = flag.Int("kills", 5, "how often the demo is killed while a canceled show is refunded")
	orders = flag.Int("orders", 400, "paid orders of a show that is canceled")
)

const (
	sellers       = 64                     // at once, to have the orders placed and paid
	price         = 150_000                // of an order, which is one ticket
	cancelDelay   = 200 * time.Millisecond // the longest between what is seen of the work and the kill
	crashEvery    = 5                      // with one kill of so many, Postgres crashes too
	closePatience = 60 * time.Second       // of a test that waits for refunds
)

// TestACanceledShowIsRefundedOnceHoweverOftenTheDemoIsKilled kills the demo again and again while a canceled
// show gives its orders back, and counts the refunds at the gateway. What does not fit into one show's work goes
// on with another show.
func TestACanceledShowIsRefundedOnceHoweverOftenTheDemoIsKilled(t *testing.T) {
	random := rand.New(rand.NewPCG(*seed, 1))
	client := &http.Client{Timeout: startPatience, Transport: &http.Transport{MaxIdleConnsPerHost: sellers}}
	defer client.CloseIdleConnections()
	program, dir := build(t), filepath.Join(t.TempDir(), "data")
	d := launch(t, dir, program)
	done, early := 0, 0 // kills, and those that came while work was left
	for round := 1; done < *kills; round++ {
		c := &calling{orders: *orders}
		c.live(d)
		c.show, c.before = d.stage(*orders), c.count(`SELECT count(*) FROM simulator_refunds`)
		c.sell(client)
		c.cancel()
		begun, killed := time.Now(), 0
		for done < *kills {
			if !c.awaitPart(random, *kills-done) {
				break // all is done
			}
			crash := done%crashEvery == crashEvery-1
			if crash {
				c.crashPostgres()
			}
			at := time.Now()
			c.kill()
			c.awaitKilled()
			c.live(launch(t, dir, program))
			done++
			killed++
			left := c.leftAt(at)
			if left > 0 {
				early++
			}
			t.Logf("kill %d: %d of %d refunds were not recorded, Postgres crashed %v; ready again after %s",
				done, left, *orders, crash, c.took.Round(time.Millisecond))
		}
		c.prove()
		d = c.running
		t.Logf("round %d: %d orders refunded once each, through %d kills, in %s", round, *orders, killed, time.Since(begun).Round(time.Millisecond))
	}
	events := d.verify()
	d.terminate()
	d.awaitNobody()
	t.Logf("%d of %d kills came while work was left; %d events verified", early, done, events)
	if early == 0 {
		t.Error("no kill came while work was left")
	}
}

// calling is a show that is called off.
type calling struct {
	*running
	db     *sqlx.DB
	show   int64
	orders int
	before int // refunds that were made before
}

// live takes up with a demo that runs.
func (c *calling) live(d *running) {
	d.t.Helper()
	db, err := eventstore.OpenDB(d.about.DatabaseURL, 1)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	c.running, c.db = d, db
}

// stage puts a show with so many tickets on sale.
func (d *running) stage(tickets int) int64 {
	d.t.Helper()
	text := d.send("POST", "/shows", fmt.Sprintf(`{"name":"Show","venue":"Hall","startsAt":"2031-01-02T20:00:00+07:00",
		"timeZone":"Asia/Jakarta","currency":"IDR","ticketTypes":[{"ticketTypeId":1,"name":"Standing","price":%d,"capacity":%d}]}`, price, tickets),
		"Idempotency-Key", "stage-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	var show views.Show
	if err := json.Unmarshal(text, &show); err != nil || show.ShowID == 0 {
		d.t.Fatalf("POST /shows: %s %v", text, err)
	}
	return show.ShowID
}

// sell has so many orders placed and paid.
func (c *calling) sell(client *http.Client) {
	c.t.Helper()
	next := make(chan int)
	var selling sync.WaitGroup
	for range sellers {
		selling.Go(func() {
			for i := range next {
				id, _, err := c.place(client, c.show, fmt.Sprint("buyer-", i))
				if err != nil || id == "" {
					c.t.Errorf("order %d: %q %v", i, id, err)
					continue
				}
				status, _, text, err := c.try(client, "POST", "/webhooks/payment", fmt.Sprintf(
					`{"header":{"requestId":"%d","requestDS":"2025-02-03T12:00:00Z","uName":"GATEWAY"},"payload":{"paymentId":%q,"status":"SUCCESS"}}`, i, id))
				if err != nil || status != http.StatusOK {
					c.t.Errorf("money for %s: %d %s %v", id, status, text, err)
				}
			}
		})
	}
	for i := range c.orders {
		next <- i
	}
	close(next)
	selling.Wait()
	var would views.Cancellation
	c.await("all orders are paid", func() string {
		if err := json.Unmarshal(c.send("POST", c.path("/cancel?dryRun=true"), ""), &would); err != nil {
			return err.Error()
		}
		if would.Orders.Completed == int64(c.orders) && would.Orders.Open == 0 && would.Tickets.Sold == int64(c.orders) &&
			would.Refund.Amount == int64(c.orders)*price {
			return ""
		}
		return fmt.Sprintf("a dry run says %+v", would)
	})
}

func (c *calling) path(end string) string { return "/shows/" + strconv.FormatInt(c.show, 10) + end }

func (c *calling) cancel() {
	c.t.Helper()
	var show views.Show
	text := c.send("POST", c.path("/cancel"), `{"reason":"storm"}`)
	if err := json.Unmarshal(text, &show); err != nil || show.Status != views.Canceled || show.Refunds == nil {
		c.t.Fatalf("cancel: %s %v", text, err)
	}
}

// awaitPart waits for a random part of what is left: orders that end, refunds at the gateway. It is chosen so
// that the kills that are to come fit into the work, then a random moment is added. It reports false when all
// is done.
func (c *calling) awaitPart(random *rand.Rand, kills int) bool {
	c.t.Helper()
	whole := 2 * c.orders
	begun := c.progress()
	part := 1 + int(random.Float64()*2*float64(whole-begun)/float64(kills+1))
	more := false
	c.await("the work goes on", func() string {
		now := c.progress()
		more = now < whole
		if !more || now >= begun+part {
			return ""
		}
		return fmt.Sprintf("%d of %d, waiting for %d more than %d", now, whole, part, begun)
	})
	if more {
		soon := random.Float64() * random.Float64() // most of the work of a step is done soon after it
		<-time.After(time.Duration(soon * float64(cancelDelay)))
	}
	return more
}

// progress counts the orders that were given back and the refunds that the gateway has made.
func (c *calling) progress() int {
	c.t.Helper()
	sold := c.count(`SELECT data->'totals'->0->>'sold' FROM events WHERE stream = $1 ORDER BY version DESC LIMIT 1`, domain.ShowStream(c.show))
	return c.orders - sold + c.count(`SELECT count(*) FROM simulator_refunds`) - c.before
}

// paymentsOf are the payments of the show $1.
const paymentsOf = `SELECT data->>'paymentId' FROM events WHERE type = 'PaymentRequested' AND (data->>'showId')::bigint = $1`

// leftAt counts the refunds whose end was not recorded at a time.
func (c *calling) leftAt(at time.Time) int {
	c.t.Helper()
	return c.orders - c.count(`SELECT count(*) FROM events WHERE type = 'RefundCompleted' AND (data->>'showId')::bigint = $1 AND recorded_at <= $2`, c.show, at)
}

// prove waits until the show is done with, and counts.
func (c *calling) prove() {
	c.t.Helper()
	want := views.Refunds{Done: int64(c.orders)}
	c.await("everybody has the money back", func() string {
		var show views.Show
		if err := json.Unmarshal(c.send("GET", c.path(""), ""), &show); err != nil {
			return err.Error()
		}
		if show.Refunds == nil || *show.Refunds != want || show.TicketTypes[0].Held != 0 || show.TicketTypes[0].Sold != 0 {
			return fmt.Sprintf("refunds %+v, ticket types %+v", show.Refunds, show.TicketTypes)
		}
		return ""
	})
	for what, query := range map[string]string{
		"refunds":              `SELECT count(*) FROM simulator_refunds WHERE payment_id IN (` + paymentsOf + `)`,
		"payments refunded":    `SELECT count(DISTINCT payment_id) FROM simulator_refunds WHERE payment_id IN (` + paymentsOf + `)`,
		"money refunded/price": `SELECT coalesce(sum(amount), 0)::bigint / 150000 FROM simulator_refunds WHERE payment_id IN (` + paymentsOf + `)`,
		"orders canceled": `SELECT count(*) FROM order_status WHERE show_id = $1 AND status = 'CANCELED'
			AND reason = 'SHOW_CANCELED' AND refund_status = 'DONE' AND refund_amount = total`,
	} {
		if n := c.count(query, c.show); n != c.orders {
			c.t.Errorf("%s: %d, want %d", what, n, c.orders)
		}
	}
	if n := c.count(`SELECT count(*) FROM due WHERE show_id = $1`, c.show); n != 0 {
		c.t.Error("the show is still due")
	}
}

// crashPostgres stops the demo's database without any shutdown work, as the demo is about to be killed, too.
func (c *calling) crashPostgres() {
	c.t.Helper()
	files, _ := filepath.Glob(filepath.Join(c.dir, "postgres", "*", "postmaster.pid")) // the pattern is well formed
	if len(files) != 1 {
		c.t.Fatalf("the database says where it runs in %q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		c.t.Fatal(err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		c.t.Fatal(err)
	}
}

// await looks until something is so. What is not so yet says why.
func (c *calling) await(what string, so func() string) {
	c.t.Helper()
	for end := time.Now().Add(closePatience); ; <-time.After(time.Millisecond) {
		not := so()
		if not == "" {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: not within %s: %s\n%s", what, closePatience, not, c.said)
		}
	}
}

// count is what a query of the demo's database counts.
func (c *calling) count(query string, args ...any) int {
	c.t.Helper()
	var n int
	if err := c.db.GetContext(c.t.Context(), &n, query, args...); err != nil {
		c.t.Fatal(err)
	}
	return n
}
