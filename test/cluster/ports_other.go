//go:build !linux

package cluster

import (
	"fmt"
	"net"
)

// port is a TCP port on 127.0.0.1 that was free when it was asked for. Linux can reserve it as well; see ports_linux.go.
type port struct {
	number  uint16
	release func() error
}

// reservePort finds a free port.
func reservePort() (port, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return port{}, fmt.Errorf("find a free port: %w", err)
	}
	number := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return port{}, fmt.Errorf("find a free port: %w", err)
	}
	return port{number: uint16(number), release: func() error { return nil }}, nil
}
