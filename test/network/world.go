//go:build linux

package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
)

// insideVariable is set where the program is in a network namespace of its own already.
const insideVariable = "XCC_TEST_NETWORK"

// Missing is what the machine lacks for a network of this package; empty when it lacks nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "root, to make network namespaces"
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return "nft, which kube-proxy calls (Debian's package nftables)"
	}
	return ""
}

// Run runs inside in a network namespace with nothing in it but the loopback interface, and gives its exit code. For that it
// runs the program once more, with the same arguments, and ends it when this one ends.
func Run(inside func() int) int {
	var err error
	code := 1
	if os.Getenv(insideVariable) != "" {
		if err = setUpWorld(); err == nil {
			return inside()
		}
	} else {
		code, err = runInside()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "network:", err)
	}
	return code
}

// runInside runs the program again, in a network namespace of its own.
func runInside() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	// Ctrl-C reaches the other one as well, which then ends by itself.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	// The kernel sends Pdeathsig when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command := exec.Command(self, os.Args[1:]...)
	command.Env = append(os.Environ(), insideVariable+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run in a network namespace: %w", err)
	}
	return 0, nil
}

// setUpWorld makes the new network namespace a host that routes.
func setUpWorld() error {
	if err := route(); err != nil {
		return err
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("loopback interface: %w", err)
	}
	return nil
}

// route makes a router of the network namespace that it is called in.
func route() error {
	for _, setting := range [][2]string{
		{"ipv4/ip_forward", "1"},
		{"ipv6/conf/all/forwarding", "1"},
		// The ways are as they are meant: nobody is to be told of a shorter one.
		{"ipv4/conf/all/send_redirects", "0"},
		{"ipv4/conf/default/send_redirects", "0"},
		{"ipv6/conf/default/dad_transmits", "0"},
	} {
		if err := set(setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

// set changes a kernel setting of the network namespace that it is called in.
func set(name, value string) error {
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}
