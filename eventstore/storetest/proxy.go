package storetest

import (
	"bytes"
	"net"
	"net/url"
	"sync"
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
	p := &proxy{server: u.Host, conns: map[net.Conn]struct{}{}}
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
	var answers sync.WaitGroup
	defer answers.Wait()
	var mu sync.Mutex
	var cutAfter *cut
	answers.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			mu.Lock()
			c := cutAfter
			mu.Unlock()
			if c != nil {
				p.hang(client, c) // whatever it answered; the client does not get it
				p.close(server)
				return
			}
			if err != nil {
				p.close(client)
				return
			}
			if _, err := client.Write(b[:n]); err != nil {
				p.close(server)
				return
			}
		}
	})
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			p.close(server)
			return
		}
		c := p.match(b[:n])
		switch {
		case c != nil && c.at == before:
			p.hang(client, c)
			p.close(server)
			return
		case c != nil && c.at == late:
			p.hang(client, c)
			<-c.hold
			_, _ = server.Write(b[:n])
			mu.Lock()
			cutAfter = &cut{fired: c.sent}
			mu.Unlock()
			answers.Wait()
			return
		case c != nil:
			mu.Lock()
			cutAfter = c
			mu.Unlock()
		}
		if _, err := server.Write(b[:n]); err != nil {
			p.close(client)
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
