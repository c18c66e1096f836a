package sync

import (
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	netutils "k8s.io/utils/net"
)

// metadataAddresses are cloud metadata services: whoever reaches one through a pod reads that node's credentials. The
// IPv4 address that most clouds share is link-local, and so refused as such.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("100.100.100.200"),
}

// AddressRule decides which addresses of a source may be written into the target. Without it, whoever may write
// EndpointSlices in one cluster could send the other cluster's traffic to its own nodes, Services or metadata (the class
// of CVE-2021-25740).
type AddressRule struct {
	// Allowed, where it is not empty, are the only prefixes that addresses may come from.
	Allowed []netip.Prefix
	// ServiceCIDRs are the target's: a Service address behind a Service is no endpoint, and a way around network policies.
	ServiceCIDRs []netip.Prefix
	// Overlapping are addresses of the source that are pods in the target, too: traffic for them would end there.
	Overlapping []netip.Addr
}

// canonical reads an address as it stands in an EndpointSlice and gives the form that every API server accepts. Old
// clusters may hold IPv4 addresses with leading zeros, which are decimal there (CVE-2021-29923) and which Kubernetes 1.36
// rejects, and with them the whole slice.
func canonical(text string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return address.Unmap(), true
	}
	address, ok := netip.AddrFromSlice(netutils.ParseIPSloppy(text))
	return address.Unmap(), ok
}

// sift gives the addresses that may be written, in their canonical form, and those that may not, as they are. As a rule, the
// first are just what it was given.
func (r AddressRule) sift(all []string, family discoveryv1.AddressType) (permitted, denied []string) {
	differs := func(text string) bool {
		form, ok := r.form(text, family)
		return !ok || form != text
	}
	if !slices.ContainsFunc(all, differs) {
		return all, nil
	}
	for _, text := range all {
		if form, ok := r.form(text, family); ok {
			permitted = append(permitted, form)
		} else {
			denied = append(denied, text)
		}
	}
	return permitted, denied
}

// form gives the canonical form of an address of a family that may be written. It allocates nothing where that is the text.
func (r AddressRule) form(text string, family discoveryv1.AddressType) (string, bool) {
	address, ok := canonical(text)
	if !ok || familyOf(address) != family || !r.permits(address) {
		return "", false
	}
	var buffer [64]byte
	if form := address.AppendTo(buffer[:0]); string(form) != text {
		text = string(form)
	}
	return text, true
}

// permits reports whether the address may be written. It takes the canonical form, in which no IPv4-mapped address is left.
func (r AddressRule) permits(address netip.Addr) bool {
	if address.IsUnspecified() || address.IsLoopback() || address.IsMulticast() || address.IsLinkLocalUnicast() {
		return false
	}
	if address == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	if slices.Contains(metadataAddresses, address) || slices.Contains(r.Overlapping, address) || contains(r.ServiceCIDRs, address) {
		return false
	}
	return len(r.Allowed) == 0 || contains(r.Allowed, address)
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
