package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
)

// Options describe a cluster. The zero value of everything but Name is useful.
type Options struct {
	// Name is the cluster's display name, and that of its context in a kubeconfig.
	Name string
	// Binary is the control plane's, from Build. Start builds it when it is empty.
	Binary string
	// Number, from 1 to 99, chooses the cluster's address ranges, so that no two clusters overlap:
	//
	//	pods      10.<Number>.0.0/16      fd00:10:<Number>::/64
	//	Services  10.<100+Number>.0.0/16  fd00:100:<Number>::/112
	//	hosts     192.168.<Number>.0/24   fd00:192:<Number>::/64
	//
	// Zero takes a number that no other cluster of this process has been given.
	Number int
	// DualStack adds IPv6, after IPv4.
	DualStack bool
	// ServiceCIDRs and PodCIDRs replace the ranges above: one range per IP family, the primary family first.
	ServiceCIDRs, PodCIDRs []netip.Prefix
	// Audit chooses how much of each request the audit log holds. Without it there is no audit log.
	Audit AuditLevel
	// APIServerFlags and ControllerManagerFlags come after the harness's own, and so override them.
	APIServerFlags, ControllerManagerFlags []string
	// LogDirectory keeps the logs of the processes when the cluster is gone. Without it they go with the cluster.
	LogDirectory string
}

// maxNumber is what fits into the second byte of the Services' range.
const maxNumber = 99

// lastNumber counts down from the top, away from the low numbers that callers choose.
var lastNumber atomic.Int64

// withDefaults fills in what was left out, and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		return o, errors.New("a cluster needs a name")
	}
	if o.Number == 0 {
		o.Number = maxNumber + 1 - int(lastNumber.Add(1))
	}
	if o.Number < 1 || o.Number > maxNumber {
		return o, fmt.Errorf("cluster %s: number %d is not in 1 to %d", o.Name, o.Number, maxNumber)
	}
	if len(o.ServiceCIDRs) == 0 {
		o.ServiceCIDRs = o.ranges(fmt.Sprintf("10.%d.0.0/16", 100+o.Number), fmt.Sprintf("fd00:100:%d::/112", o.Number))
	}
	if len(o.PodCIDRs) == 0 {
		o.PodCIDRs = o.ranges(fmt.Sprintf("10.%d.0.0/16", o.Number), fmt.Sprintf("fd00:10:%d::/64", o.Number))
	}
	return o, nil
}

func (o Options) ranges(ipv4, ipv6 string) []netip.Prefix {
	prefixes := []netip.Prefix{netip.MustParsePrefix(ipv4)}
	if o.DualStack {
		prefixes = append(prefixes, netip.MustParsePrefix(ipv6))
	}
	return prefixes
}

// hostAddresses are those of the nth host of the cluster, of the families that its pods have: what API servers and Nodes say
// of themselves. Nothing has them, unless package network makes it so.
func (o Options) hostAddresses(n int) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(o.PodCIDRs))
	for _, pods := range o.PodCIDRs {
		hosts := fmt.Sprintf("fd00:192:%d::", o.Number)
		if pods.Addr().Is4() {
			hosts = fmt.Sprintf("192.168.%d.0", o.Number)
		}
		addresses = append(addresses, addressAfter(netip.MustParseAddr(hosts), n))
	}
	return addresses
}

// addressAfter is the address n after another.
func addressAfter(address netip.Addr, n int) netip.Addr {
	bytes := address.As16()
	low := bytes[12:]
	binary.BigEndian.PutUint32(low, binary.BigEndian.Uint32(low)+uint32(n))
	after := netip.AddrFrom16(bytes)
	if address.Is4() {
		return after.Unmap()
	}
	return after
}
