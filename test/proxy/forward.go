package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
)

// backend is an API server.
type backend struct {
	url       *url.URL
	token     string
	transport *http.Transport
}

func (p *Proxy) newBackend(server string, ca []byte, token string) (*backend, error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate in the authority's PEM")
	}
	b := &backend{url: target, token: token}
	ended := func() {
		if p.currentBackend() == b {
			p.Reset()
		}
	}
	b.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &upstream{Conn: connection, ended: ended}, nil
		},
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:  true,
		DisableCompression: true, // what the client asked for is passed on as it is
	}
	return b, nil
}

// upstream is a connection to an API server. When that ends it, the clients' connections end as well.
type upstream struct {
	net.Conn
	ended  func()
	closed atomic.Bool // from this side
}

func (u *upstream) Read(data []byte) (int, error) {
	n, err := u.Conn.Read(data)
	if err != nil && !u.closed.Swap(true) {
		u.ended()
	}
	return n, err
}

func (u *upstream) Close() error {
	u.closed.Store(true)
	return u.Conn.Close()
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, observers := p.record(r)
	r = withCall(r, call)
	for _, o := range observers {
		if o.before != nil {
			o.before(*call)
		}
	}
	action := p.decide(r)
	switch action.kind {
	case abort:
		panic(http.ErrAbortHandler)
	case refuse:
		maps.Copy(w.Header(), action.header)
		w.WriteHeader(action.status)
		_, _ = io.WriteString(w, action.body) // the client may be gone
		return
	case delay:
		select {
		case <-action.until:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	case emptyList:
		if call.Is("", "list", "watch") {
			p.serveEmpty(w, r, call)
			return
		}
	}
	response := p.roundTrip(r, call)
	defer response.Body.Close()
	if action.kind == lose {
		p.mu.Lock()
		call.Lost = true
		p.mu.Unlock()
	}
	for _, o := range observers {
		if o.after != nil {
			o.after(p.copyOf(call))
		}
	}
	if action.kind == lose {
		panic(http.ErrAbortHandler)
	}
	p.answer(w, r, response, nil)
}

// copyOf reads a call that others may be reading.
func (p *Proxy) copyOf(call *Call) Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *call
}

// roundTrip passes a request on. Without an answer it breaks the client's request off.
func (p *Proxy) roundTrip(r *http.Request, call *Call) *http.Response {
	b := p.currentBackend()
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = b.url.Scheme, b.url.Host, b.url.Host, ""
	if b.token != "" {
		out.Header.Set("Authorization", "Bearer "+b.token)
	}
	// A write that is cut off in the middle would be a fault that nobody has asked for.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	response, err := b.transport.RoundTrip(out)
	if err != nil {
		if r.Context().Err() == nil {
			p.Reset() // there is no API server
		}
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	call.Status = response.StatusCode
	p.mu.Unlock()
	return response
}

// answer passes an answer on, as it comes, after what stands first.
func (p *Proxy) answer(w http.ResponseWriter, r *http.Request, response *http.Response, first []byte) {
	done := r.Context().Done()
	if !p.answers.pass(done) {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), response.Header)
	w.Header().Del("Connection")
	w.WriteHeader(response.StatusCode)
	controller := http.NewResponseController(w)
	write := func(data []byte) {
		if !p.answers.pass(done) {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(data); err != nil {
			panic(http.ErrAbortHandler)
		}
		if err := controller.Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	write(first)
	buffer := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buffer)
		if n > 0 {
			write(buffer[:n])
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
