package e2e

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"xcc/test/cluster"
)

// gate is another way to a cluster's API server. Until it is opened its port is taken and closed: whoever connects is
// refused, as where no API server runs.
type gate struct {
	url    string
	socket *os.File
	server string // where it leads to
}

func newGate(t *testing.T, c *cluster.Cluster) *gate {
	t.Helper()
	// A socket that is bound and not listened on; package net would listen at once.
	descriptor, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	mustBe(t, err)
	socket := os.NewFile(uintptr(descriptor), "gate")
	t.Cleanup(func() { mustBe(t, socket.Close()) })
	syscall.CloseOnExec(descriptor)
	mustBe(t, syscall.Bind(descriptor, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(descriptor)
	mustBe(t, err)
	address := net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*syscall.SockaddrInet4).Port}
	return &gate{url: "https://" + address.String(), socket: socket, server: strings.TrimPrefix(c.APIServer.URL, "https://")}
}

// open lets connections through, until the test ends.
func (g *gate) open(t *testing.T) {
	t.Helper()
	mustBe(t, syscall.Listen(int(g.socket.Fd()), syscall.SOMAXCONN))
	listener, err := net.FileListener(g.socket)
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, listener.Close()) })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go g.pass(connection)
		}
	}()
}

func (g *gate) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	_, _ = io.Copy(client, server)
}
