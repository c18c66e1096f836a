package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options describe a proxy.
type Options struct {
	// Server is the URL of the API server behind the proxy, and CA the authority that signed its certificate.
	Server string
	CA     []byte
	// Certificate is what the proxy shows its clients: the API server's own, so that they need no other authority.
	Certificate tls.Certificate
}

// Proxy stands in front of one API server. All of its methods may be called at any time.
type Proxy struct {
	*wire  // Cut, Mend, Freeze, Thaw, Reset, Connections
	server *http.Server
	group  sync.WaitGroup
	// answers is shut while no answer comes, though the connection lives.
	answers *gate

	mu        sync.Mutex
	backend   *backend
	rules     []*Rule
	observers []*observer
	calls     []*Call
	count     int
	writes    int
}

type observer struct{ before, after func(Call) }

// Start opens a proxy. It ends with ctx, or with Close.
func Start(ctx context.Context, options Options) (*Proxy, error) {
	w, err := listen()
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", options.Server, err)
	}
	p := &Proxy{wire: w, answers: newGate()}
	if p.backend, err = p.newBackend(options.Server, options.CA, ""); err != nil {
		return nil, errors.Join(fmt.Errorf("proxy for %s: %w", options.Server, err), w.close())
	}
	p.server = &http.Server{
		Handler:           p,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{options.Certificate}},
		ReadHeaderTimeout: time.Hour, // a frozen connection is not to be closed from this side
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// API servers let a client have as many.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	p.group.Go(func() { _ = p.server.ServeTLS(w, "", "") }) // it always fails: with Close
	context.AfterFunc(ctx, func() { _ = p.Close() })
	return p, nil
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return "https://" + p.Addr().String() }

// Close ends the proxy and all connections through it.
func (p *Proxy) Close() error {
	p.answers.open()
	p.Thaw()
	err := errors.Join(p.wire.close(), p.server.Close())
	p.group.Wait()
	p.currentBackend().transport.CloseIdleConnections()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Redirect makes the proxy lead to another API server, and ends the connections to the one before. With a token, the
// requests carry that one from then on: another cluster would not take the client's.
func (p *Proxy) Redirect(server string, ca []byte, token string) error {
	next, err := p.newBackend(server, ca, token)
	if err != nil {
		return fmt.Errorf("redirect to %s: %w", server, err)
	}
	p.mu.Lock()
	p.backend = next
	p.mu.Unlock()
	p.Reset()
	return nil
}

// Stall lets the connections live, and answers HTTP/2's pings, but passes no answer on and nothing of the watches: what a
// load balancer does whose backend hangs.
func (p *Proxy) Stall() { p.answers.shut() }

// Unstall ends a Stall. Nothing was lost.
func (p *Proxy) Unstall() { p.answers.open() }

// Intercept adds a rule, until remove is called. The first rule that doesn't pass a request decides.
func (p *Proxy) Intercept(rule Rule) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	added := &rule
	p.rules = append(p.rules, added)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.rules = slices.DeleteFunc(slices.Clone(p.rules), func(r *Rule) bool { return r == added })
	}
}

// Observe calls before when a call has come, ahead of all rules, and after when the API server has answered it, before the
// client gets a byte; after is not called where there was no answer. Either may be nil. Calls come at the same time. It
// ends when remove is called.
func (p *Proxy) Observe(before, after func(Call)) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	added := &observer{before, after}
	p.observers = append(p.observers, added)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.observers = slices.DeleteFunc(slices.Clone(p.observers), func(o *observer) bool { return o == added })
	}
}

// Calls are all calls since the start, or since they were forgotten, in the order in which they came.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := make([]Call, len(p.calls))
	for i, call := range p.calls {
		calls[i] = *call
	}
	return calls
}

// Forget drops the record of the calls, and counts the next one as number 1.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.count, p.writes = nil, 0, 0
}

func (p *Proxy) currentBackend() *backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.backend
}

// record notes that a call has come.
func (p *Proxy) record(r *http.Request) (*Call, []*observer) {
	call := describe(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	call.Number = p.count
	if call.Write() {
		p.writes++
		call.WriteNumber = p.writes
	}
	p.calls = append(p.calls, &call)
	return &call, p.observers
}

func (p *Proxy) decide(r *http.Request) Action {
	p.mu.Lock()
	rules := p.rules
	p.mu.Unlock()
	for _, rule := range rules {
		if action := (*rule)(r); action.kind != pass {
			return action
		}
	}
	return Pass()
}
