package clusters

import (
	"cmp"
	"net/netip"
	"slices"
)

// RangeKind is what lives in a range of addresses.
type RangeKind string

// The kinds of ranges.
const (
	ServiceRange    RangeKind = "Service range"
	PodRange        RangeKind = "pod range"
	NodeAddress     RangeKind = "node"
	ExportedAddress RangeKind = "exported address"
)

// Range is a range of a cluster's addresses, or a single one.
type Range struct {
	Prefix netip.Prefix
	Kind   RangeKind
}

func (r Range) String() string {
	if r.Prefix.IsSingleIP() {
		return string(r.Kind) + " " + r.Prefix.Addr().String()
	}
	return string(r.Kind) + " " + r.Prefix.String()
}

func single(address netip.Addr, kind RangeKind) Range {
	address = address.Unmap()
	return Range{netip.PrefixFrom(address, address.BitLen()), kind}
}

// clash is what ranges of both clusters share, by their kinds: the first pair, and how many pairs there are.
type clash struct {
	a, b  Range
	count int
}

// clashes finds the ranges of two clusters that overlap, one clash for each pair of kinds. In a flat network an address
// may be in one cluster only. Service addresses lead nowhere outside of their cluster, so those of both may be the same;
// a pod of one cluster at a Service address of the other can't be reached from there.
func clashes(a, b []Range) []clash {
	type sided struct {
		Range
		ofB bool
	}
	var all []sided
	for _, r := range a {
		all = append(all, sided{r, false})
	}
	for _, r := range b {
		all = append(all, sided{r, true})
	}
	// Prefixes overlap where one holds the other, and in this order the one that holds comes first.
	slices.SortStableFunc(all, func(x, y sided) int {
		return cmp.Or(x.Prefix.Masked().Addr().Compare(y.Prefix.Masked().Addr()), cmp.Compare(x.Prefix.Bits(), y.Prefix.Bits()))
	})
	var found []clash
	var around []sided
	for _, r := range all {
		around = slices.DeleteFunc(around, func(outer sided) bool { return !outer.Prefix.Contains(r.Prefix.Addr()) })
		for _, outer := range around {
			if outer.ofB == r.ofB || outer.Kind == ServiceRange && r.Kind == ServiceRange {
				continue
			}
			pair := clash{outer.Range, r.Range, 1}
			if outer.ofB {
				pair.a, pair.b = r.Range, outer.Range
			}
			if i := slices.IndexFunc(found, func(c clash) bool { return c.a.Kind == pair.a.Kind && c.b.Kind == pair.b.Kind }); i >= 0 {
				found[i].count++
			} else {
				found = append(found, pair)
			}
		}
		around = append(around, r)
	}
	return found
}
