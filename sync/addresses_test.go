package sync

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestAddressRule(t *testing.T) {
	open := AddressRule{}
	guarded := AddressRule{
		Allowed:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00:10::/64")},
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.96.0/20"), netip.MustParsePrefix("fd00:10::96:0/112")},
	}
	tests := []struct {
		name    string
		rule    AddressRule
		address string
		want    bool
	}{
		{"an ordinary IPv4 pod address is allowed", open, "10.1.2.3", true},
		{"an ordinary IPv6 pod address is allowed", open, "fd00:1::3", true},
		{"a global IPv6 address is allowed", open, "2001:db8::1", true},

		{"IPv4 unspecified is denied", open, "0.0.0.0", false},
		{"IPv6 unspecified is denied", open, "::", false},
		{"the first IPv4 loopback is denied", open, "127.0.0.0", false},
		{"the last IPv4 loopback is denied", open, "127.255.255.255", false},
		{"the address before IPv4 loopback is allowed", open, "126.255.255.255", true},
		{"the address after IPv4 loopback is allowed", open, "128.0.0.0", true},
		{"IPv6 loopback is denied", open, "::1", false},
		{"the first IPv4 link-local is denied", open, "169.254.0.0", false},
		{"the last IPv4 link-local is denied", open, "169.254.255.255", false},
		{"the address before IPv4 link-local is allowed", open, "169.253.255.255", true},
		{"the address after IPv4 link-local is allowed", open, "169.255.0.0", true},
		{"the first IPv6 link-local is denied", open, "fe80::", false},
		{"the last IPv6 link-local is denied", open, "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"the address before IPv6 link-local is allowed", open, "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"the address after IPv6 link-local is allowed", open, "fec0::", true},
		{"the first IPv4 multicast is denied", open, "224.0.0.0", false},
		{"the last IPv4 multicast is denied", open, "239.255.255.255", false},
		{"the address before IPv4 multicast is allowed", open, "223.255.255.255", true},
		{"the first IPv6 multicast is denied", open, "ff00::", false},
		{"the last IPv6 multicast is denied", open, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"the address before IPv6 multicast is allowed", open, "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"the broadcast address is denied", open, "255.255.255.255", false},

		{"the metadata service of most clouds is denied", open, "169.254.169.254", false},
		{"the IPv6 metadata service of AWS is denied", open, "fd00:ec2::254", false},
		{"its neighbour is allowed", open, "fd00:ec2::253", true},
		{"the metadata service of Azure is denied", open, "168.63.129.16", false},
		{"its neighbour in IPv4 is allowed", open, "168.63.129.17", true},
		{"the metadata service of Alibaba Cloud is denied", open, "100.100.100.200", false},
		{"its neighbour in the carrier range is allowed", open, "100.100.100.201", true},

		{"an IPv4-mapped loopback is denied", open, "::ffff:127.0.0.1", false},
		{"an IPv4-mapped link-local is denied", open, "::ffff:169.254.169.254", false},
		{"an IPv4-mapped multicast is denied", open, "::ffff:224.0.0.1", false},
		{"an IPv4-mapped unspecified is denied", open, "::ffff:0.0.0.0", false},
		{"an IPv4-mapped metadata service is denied", open, "::ffff:168.63.129.16", false},
		{"an IPv4-mapped Service address is denied", guarded, "::ffff:10.0.96.1", false},
		{"a loopback with leading zeros is denied", open, "127.000.000.001", false},
		{"a metadata service with leading zeros is denied", open, "169.254.169.0254", false},

		{"the first address of the allowed range is allowed", guarded, "10.0.0.0", true},
		{"the last address of the allowed range is allowed", guarded, "10.0.255.255", true},
		{"the address after the allowed range is denied", guarded, "10.1.0.0", false},
		{"the address before the allowed range is denied", guarded, "9.255.255.255", false},
		{"an IPv6 address in an allowed range is allowed", guarded, "fd00:10::1", true},
		{"an IPv6 address outside of it is denied", guarded, "fd00:10:0:1::1", false},
		{"the first address of the target's Services is denied", guarded, "10.0.96.0", false},
		{"the last address of the target's Services is denied", guarded, "10.0.111.255", false},
		{"the address after the target's Services is allowed", guarded, "10.0.112.0", true},
		{"an IPv6 address of the target's Services is denied", guarded, "fd00:10::96:1", false},
		{"an allowed range does not let loopback through", AddressRule{Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, "127.0.0.1", false},
		{"an allowed range does not let a metadata service through", AddressRule{Allowed: []netip.Prefix{netip.MustParsePrefix("::/0")}}, "fd00:ec2::254", false},
		{"an allowed range of one family allows nothing of the other", AddressRule{Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, "fd00:1::1", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address, ok := canonical(test.address)
			if !ok {
				t.Fatalf("%s is no address", test.address)
			}
			if got := test.rule.permits(address); got != test.want {
				t.Errorf("permits(%s) = %t, want %t", address, got, test.want)
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"an IPv4 address stays as it is", "10.1.2.3", "10.1.2.3"},
		{"leading zeros are decimal", "010.001.02.003", "10.1.2.3"},
		{"an IPv4-mapped address is an IPv4 address", "::ffff:10.1.2.3", "10.1.2.3"},
		{"an IPv6 address is written in its short form", "FD00:0:0:0::0001", "fd00::1"},
		{"a name is no address", "web.example.com", ""},
		{"an address with a zone is no address", "fe80::1%eth0", ""},
		{"an address with a length is no address", "10.1.2.3/32", ""},
		{"too large a number is no address", "10.1.2.256", ""},
		{"three numbers are no address", "10.1.2", ""},
		{"nothing is no address", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address, ok := canonical(test.text)
			got := ""
			if ok {
				got = address.String()
			}
			if got != test.want {
				t.Errorf("canonical(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

// overlap are addresses that both clusters export.
type overlap []netip.Addr

func (o overlap) Among([]*discoveryv1.EndpointSlice) []netip.Addr { return o }

func TestAddressesOfTheTargetAreNotWritten(t *testing.T) {
	b := newBench(t, sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2"), ready("10.96.0.9"))))
	b.mirror.Overlap = overlap{netip.MustParseAddr("10.0.0.2")}
	if verdict, err := b.reconcile(t, web); verdict.Reason != AddressDenied || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	for _, object := range b.target.model.objects {
		if kindOf(object) == KindService {
			continue
		}
		if diff := cmp.Diff([]string{"10.0.0.1"}, addressesOf(object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id(object), diff)
		}
	}
}

// TestMemoryRemembersNoAddressThatIsDeniedNow: what a projection was made with has changed since.
func TestMemoryRemembersNoAddressThatIsDeniedNow(t *testing.T) {
	source := sourceOf(exported())
	for i := range rememberFrom {
		source.Slices = append(source.Slices, sliceOf(fmt.Sprintf("web-%d", i), ready(fmt.Sprintf("10.0.0.%d", i))))
	}
	for name, edit := range map[string]func(*Target){
		"by another range of Services": func(target *Target) {
			target.Network.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}
		},
		"by a pod of the target": func(target *Target) { target.Overlapping = []netip.Addr{netip.MustParseAddr("10.0.0.1")} },
	} {
		t.Run(name, func(t *testing.T) {
			r, target := rules(func(r *Rules) { r.Memory = NewMemory() }), targetOf()
			if denied := r.project(source, target).Denied; len(denied) > 0 {
				t.Fatalf("%q were denied before", denied)
			}
			edit(&target)
			if diff := cmp.Diff([]string{"10.0.0.1"}, r.project(source, target).Denied); diff != "" {
				t.Errorf("denied (-want +got):\n%s", diff)
			}
		})
	}
}
