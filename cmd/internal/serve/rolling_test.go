package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/domain"
)

const (
	rollingRequests = 10_000 // at least
	rollingCallers  = 16
	rollingPause    = 12 * time.Millisecond // of a caller between two requests
	pollReadiness   = 500 * time.Millisecond
)

func TestARollingRestartFailsNobody(t *testing.T) {
	o := open(t, longHold)
	p := o.built()
	p.environ = append(p.environ, "DRAIN=2s")
	p.serve("rest", "relay,projections,payments,notifications")
	apis := []*spawned{p.serve("api-0", "api").listening(), p.serve("api-1", "api").listening()}
	apis[0].createShow(1, 1_000_000)
	apis[1].awaitStock(1, 0, 0, 1_000_000) // reads show it
	b := newBalancer(t, apis[0].url, apis[1].url)
	eventually(t, "both are ready", func() string { return b.awaiting(2) })

	load := b.load(o, rollingCallers)
	for round := range 2 {
		for i, api := range apis {
			took := api.terminate()
			again := p.serve(api.name, "api").listening()
			b.replace(i, again.url)
			eventually(t, api.name+" is back", func() string { return b.awaiting(2) })
			apis[i] = again
			t.Logf("round %d: %s ended in %s; %d requests so far", round+1, api.name, took.Round(time.Millisecond), load.sent.Load())
		}
	}
	within(t, startPatience, "enough requests", func() string {
		if n := load.sent.Load(); n < rollingRequests {
			return fmt.Sprint(n)
		}
		return ""
	})
	load.end()
	t.Logf("%d requests, %d of them orders, %d failed; slowest %s", load.sent.Load(), len(load.orders), len(load.failed), load.slowest.Round(time.Millisecond))
	for _, failure := range load.failed[:min(10, len(load.failed))] {
		t.Errorf("failed: %s", failure)
	}
	for _, e := range eventsOf[domain.OrderPlaced](o) {
		if !load.orders[e.OrderID] {
			t.Errorf("%s is in the log, but nobody was told", e.OrderID)
		}
		delete(load.orders, e.OrderID)
	}
	if len(load.orders) > 0 {
		t.Errorf("%d orders that somebody was told are not in the log", len(load.orders))
	}
	o.audit()
}

// balancer sends requests in turn to those backends whose /readyz said yes when it was last asked. It never
// sends a request twice.
type balancer struct {
	t    *testing.T
	next atomic.Int64

	mu       sync.Mutex
	backends []*backend
}

// backend is one process behind a balancer, with the connections to it that are kept.
type backend struct {
	address string
	ready   atomic.Bool
	idle    chan net.Conn
}

func newBalancer(t *testing.T, urls ...string) *balancer {
	t.Helper()
	b := &balancer{t: t, backends: make([]*backend, len(urls))}
	for i, url := range urls {
		b.replace(i, url)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var polls sync.WaitGroup
	for i := range urls {
		polls.Go(func() { b.poll(ctx, i) })
	}
	t.Cleanup(func() {
		cancel()
		polls.Wait()
		for i := range b.backends {
			b.replace(i, "http://")
		}
	})
	return b
}

// replace puts a new process in the place of one that has ended.
func (b *balancer) replace(i int, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.backends[i]
	b.backends[i] = &backend{address: strings.TrimPrefix(url, "http://"), idle: make(chan net.Conn, rollingCallers+1)}
	for old != nil && len(old.idle) > 0 {
		_ = (<-old.idle).Close() // its process is gone
	}
}

func (b *balancer) at(i int) *backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.backends[i%len(b.backends)]
}

func (b *balancer) poll(ctx context.Context, i int) {
	ticker := time.NewTicker(pollReadiness)
	defer ticker.Stop()
	for {
		one := b.at(i)
		status, _, err := one.send(http.MethodGet, "/readyz", nil)
		one.ready.Store(err == nil && status == http.StatusOK)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// awaiting says that not so many backends are ready; empty when they are.
func (b *balancer) awaiting(want int) string {
	n := 0
	for i := range b.backends {
		if b.at(i).ready.Load() {
			n++
		}
	}
	if n == want {
		return ""
	}
	return fmt.Sprintf("%d of %d are ready", n, want)
}

// send sends a request to the next backend that is ready.
func (b *balancer) send(method, path string, body []byte) (int, []byte, error) {
	first := int(b.next.Add(1))
	for i := range b.backends {
		if one := b.at(first + i); one.ready.Load() {
			return one.send(method, path, body)
		}
	}
	return 0, nil, errors.New("no backend is ready")
}

// send speaks HTTP by hand: Go's own client repeats a request on its own when a kept connection has ended.
func (b *backend) send(method, path string, body []byte) (status int, text []byte, err error) {
	conn, err := b.connect()
	if err != nil {
		return 0, nil, err
	}
	keep := false
	defer func() {
		if !keep || len(b.idle) == cap(b.idle) {
			_ = conn.Close() // nobody sends on it any more
			return
		}
		b.idle <- conn
	}()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, b.address)
	if body != nil {
		fmt.Fprintf(&request, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	request.WriteString("\r\n")
	request.Write(body)
	if _, err := conn.Write(request.Bytes()); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, err
	}
	text, err = io.ReadAll(response.Body)
	keep = err == nil && !response.Close
	return response.StatusCode, text, errors.Join(err, response.Body.Close())
}

func (b *backend) connect() (net.Conn, error) {
	select {
	case conn := <-b.idle:
		return conn, nil
	default:
		return net.DialTimeout("tcp", b.address, time.Second)
	}
}

// load is callers who order and read, one request after the other.
type load struct {
	o       *office
	b       *balancer
	stop    chan struct{}
	callers sync.WaitGroup
	sent    atomic.Int64

	mu      sync.Mutex
	orders  map[string]bool // that somebody was told
	failed  []string
	slowest time.Duration
}

func (b *balancer) load(o *office, callers int) *load {
	l := &load{o: o, b: b, stop: make(chan struct{}), orders: map[string]bool{}}
	for c := range callers {
		l.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(rollingPause): // callers think, too
				}
				l.one(fmt.Sprintf("caller-%d-%d", c, n), n)
			}
		})
	}
	return l
}

// one sends one request: two of three are orders.
func (l *load) one(customer string, n int) {
	method, path, body := http.MethodPost, "/orders/ticket", []byte(nil)
	switch n % 6 {
	case 2:
		method, path = http.MethodGet, "/shows/1/availability"
	case 5:
		method, path = http.MethodGet, "/shows"
	default:
		body = l.o.encode(wish{customer: customer}.payload())
	}
	begun := time.Now()
	status, text, err := l.b.send(method, path, body)
	took := time.Since(begun)
	l.sent.Add(1)
	var told struct {
		Payload struct {
			OrderID string `json:"orderId"`
		}
	}
	if err == nil && body != nil {
		err = json.Unmarshal(text, &told)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if err != nil || status != http.StatusOK || body != nil && told.Payload.OrderID == "" {
		l.failed = append(l.failed, fmt.Sprintf("%s %s of %s after %s: %d %s %v", method, path, customer, took, status, text, err))
		return
	}
	if body != nil {
		l.orders[told.Payload.OrderID] = true
	}
}

func (l *load) end() {
	close(l.stop)
	l.callers.Wait()
}
