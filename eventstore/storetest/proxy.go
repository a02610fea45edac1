package storetest

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// moment says when a connection is cut.
type moment int

const (
	before moment = iota // what the client sent never reaches the server
	after                // the server has answered, and its answer never reaches the client
	late                 // what the client sent reaches the server only when the proxy is told so
)

// proxy stands between a store and Postgres and cuts one connection at a given moment: when a client
// sends a marker, which is some text that only the statement in question carries.
type proxy struct {
	url    string
	server string
	done   chan struct{} // closed when the test ends

	mu     sync.Mutex
	armed  *cut
	seen   int // how often the last armed marker was sent, by this or another connection
	marker []byte
	down   bool
	conns  map[net.Conn]struct{}
}

type cut struct {
	marker []byte
	at     moment
	reset  bool          // RST instead of FIN
	hook   func()        // runs at the moment, before the client learns of it
	fired  chan struct{} // closed when it was done
	hold   chan struct{} // late: closed by the test
	sent   chan struct{} // late: closed when the server has taken it and closed its side
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	wantNone(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	wantNone(t, err)
	p := &proxy{server: u.Host, conns: map[net.Conn]struct{}{}, done: make(chan struct{})}
	u.Host = listener.Addr().String()
	p.url = u.String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		close(p.done)
		p.setDown(true)
		serving.Wait()
	})
	return p
}

// arm prepares the cut of the next connection that sends marker.
func (p *proxy) arm(c *cut) *cut {
	c.fired, c.hold, c.sent = make(chan struct{}), make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.marker, p.seen = c, c.marker, 0
	return c
}

// sightings is how often the marker was sent, the cut one included.
func (p *proxy) sightings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// setDown makes the server unreachable, or reachable again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	if down {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

// track remembers a connection for setDown; false if the server is unreachable.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return !p.down
}

func (p *proxy) close(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// match takes the armed cut if data carries its marker.
func (p *proxy) match(data []byte) *cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marker == nil || !bytes.Contains(data, p.marker) {
		return nil
	}
	p.seen++
	c := p.armed
	p.armed = nil
	return c
}

func (p *proxy) serve(client net.Conn) {
	defer p.close(client)
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer p.close(server)
	if !p.track(client) || !p.track(server) {
		return
	}
	w := &wire{p: p, client: client, server: server}
	var answers sync.WaitGroup
	answers.Go(w.down)
	w.up(answers.Wait)
	answers.Wait()
}

// wire is one connection through the proxy.
type wire struct {
	p              *proxy
	client, server net.Conn
	afterwards     atomic.Pointer[cut] // to be made when the server answers
}

// down passes answers on, until one that the client is not to get.
func (w *wire) down() {
	b := make([]byte, 64<<10)
	for {
		n, err := w.server.Read(b)
		if c := w.afterwards.Load(); c != nil {
			w.p.hang(w.client, c)
			w.p.close(w.server)
			return
		}
		if err != nil {
			w.p.close(w.client)
			return
		}
		if _, err := w.client.Write(b[:n]); err != nil {
			w.p.close(w.server)
			return
		}
	}
}

// up passes on what the client sends. answered waits for down.
func (w *wire) up(answered func()) {
	b := make([]byte, 64<<10)
	for {
		n, err := w.client.Read(b)
		if err != nil {
			w.p.close(w.server)
			return
		}
		if c := w.p.match(b[:n]); c != nil {
			switch c.at {
			case before:
				w.p.hang(w.client, c)
				w.p.close(w.server)
				return
			case late:
				w.p.hang(w.client, c)
				select {
				case <-c.hold:
				case <-w.p.done: // the test has failed before
				}
				w.afterwards.Store(&cut{fired: c.sent})
				_, _ = w.server.Write(b[:n])
				answered()
				return
			case after:
				w.afterwards.Store(c)
			}
		}
		if _, err := w.server.Write(b[:n]); err != nil {
			w.p.close(w.client)
			return
		}
	}
}

// hang cuts the client off.
func (p *proxy) hang(client net.Conn, c *cut) {
	if c.hook != nil {
		c.hook()
	}
	if tcp, ok := client.(*net.TCPConn); ok && c.reset {
		_ = tcp.SetLinger(0)
	}
	p.close(client)
	close(c.fired)
}
