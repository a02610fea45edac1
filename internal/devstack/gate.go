package devstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// gate is a listener that can be closed and opened again on the same port without its server's noticing.
type gate struct {
	mu      sync.Mutex
	inner   net.Listener // nil while shut
	addr    *net.TCPAddr
	opened  chan struct{} // closed while open
	closed  chan struct{} // closed for good
	once    sync.Once
	clients map[net.Conn]struct{}
}

func newGate() *gate {
	return &gate{opened: make(chan struct{}), closed: make(chan struct{}), clients: make(map[net.Conn]struct{})}
}

// listen is a net.Listen for the broker; whatever host it asks for, the listener is on loopback.
func (g *gate) listen(_, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	inner, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	addr, ok := inner.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected address %s", inner.Addr()), inner.Close())
	}
	g.inner, g.addr = inner, addr
	close(g.opened)
	return g, nil
}

// Accept waits for a client, also through times when the gate is shut.
func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		inner, opened := g.inner, g.opened
		g.mu.Unlock()
		select {
		case <-opened:
		case <-g.closed:
			return nil, net.ErrClosed
		}
		if inner == nil {
			continue
		}
		conn, err := inner.Accept()
		if err == nil && g.admit(conn, inner) {
			return &gateConn{Conn: conn, gate: g}, nil
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return nil, err
		}
	}
}

// admit notes a client, or turns it away if the gate was shut meanwhile.
func (g *gate) admit(conn net.Conn, from net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inner != from {
		_ = conn.Close() // a client that came too late
		return false
	}
	g.clients[conn] = struct{}{}
	return true
}

// Close ends the listener for good; connections stay, as with any listener.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inner == nil {
		return nil
	}
	err := g.inner.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Addr is the same whether the gate is open or shut.
func (g *gate) Addr() net.Addr { return g.addr }

func (g *gate) port() int { return g.addr.Port }

// shut refuses new clients and breaks all connections; shutting a shut gate does nothing.
func (g *gate) shut() error {
	g.mu.Lock()
	inner := g.inner
	if inner != nil {
		g.inner, g.opened = nil, make(chan struct{})
	}
	g.mu.Unlock()
	if inner == nil {
		return nil
	}
	err := inner.Close()
	g.dropAll()
	return err
}

// open lets clients in again; opening an open gate does nothing.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inner != nil {
		return nil
	}
	inner, err := net.Listen("tcp4", g.addr.String())
	if err != nil {
		return err
	}
	g.inner = inner
	close(g.opened)
	return nil
}

// dropAll breaks all connections.
func (g *gate) dropAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.clients {
		_ = conn.Close() // it is being broken on purpose
	}
	clear(g.clients)
}

// gateConn is forgotten by its gate when it is closed.
type gateConn struct {
	net.Conn
	gate *gate
}

// Close closes the connection.
func (c *gateConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.clients, c.Conn)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
