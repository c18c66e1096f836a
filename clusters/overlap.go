package clusters

import (
	"net/netip"
	"sync"
	"sync/atomic"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpointSliceController is the manager of slices that Kubernetes made for a selector: their addresses are pods.
const endpointSliceController = "endpointslice-controller.k8s.io"

// Overlap finds the pod addresses that two clusters both export. In a flat network there is none: where the ranges of two
// clusters overlap, such an address is one pod here and another there, and traffic for it ends at the wrong one.
type Overlap struct {
	// changed is called when an address has become, or is no longer, one of both.
	changed func()
	// any counts the addresses of both. It spares the lock where there are none.
	any atomic.Int64

	mu     sync.Mutex
	counts map[netip.Addr][2]int32 // slices of each side that hold the address
}

// NewOverlap compares two views. It must be called before their clusters run.
func NewOverlap(a, b *Source, changed func()) *Overlap {
	o := &Overlap{changed: changed, counts: map[netip.Addr][2]int32{}}
	for side, source := range []*Source{a, b} {
		source.slices.inserted = func(slice *discoveryv1.EndpointSlice) { o.count(side, slice, 1) }
		source.slices.removed = func(slice *discoveryv1.EndpointSlice) { o.count(side, slice, -1) }
	}
	return o
}

func (o *Overlap) count(side int, slice *discoveryv1.EndpointSlice, change int32) {
	if slice.Labels[discoveryv1.LabelManagedBy] != endpointSliceController {
		return
	}
	before := o.any.Load()
	o.mu.Lock()
	for _, endpoint := range slice.Endpoints {
		for _, text := range endpoint.Addresses {
			address, err := netip.ParseAddr(text)
			if err != nil {
				continue
			}
			counts := o.counts[address]
			wasBoth := counts[0] > 0 && counts[1] > 0
			counts[side] += change
			isBoth := counts[0] > 0 && counts[1] > 0
			if counts == [2]int32{} {
				delete(o.counts, address)
			} else {
				o.counts[address] = counts
			}
			switch {
			case isBoth && !wasBoth:
				o.any.Add(1)
			case wasBoth && !isBoth:
				o.any.Add(-1)
			}
		}
	}
	o.mu.Unlock()
	if o.any.Load() != before {
		// Not from here: the store that calls holds its lock.
		go o.changed()
	}
}

// Among gives the addresses of the slices that both clusters export; none as a rule.
func (o *Overlap) Among(slices []*discoveryv1.EndpointSlice) []netip.Addr {
	if o.any.Load() == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []netip.Addr
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			for _, text := range endpoint.Addresses {
				address, err := netip.ParseAddr(text)
				if counts := o.counts[address]; err == nil && counts[0] > 0 && counts[1] > 0 {
					found = append(found, address)
				}
			}
		}
	}
	return found
}
