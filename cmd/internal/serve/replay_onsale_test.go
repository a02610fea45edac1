package serve_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/views"
	"boxoffice/projections/logtest"
)

var (
	replayFor    = flag.Duration("replay-for", 8*time.Second, "how long tickets are sold while read models are replayed")
	replayBuyers = flag.Int("replay-buyers", 4, "buyers at once while read models are replayed")
	replayPast   = flag.Int("replay-past", 5_000, "events that are there before tickets are sold while read models are replayed")
)

const (
	firstSale    = 901 // show; lower numbers are of the log that was there before
	saleShows    = 2
	saleReaders  = 4
	saleCapacity = int64(1_000_000)
)

// sale is an on-sale whose orders and stocks are read all the time.
type sale struct {
	client
	stop chan struct{}
	all  sync.WaitGroup

	mu     sync.Mutex
	ids    []string
	orders map[string]int64 // the highest version that a read has shown
	stocks [saleShows]int64
	placed []timed
	reads  []timed
	failed int
	torn   int
}

// timed is something that took a while.
type timed struct {
	at   time.Time
	took time.Duration
}

// sell lets people buy, each under a name of their own, and others read.
func (p *process) sell(who string) *sale {
	s := &sale{client: p.client, stop: make(chan struct{}), orders: map[string]int64{}}
	for b := range *replayBuyers {
		s.all.Go(func() { s.until(func(n int) { s.buy(fmt.Sprintf("%s-%d-%d", who, b, n), n) }) })
	}
	for r := range saleReaders {
		random := rand.New(rand.NewPCG(uint64(r), 1))
		s.all.Go(func() { s.until(func(int) { s.read(random) }) })
	}
	return s
}

func (s *sale) until(do func(n int)) {
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		default:
			do(n)
		}
	}
}

func (s *sale) end() {
	close(s.stop)
	s.all.Wait()
}

// buy places an order; most are paid, some fail, some stay.
func (s *sale) buy(customer string, n int) {
	begun := time.Now()
	p := s.place(wish{customer: customer, show: firstSale + int64(n%saleShows)})
	took := time.Since(begun)
	if p.status != http.StatusOK || p.err != nil {
		s.o.t.Errorf("%s got %s %v", customer, p.answer, p.err)
		return
	}
	s.mu.Lock()
	s.placed = append(s.placed, timed{begun, took})
	s.ids = append(s.ids, p.orderID)
	s.mu.Unlock()
	if status := []string{"SUCCESS", "SUCCESS", "SUCCESS", "FAILED", ""}[n%5]; status != "" {
		if a := s.webhook(p.orderID, status); a.status != http.StatusOK {
			s.o.t.Errorf("webhook %s %s: %s", p.orderID, status, a)
		}
	}
}

// read reads an order, a stock or the shows, and compares it with what was read before it began.
func (s *sale) read(random *rand.Rand) {
	switch n := random.IntN(10); {
	case n < 6:
		s.readOrder(random)
	case n < 9:
		s.readStock(random.IntN(saleShows))
	default:
		begun := time.Now()
		var page struct{ Shows []views.Show }
		a := s.send("GET", "/shows", nil)
		if s.answered(begun, "/shows", a, &page) && len(page.Shows) < saleShows {
			s.tears("/shows", a)
		}
	}
}

func (s *sale) readOrder(random *rand.Rand) {
	s.mu.Lock()
	if len(s.ids) == 0 {
		s.mu.Unlock()
		return
	}
	id := s.ids[random.IntN(len(s.ids))]
	if random.IntN(2) == 0 {
		id = s.ids[max(0, len(s.ids)-1-random.IntN(20))] // one of the newest
	}
	seen := s.orders[id]
	s.mu.Unlock()
	begun := time.Now()
	a := s.asOperator("GET", "/orders/"+id, nil)
	if a.status == http.StatusNotFound && seen == 0 {
		return // the read model is not that far
	}
	var order views.Order
	if !s.answered(begun, "/orders/"+id, a, &order) {
		return
	}
	if order.Version < seen || order.OrderID != id || order.Quantity != 1 || order.Status == domain.Completed && len(order.Tickets) != 1 {
		s.tears(fmt.Sprintf("/orders/%s after version %d", id, seen), a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[id] = max(s.orders[id], order.Version)
}

func (s *sale) readStock(show int) {
	s.mu.Lock()
	seen := s.stocks[show]
	s.mu.Unlock()
	begun, path := time.Now(), fmt.Sprintf("/shows/%d/availability", firstSale+show)
	a := s.send("GET", path, nil)
	var now views.Availability
	if !s.answered(begun, path, a, &now) {
		return
	}
	whole := now.Version >= seen && len(now.TicketTypes) == 1
	for _, t := range now.TicketTypes {
		whole = whole && t.Capacity == saleCapacity && t.Held >= 0 && t.Sold >= 0 && t.Capacity == t.Held+t.Sold+t.Available
	}
	if !whole {
		s.tears(fmt.Sprintf("%s after version %d", path, seen), a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stocks[show] = max(s.stocks[show], now.Version)
}

// answered reports whether a read has succeeded, and decodes it.
func (s *sale) answered(begun time.Time, path string, a answer, into any) bool {
	took := time.Since(begun)
	err := decode(a, into)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, timed{begun, took})
	if err != nil {
		s.failed++
		s.o.t.Errorf("GET %s: %v", path, err)
	}
	return err == nil
}

func (s *sale) tears(path string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.torn++
	s.o.t.Errorf("GET %s: torn: %s", path, a)
}

// window is a while in which replays ran one after the other, or none.
type window struct {
	from, to time.Time
	replays  int
}

// quantile is that of what began in windows of one kind.
func quantile(all []timed, windows []window, replays bool, q float64) (value time.Duration, n int) {
	var took []time.Duration
	for _, t := range all {
		if slices.ContainsFunc(windows, func(w window) bool {
			return (w.replays > 0) == replays && !t.at.Before(w.from) && t.at.Before(w.to)
		}) {
			took = append(took, t.took)
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(q*float64(len(took))))].Round(10 * time.Microsecond), len(took)
}

func TestReplaysDuringAnOnSaleAreNotNoticed(t *testing.T) {
	const windows = 8
	o := open(t, longHold)
	logtest.Write(t, o.db, logtest.Plan{Events: *replayPast, Shows: 5, Seed: 1})
	program := o.built()
	p := o.start("one", config.AllRoles()...)
	for show := range saleShows {
		p.createShow(int64(firstSale+show), saleCapacity)
	}
	o.awaitModels()
	s := p.sell("buyer")
	var all []window
	var seconds float64
	replays := 0
	for i := range windows {
		w := window{from: time.Now()}
		if i%2 == 0 {
			<-time.After(*replayFor / windows) // this is the time without a replay, not a way to wait for something
		} else {
			for end := w.from.Add(*replayFor / windows); time.Now().Before(end); w.replays++ {
				few := fmt.Sprint(max(300, int(100*replayFor.Seconds()))) // fewer than are sold, so several passes
				way := [][]string{{"all", "--yes"}, {"all", "--yes", "--max-rows", few}, {"all", "--dry-run"}}[replays%3]
				r := program.replay(way...)
				r.mustEnd()
				seconds += r.clean()
				replays++
			}
		}
		w.to = time.Now()
		all = append(all, w)
	}
	s.end()
	o.awaitRestWithin(3 * patience)
	t.Logf("%d orders; %d replays of %.2f s on average; %d reads, %d failed, %d torn; the log has %d events",
		len(s.placed), replays, seconds/float64(max(replays, 1)), len(s.reads), s.failed, s.torn, o.head())
	for what, timings := range map[string][]timed{"placing an order": s.placed, "reading": s.reads} {
		for _, q := range []float64{0.5, 0.99, 1} {
			without, n := quantile(timings, all, false, q)
			beside, m := quantile(timings, all, true, q)
			t.Logf("%s, p%.0f: %s without a replay (%d), %s beside replays (%d)", what, 100*q, without, n, beside, m)
		}
	}
	live := o.digests()
	if r := program.replay("all", "--dry-run"); r.ends() != 0 {
		t.Errorf("after that rows differ: %s %s", r, r.stdout.String())
	}
	program.replay("all", "--yes").mustEnd()
	o.sameModels("a replay after the sale", live)
	p.replayBesideAReader(program)
	if n := o.leftovers(); n != 0 {
		t.Errorf("there are %d schemas of replays", n)
	}
}

// clean fails where a replay that has ended has found a row that differs. It returns the seconds that it took.
func (r *replaying) clean() float64 {
	r.o.t.Helper()
	var report struct {
		Seconds    float64
		DryRun     bool
		ReadModels []struct {
			Projection string
			Swapped    bool
			Tables     []struct {
				Table                          string
				Equal, Behind, Differ, Surplus int64
				Differences                    []struct{ Key, Detail string }
			}
		}
	}
	if err := json.Unmarshal(r.stdout.Bytes(), &report); err != nil {
		r.o.t.Fatalf("%s: %v", strings.TrimSpace(r.stdout.String()), err)
	}
	for _, m := range report.ReadModels {
		for _, table := range m.Tables {
			if m.Swapped == report.DryRun || table.Differ+table.Surplus > 0 {
				r.o.t.Errorf("beside sales %s: swapped %v, %+v", m.Projection, m.Swapped, table)
			}
		}
	}
	return report.Seconds
}

// replayBesideAReader swaps tables that somebody reads for long, which holds up nobody but the replay.
func (p *process) replayBesideAReader(program *program) {
	o, t := p.o, p.o.t
	t.Helper()
	s := p.sell("later")
	tx, err := o.db.BeginTxx(t.Context(), nil) // as a report or a dump does
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0; SELECT count(*) FROM order_status; SELECT count(*) FROM shows`); err != nil {
		t.Fatal(err)
	}
	r := program.replay("all", "--yes")
	if !r.reaches("swap") {
		t.Fatalf("it did not come to swap: %s", r)
	}
	const held = 4 * time.Second
	from := time.Now()
	select {
	case <-time.After(held): // this is what is done, not a way to wait for something
	case <-r.ended:
		t.Errorf("the replay ended beside a reader: %s", r)
	}
	during := []window{{from: from, to: time.Now()}}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	code := r.ends()
	s.end()
	read, reads := quantile(s.reads, during, false, 1)
	placed, orders := quantile(s.placed, during, false, 1)
	t.Logf("somebody held tables for %s: %d reads, the slowest took %s; %d orders, the slowest took %s; the replay ended with %d",
		held, reads, read, orders, placed, code)
	if read > time.Second {
		t.Errorf("a read waited %s behind the swap", read)
	}
	if code != 0 {
		t.Errorf("the replay ended with %d: %s", code, r)
	}
	o.awaitRestWithin(3 * patience)
}
