package cluster

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// port is a TCP port on 127.0.0.1 that stays ours from its reservation to its release, also while the process that
// listens on it is down. Otherwise a restarted API server would sometimes find its port taken, by another program or by
// the outgoing connection of a client that was dialling it.
//
// A socket that is bound and does not listen keeps the port from everyone, except from a listener that sets SO_REUSEADDR
// as Go's do. It is bound without that option, so that two reservations can't meet on one port.
type port struct {
	number  uint16
	release func() error
}

// reservePort takes a free port.
func reservePort() (port, error) {
	number, release, err := bindFreePort()
	if err != nil {
		return port{}, fmt.Errorf("reserve a port: %w", err)
	}
	return port{number: number, release: release}, nil
}

func bindFreePort() (number uint16, release func() error, err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	release = func() error { return syscall.Close(socket) }
	defer func() {
		if err != nil {
			err = errors.Join(err, release())
		}
	}()
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, nil, os.NewSyscallError("bind", err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, nil, os.NewSyscallError("getsockname", err)
	}
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, nil, os.NewSyscallError("setsockopt", err)
	}
	return uint16(address.(*syscall.SockaddrInet4).Port), release, nil
}
