package clusters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"k8s.io/client-go/kubernetes"
)

// gate lets requests through only over connections that are proven to lead to the right cluster. A proof before a request
// is not enough: if the connection is lost in between, the request itself opens another, to whatever the address leads to
// by then. Here only a proof may open a connection, and no request is under way while it does.
type gate struct {
	connections *connections
	client      kubernetes.Interface
	// prove asks who is at the other end.
	prove func(ctx context.Context, client kubernetes.Interface) error

	mu     sync.RWMutex // requests hold it for reading, a proof for writing
	proven bool
}

// maxProofs bounds how often a proof, or a request, begins anew because its connection was lost.
const maxProofs = 5

// errUnproven says that a request had no proven connection to go over. It was not sent.
var errUnproven = errors.New("no connection that is proven to lead to the right cluster")

// provingKey marks the context of a proof.
type provingKey struct{}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx.Value(provingKey{}) == nil {
		return nil, errUnproven
	}
	return g.connections.dial(ctx, network, address)
}

// do makes a request, after a proof where one is needed.
func (g *gate) do(ctx context.Context, request func(kubernetes.Interface) error) error {
	err := errUnproven
	for range maxProofs {
		if err = g.attempt(request); !errors.Is(err, errUnproven) {
			return err
		}
		if err := g.proof(ctx); err != nil {
			return err
		}
	}
	return err
}

func (g *gate) attempt(request func(kubernetes.Interface) error) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.proven {
		return errUnproven
	}
	return request(g.client)
}

// proof proves all connections that are open when it ends: the answer holds for those that were open before the question,
// so one that the question itself opened is proven by the next.
func (g *gate) proof(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx = context.WithValue(ctx, provingKey{}, true)
	for range maxProofs {
		opened := g.connections.opened.Load()
		if err := g.prove(ctx, g.client); err != nil {
			g.proven = false
			g.connections.CloseAll()
			return err
		}
		if g.connections.opened.Load() == opened {
			g.proven = true
			return nil
		}
	}
	return fmt.Errorf("%w: it is lost as soon as it is made", errUnproven)
}
