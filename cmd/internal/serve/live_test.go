package serve_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/devstack"
	"boxoffice/internal/views"
)

// follower follows a stream of a process.
type follower struct {
	t      *testing.T
	events chan string // their data; closed at the stream's end
	leave  func()
}

// follow opens a stream, which must begin. headers are names and values in turn.
func (c client) follow(path string, headers ...string) *follower {
	c.o.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.o.t.Context()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		c.o.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.o.http.Do(request)
	if err != nil {
		c.o.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		c.o.t.Fatalf("%s: %s", path, response.Status)
	}
	f := &follower{t: c.o.t, events: make(chan string, 100)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(f.events)
		defer func() { _ = response.Body.Close() }()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				f.events <- data
			}
		}
	}()
	f.leave = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	c.o.t.Cleanup(f.leave)
	return f
}

// until reads events until one is as wanted, and returns it.
func until[T any](f *follower, what string, wanted func(T) bool) (string, T) {
	f.t.Helper()
	limit := time.After(patience)
	var last string
	for {
		select {
		case data, ok := <-f.events:
			var v T
			if !ok {
				f.t.Fatalf("the stream ended before %s, after %s", what, last)
			}
			if err := json.Unmarshal([]byte(data), &v); err != nil {
				f.t.Fatalf("%v in %s", err, data)
			}
			if last = data; wanted(v) {
				return data, v
			}
		case <-limit:
			f.t.Fatalf("no event with %s; the last was %s", what, last)
		}
	}
}

func (f *follower) untilStatus(status domain.OrderStatus) (string, views.Order) {
	f.t.Helper()
	rose := 0
	return until(f, string(status), func(o views.Order) bool {
		if rank(o.Status) < rose {
			f.t.Errorf("it went back to %s", o.Status)
		}
		rose = rank(o.Status)
		return o.Status == status
	})
}

func (f *follower) untilStock(held, sold int64) {
	f.t.Helper()
	until(f, fmt.Sprintf("%d held, %d sold", held, sold), func(a views.Availability) bool {
		return a.TicketTypes[0].Held == held && a.TicketTypes[0].Sold == sold
	})
}

func TestStreamsFollowAnOrderAndItsShow(t *testing.T) {
	t.Parallel()
	_, p := running(t, longHold)
	p.createShow(1, 10)
	show := p.follow("/shows/1/availability/events")
	show.untilStock(0, 0)
	placed := p.place(wish{customer: "ana", key: "a-request-that-nobody-guesses", quantity: 2})
	path := "/orders/" + placed.orderID + "/events"
	stranger, buyer := p.follow(path), p.follow(path, "Order-Token", placed.header.Get("Order-Token"))
	show.untilStock(2, 0)
	stranger.untilStatus(domain.Confirmed)
	buyer.untilStatus(domain.Confirmed)
	p.mustWebhook(placed.orderID, "SUCCESS")
	if told, _ := stranger.untilStatus(domain.Completed); strings.Contains(told, "ticket") || strings.Contains(told, "ana") {
		t.Errorf("a stranger was told %s", told)
	}
	if told, order := buyer.untilStatus(domain.Completed); len(order.Tickets) != 2 || order.Customer == nil || order.Customer.ID != "ana" {
		t.Errorf("the buyer was told %s", told)
	}
	show.untilStock(0, 2)
	if open, _ := figure(t, p.scrape(), "boxoffice_streams_open"); open != 3 {
		t.Errorf("%v streams are open", open)
	}

	begun := time.Now()
	p.stop()
	for _, f := range []*follower{stranger, buyer, show} {
		for data := range f.events {
			t.Errorf("one more event: %s", data)
		}
	}
	t.Logf("with 3 streams it ended in %s", time.Since(begun).Round(time.Millisecond))
}

func TestStreamsOutlastACrashOfPostgres(t *testing.T) {
	t.Parallel()
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 10)
	show := p.follow("/shows/1/availability/events")
	show.untilStock(0, 0)
	if err := postgres.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	if a := p.send("GET", "/shows/1/availability/events", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("meanwhile a stream got %s", a)
	}
	if err := postgres.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an order is taken again", func() string {
		if a := p.place(wish{customer: "ana"}); a.orderID == "" {
			return a.String()
		}
		return ""
	})
	show.untilStock(1, 0)
}
