//go:build linux

package network

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// uplink is the name of the one interface that leads out of a namespace of a Node or a pod.
const uplink = "eth0"

// gateway6 is the address of a Node on every link to a pod. Unlike for IPv4, it has to be the link's own.
var gateway6 = netip.MustParsePrefix("fe80::1/64")

// namespace is a network namespace. The kernel removes it, and its links, when it is closed and all sockets in it are.
type namespace struct {
	handle netns.NsHandle
	links  *netlink.Handle
}

// newNamespace makes one in which the loopback interface is up, and calls configure in it.
func newNamespace(configure func() error) (_ *namespace, err error) {
	n := &namespace{}
	err = onThread(func() error {
		if n.handle, err = netns.New(); err != nil {
			return err
		}
		return configure()
	})
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	if n.links, err = netlink.NewHandleAt(n.handle, unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	if err := n.up("lo"); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *namespace) close() error {
	n.links.Close()
	return n.handle.Close()
}

// do calls f on a thread in the namespace. A socket that is made there stays there, and so does a process; a goroutine does
// not.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onThread calls f, which may change the thread's network namespace, and goes back to the present one.
func onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return fmt.Errorf("present network namespace: %w", err)
	}
	defer home.Close()
	defer func() {
		if err := netns.Set(home); err != nil {
			panic(fmt.Sprintf("no way back to the network namespace of the test: %v", err))
		}
	}()
	return f()
}

func (n *namespace) up(name string) error {
	link, err := n.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := n.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return nil
}

// connect makes a pair of interfaces: uplink in the namespace, with those addresses, and one of that name beyond.
func (n *namespace) connect(beyond *netlink.Handle, name string, addresses []netip.Prefix) (netlink.Link, error) {
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: uplink, PeerNamespace: netlink.NsFd(int(n.handle)),
	}
	if err := beyond.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	link, err := beyond.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if err := beyond.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if err := n.up(uplink); err != nil {
		return nil, err
	}
	inner, err := n.links.LinkByName(uplink)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", uplink, err)
	}
	return link, addAddresses(n.links, inner, addresses...)
}

// routeBy adds a route to a range out of an interface of the namespace, by a gateway unless that is zero. The zero range is
// everything of the gateway's family.
func (n *namespace) routeBy(name string, to netip.Prefix, gateway netip.Addr) error {
	link, err := n.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return addRoute(n.links, link, to, gateway)
}

func addRoute(links *netlink.Handle, link netlink.Link, to netip.Prefix, gateway netip.Addr) error {
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK}
	if to.IsValid() {
		route.Dst = ipNet(to)
	}
	if gateway.IsValid() {
		route.Gw, route.Scope = gateway.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	if err := links.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s by %s: %w", to, gateway, err)
	}
	return nil
}

// addAddresses gives addresses to an interface. IPv6 ones count at once: the kernel need not look for others who have them.
func addAddresses(links *netlink.Handle, link netlink.Link, addresses ...netip.Prefix) error {
	for _, address := range addresses {
		added := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			added.Flags = unix.IFA_F_NODAD
		}
		if err := links.AddrAdd(link, added); err != nil {
			return fmt.Errorf("address %s of %s: %w", address, link.Attrs().Name, err)
		}
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// single is the range of one address.
func single(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }
