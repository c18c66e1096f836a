package clusters

import (
	"net/netip"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
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

	mu sync.Mutex
	// holders are the objects of each side that may hold addresses of pods. The stores have them, too, but theirs is the lock
	// under which these are told.
	holders [2]sets.Set[any]
	// counts are how often the objects of each side hold an address. Their keys refer to nothing: there are many. It is nil
	// until both sides hold some, which they never do where only one cluster exports.
	counts map[[16]byte][2]int32
}

// NewOverlap compares two views. It must be called before their clusters run.
func NewOverlap(a, b *Source, changed func()) *Overlap {
	o := &Overlap{changed: changed}
	for side, source := range []*Source{a, b} {
		o.holders[side] = sets.New[any]()
		source.slices.inserted = func(slice *packedSlice) { o.inserted(side, slice) }
		source.slices.removed = func(slice *packedSlice) { o.removed(side, slice) }
		source.endpoints.inserted = func(endpoints *corev1.Endpoints) { o.inserted(side, endpoints) }
		source.endpoints.removed = func(endpoints *corev1.Endpoints) { o.removed(side, endpoints) }
	}
	return o
}

func (o *Overlap) inserted(side int, holder any) {
	if slice, isSlice := holder.(*packedSlice); isSlice && !slice.isOfPods {
		return
	}
	defer o.tellOf(o.any.Load())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holders[side].Insert(holder)
	if o.counts != nil {
		o.count(side, holder, 1)
		return
	}
	if o.holders[0].Len() == 0 || o.holders[1].Len() == 0 {
		return
	}
	o.counts = map[[16]byte][2]int32{}
	for side, holders := range o.holders {
		for holder := range holders {
			o.count(side, holder, 1)
		}
	}
}

func (o *Overlap) removed(side int, holder any) {
	defer o.tellOf(o.any.Load())
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holders[side].Has(holder) && o.counts != nil {
		o.count(side, holder, -1)
	}
	o.holders[side].Delete(holder)
}

// tellOf tells that there are no longer as many addresses of both as before.
func (o *Overlap) tellOf(before int64) {
	if o.any.Load() != before {
		// Not from here: the store that calls holds its lock.
		go o.changed()
	}
}

// podsOf are the addresses of pods that an object holds: all those of a slice that Kubernetes made. Of Endpoints, only newer
// versions of Kubernetes say who made them, but an address says what it belongs to.
func podsOf(holder any) []string {
	var pods []string
	switch holder := holder.(type) {
	case *packedSlice:
		return holder.addresses()
	case *corev1.Endpoints:
		for _, subset := range holder.Subsets {
			for _, addresses := range [][]corev1.EndpointAddress{subset.Addresses, subset.NotReadyAddresses} {
				for _, address := range addresses {
					if address.TargetRef != nil && address.TargetRef.Kind == "Pod" {
						pods = append(pods, address.IP)
					}
				}
			}
		}
	}
	return pods
}

// count adds to how often a side holds the object's addresses. The caller holds the lock.
func (o *Overlap) count(side int, holder any, change int32) {
	for _, text := range podsOf(holder) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		key := address.As16()
		counts := o.counts[key]
		wasBoth := counts[0] > 0 && counts[1] > 0
		counts[side] += change
		isBoth := counts[0] > 0 && counts[1] > 0
		if counts == [2]int32{} {
			delete(o.counts, key)
		} else {
			o.counts[key] = counts
		}
		switch {
		case isBoth && !wasBoth:
			o.any.Add(1)
		case wasBoth && !isBoth:
			o.any.Add(-1)
		}
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
				if counts := o.counts[address.As16()]; err == nil && counts[0] > 0 && counts[1] > 0 {
					found = append(found, address.Unmap())
				}
			}
		}
	}
	return found
}
