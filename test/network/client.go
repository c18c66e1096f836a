//go:build linux

package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// patience is how long a client waits whose context has no deadline.
const patience = 10 * time.Second

// Resolver asks the CoreDNS of the pod's cluster, from the pod.
func (p *Pod) Resolver() *net.Resolver {
	server := netip.AddrPortFrom(p.cluster.addresses[0], 53).String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, protocol, _ string) (net.Conn, error) {
		return p.dial(ctx, protocol, server)
	}}
}

// DialContext connects from the pod. It looks a name up first, and tries one of its addresses once: what would be retried
// elsewhere fails here. The network chooses the family, tcp4 or tcp6; else it is the pod's primary one.
func (p *Pod) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return p.dial(ctx, network, address)
	}
	addresses, err := p.Resolver().LookupNetIP(ctx, p.family(network), host+".")
	if err != nil {
		return nil, err
	}
	return p.dial(ctx, network, net.JoinHostPort(addresses[0].Unmap().String(), port))
}

// family is the IP family that a connection needs.
func (p *Pod) family(network string) string {
	switch {
	case network[len(network)-1] == '4', network[len(network)-1] == '6':
		return "ip" + network[len(network)-1:]
	case p.Addresses[0].Is4():
		return "ip4"
	}
	return "ip6"
}

// dial connects to an address that is no name, so that Go makes the socket on the thread that asks.
func (p *Pod) dial(ctx context.Context, network, address string) (connection net.Conn, err error) {
	err = p.network.do(func() (err error) {
		connection, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return connection, err
}

// Get asks an HTTP server, at a host and a port, over a connection of its own.
func (p *Pod) Get(ctx context.Context, target string) (Answer, error) {
	return get(ctx, &http.Client{Transport: p.transport}, target)
}

// KeepAlive gives a function that is as Get, but goes on over the connections that it has made.
func (p *Pod) KeepAlive() func(ctx context.Context, target string) (Answer, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: p.DialContext}}
	return func(ctx context.Context, target string) (Answer, error) { return get(ctx, client, target) }
}

// get is a request over one of the client's connections, or over a new one.
func get(ctx context.Context, client *http.Client, target string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/", nil)
	if err != nil {
		return Answer{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Answer{}, fmt.Errorf("%s: %s", target, response.Status)
	}
	// To its end, so that the connection can be used again.
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, err
	}
	return parseAnswer(content)
}

// GetUDP asks a UDP server with one packet, from a port of its own.
func (p *Pod) GetUDP(ctx context.Context, target string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	connection, err := p.DialContext(ctx, "udp", target)
	if err != nil {
		return Answer{}, err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return Answer{}, err
	}
	if _, err := connection.Write([]byte("?")); err != nil {
		return Answer{}, err
	}
	packet := make([]byte, 1500)
	n, err := connection.Read(packet)
	if err != nil {
		return Answer{}, err
	}
	return parseAnswer(packet[:n])
}

func parseAnswer(content []byte) (answer Answer, err error) {
	if err := json.Unmarshal(content, &answer); err != nil {
		return Answer{}, fmt.Errorf("answer %q: %w", content, err)
	}
	return answer, nil
}
