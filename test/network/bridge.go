//go:build linux

package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridge is what all hosts are on. The test itself is one of them, and the router between the others.
type bridge struct {
	links *netlink.Handle
	link  netlink.Link
}

func newBridge() (*bridge, error) {
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	const name = "hosts"
	if err := links.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	link, err := links.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if err := links.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return &bridge{links: links, link: link}, nil
}

// attach makes a namespace a host with those addresses, one of each family, and the router its way to all others. The
// router gets its own addresses, which are in the same subnets.
func (b *bridge) attach(host *namespace, name string, router, addresses []netip.Addr) error {
	if err := addAddresses(b.links, b.link, inSubnets(router)...); err != nil {
		return err
	}
	link, err := host.connect(b.links, name, inSubnets(addresses))
	if err != nil {
		return err
	}
	if err := b.links.LinkSetMaster(link, b.link); err != nil {
		return fmt.Errorf("interface %s on the bridge: %w", name, err)
	}
	for _, gateway := range router {
		if err := host.routeBy(uplink, netip.Prefix{}, gateway); err != nil {
			return err
		}
	}
	return nil
}

// inSubnets are the addresses with the size of the hosts' ranges, as cluster.Options has them.
func inSubnets(addresses []netip.Addr) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(addresses))
	for i, address := range addresses {
		bits := 64
		if address.Is4() {
			bits = 24
		}
		prefixes[i] = netip.PrefixFrom(address, bits)
	}
	return prefixes
}
