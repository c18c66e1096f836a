package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Tunnel passes bytes on to one address, and looks at none of them.
type Tunnel struct {
	*wire
	target string
	group  sync.WaitGroup
}

// StartTunnel opens a tunnel to an address, such as 127.0.0.1:2379. Close it after use.
func StartTunnel(target string) (*Tunnel, error) {
	w, err := listen()
	if err != nil {
		return nil, fmt.Errorf("tunnel to %s: %w", target, err)
	}
	t := &Tunnel{wire: w, target: target}
	t.group.Go(t.serve)
	return t, nil
}

// Address is where the tunnel begins.
func (t *Tunnel) Address() string { return t.Addr().String() }

// Close ends the tunnel and all that is in it.
func (t *Tunnel) Close() error {
	t.Thaw()
	err := t.close()
	t.group.Wait()
	return err
}

func (t *Tunnel) serve() {
	for {
		client, err := t.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		t.group.Go(func() { t.join(client) })
	}
}

// join copies in both directions until either side ends. Errors are such ends.
func (t *Tunnel) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", t.target)
	if err != nil {
		return
	}
	var group sync.WaitGroup
	group.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
	group.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	group.Wait()
}
