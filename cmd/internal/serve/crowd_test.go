package serve_test

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"boxoffice/domain"
)

// attempt is what became of one order of a crowd.
type attempt struct {
	wish    wish
	orderID string        // empty: no answer came
	refused int           // times it was told to come again
	lost    int           // times it got no answer and asked again
	took    time.Duration // to the yes
	at      time.Time     // of the yes, or of the failure
}

// crowd is buyers who place one order after the other, each under a key of its own. Who is told that the
// service is not available comes again with the same request. Who gets no answer goes home, except where
// buyers have limited patience: these ask again.
type crowd struct {
	client
	stop     chan struct{}
	buyers   sync.WaitGroup
	mu       sync.Mutex
	attempts []attempt
}

func (c client) crowd(buyers int) *crowd {
	all := &crowd{client: c, stop: make(chan struct{})}
	for b := range buyers {
		all.buyers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-all.stop:
					return
				default:
				}
				if !all.buy(fmt.Sprintf("buyer-%d-%d", b, n)) {
					return
				}
			}
		})
	}
	return all
}

// buy places one order and reports whether there was an answer.
func (c *crowd) buy(customer string) bool {
	a := attempt{wish: wish{customer: customer}}
	begun := time.Now()
	for {
		p := c.place(a.wish)
		a.at, a.took, a.orderID = time.Now(), time.Since(begun), p.orderID
		if p.status == http.StatusServiceUnavailable {
			if p.code != "unavailable" && p.code != "overloaded" || p.header.Get("Retry-After") == "" || p.message != "GENERIC_ERROR" {
				c.o.t.Errorf("%s got a refusal that is not clear: %s %v", customer, p.answer, p.header)
			}
			a.refused++
			<-time.After(20 * time.Millisecond)
			continue
		}
		if p.status == 0 && c.limit > 0 {
			a.lost++
			continue
		}
		if p.status != 0 && p.status != http.StatusOK || p.status != 0 && p.err != nil {
			c.o.t.Errorf("%s got %s %v", customer, p.answer, p.err)
		}
		c.note(a)
		return p.status != 0
	}
}

func (c *crowd) note(a attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts = append(c.attempts, a)
}

// count is how many orders were answered by now.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.attempts)
}

// awaitMore waits for more answers.
func (c *crowd) awaitMore(n int) {
	c.o.t.Helper()
	want := c.count() + n
	eventually(c.o.t, fmt.Sprintf("%d more orders", n), func() string {
		if have := c.count(); have < want {
			return fmt.Sprintf("%d of %d", have, want)
		}
		return ""
	})
}

// end lets the buyers finish what they are at, and returns what became of all their orders.
func (c *crowd) end() []attempt {
	close(c.stop)
	c.buyers.Wait()
	return c.attempts
}

// settle repeats, at a process, the orders that got no answer, until they have one, and proves that the log
// has exactly the orders that somebody was told of, and that a repeat is told the same.
func (c client) settle(attempts []attempt) (repeated int) {
	t := c.o.t
	t.Helper()
	told := map[string]string{} // customer by order
	for i := range attempts {
		a := &attempts[i]
		if a.orderID == "" {
			repeated++
			eventually(t, a.wish.customer+" gets an answer", func() string {
				p := c.place(a.wish)
				a.orderID = p.orderID
				if p.status == http.StatusOK {
					return ""
				}
				return p.String()
			})
		}
		if a.refused > 0 || a.lost > 0 || i%20 == 0 {
			if again := c.place(a.wish); again.orderID != a.orderID || !again.again {
				t.Errorf("%s was told %s and then %s", a.wish.customer, a.orderID, again.answer)
			}
		}
		if other, taken := told[a.orderID]; taken {
			t.Errorf("%s and %s were both told %s", other, a.wish.customer, a.orderID)
		}
		told[a.orderID] = a.wish.customer
	}
	orders := eventsOf[domain.OrderPlaced](c.o)
	for _, e := range orders {
		if _, ok := told[e.OrderID]; !ok {
			t.Errorf("%s is in the log, but nobody was told", e.OrderID)
		}
		delete(told, e.OrderID)
	}
	for id, customer := range told {
		t.Errorf("%s was told %s, which is not in the log", customer, id)
	}
	return repeated
}

// slowest is the longest time to a yes.
func slowest(attempts []attempt) time.Duration {
	var most time.Duration
	for _, a := range attempts {
		most = max(most, a.took)
	}
	return most.Round(time.Millisecond)
}

// refused is how many times somebody was told to come again.
func refused(attempts []attempt) (times int) {
	for _, a := range attempts {
		times += a.refused
	}
	return times
}

// lost is how many times somebody got no answer and asked again.
func lost(attempts []attempt) (times int) {
	for _, a := range attempts {
		times += a.lost
	}
	return times
}
