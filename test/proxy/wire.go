package proxy

import (
	"errors"
	"net"
	"sync"
)

// wire is a listener whose connections can be cut and frozen.
type wire struct {
	net.Listener
	flow *gate

	mu    sync.Mutex
	cut   bool
	conns map[*conn]struct{}
}

// listen opens a wire on a free port.
func listen() (*wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &wire{Listener: listener, flow: newGate(), conns: map[*conn]struct{}{}}, nil
}

// Cut resets all connections, and those that come from now on as soon as they are opened. The port stays taken.
func (w *wire) Cut() {
	w.mu.Lock()
	w.cut = true
	w.mu.Unlock()
	w.Reset()
}

// Mend ends a Cut.
func (w *wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

// Reset resets all connections that are open now.
func (w *wire) Reset() {
	w.mu.Lock()
	conns := make([]*conn, 0, len(w.conns))
	for c := range w.conns {
		conns = append(conns, c)
	}
	w.mu.Unlock()
	for _, c := range conns {
		c.reset()
	}
}

// Freeze makes all connections half-open, and those that come from now on: what the client sends is taken and not
// answered, and nothing is closed.
func (w *wire) Freeze() { w.flow.shut() }

// Thaw ends a Freeze. Nothing was lost on the way: it goes on as after a network partition.
func (w *wire) Thaw() { w.flow.open() }

// Connections counts those that are open.
func (w *wire) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

// Accept implements [net.Listener].
func (w *wire) Accept() (net.Conn, error) {
	for {
		accepted, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: accepted, wire: w, closed: make(chan struct{})}
		w.mu.Lock()
		cut := w.cut
		if !cut {
			w.conns[c] = struct{}{}
		}
		w.mu.Unlock()
		if !cut {
			return c, nil
		}
		c.reset()
	}
}

// close ends the wire and all that is on it.
func (w *wire) close() error {
	err := w.Listener.Close()
	w.Reset()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// conn is a client's connection.
type conn struct {
	net.Conn
	wire   *wire
	once   sync.Once
	closed chan struct{}
}

// Read hands over what came before a freeze began, and nothing later.
func (c *conn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if !c.wire.flow.pass(c.closed) {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write waits while the wire is frozen.
func (c *conn) Write(data []byte) (int, error) {
	if !c.wire.flow.pass(c.closed) {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(data)
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.wire.mu.Lock()
		delete(c.wire.conns, c)
		c.wire.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}

// reset closes the connection so that the client sees a reset and not an orderly end. It may be closed already.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// gate is open or shut, and lets pass when it is open.
type gate struct {
	mu sync.Mutex
	ch chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{ch: make(chan struct{})}
	close(g.ch)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.ch:
		g.ch = make(chan struct{})
	default:
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.ch:
	default:
		close(g.ch)
	}
}

// pass waits until the gate is open, and reports false when done was closed first.
func (g *gate) pass(done <-chan struct{}) bool {
	g.mu.Lock()
	ch := g.ch
	g.mu.Unlock()
	select {
	case <-ch:
		return true
	default:
	}
	select {
	case <-ch:
		return true
	case <-done:
		return false
	}
}
