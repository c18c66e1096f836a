package clusters

import (
	"net/netip"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
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

	mu sync.Mutex
	// counts are how often the objects of each side hold an address. Their keys refer to nothing: there are many.
	counts map[[16]byte][2]int32
}

// NewOverlap compares two views. It must be called before their clusters run.
func NewOverlap(a, b *Source, changed func()) *Overlap {
	o := &Overlap{changed: changed, counts: map[[16]byte][2]int32{}}
	for side, source := range []*Source{a, b} {
		source.slices.inserted = func(slice *packedSlice) { o.count(side, podsInSlice(slice), 1) }
		source.slices.removed = func(slice *packedSlice) { o.count(side, podsInSlice(slice), -1) }
		source.endpoints.inserted = func(endpoints *corev1.Endpoints) { o.count(side, podsIn(endpoints), 1) }
		source.endpoints.removed = func(endpoints *corev1.Endpoints) { o.count(side, podsIn(endpoints), -1) }
	}
	return o
}

// podsInSlice are the addresses of a slice that Kubernetes made of pods.
func podsInSlice(slice *packedSlice) []string {
	if !slice.isOfPods {
		return nil
	}
	return slice.addresses()
}

// podsIn are the addresses of Endpoints that are those of pods. Of Endpoints, only newer versions of Kubernetes say who made
// them, but an address says what it belongs to.
func podsIn(endpoints *corev1.Endpoints) []string {
	var pods []string
	for _, subset := range endpoints.Subsets {
		for _, addresses := range [][]corev1.EndpointAddress{subset.Addresses, subset.NotReadyAddresses} {
			for _, address := range addresses {
				if address.TargetRef != nil && address.TargetRef.Kind == "Pod" {
					pods = append(pods, address.IP)
				}
			}
		}
	}
	return pods
}

func (o *Overlap) count(side int, pods []string, change int32) {
	if len(pods) == 0 {
		return
	}
	before := o.any.Load()
	o.mu.Lock()
	for _, text := range pods {
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
				if counts := o.counts[address.As16()]; err == nil && counts[0] > 0 && counts[1] > 0 {
					found = append(found, address.Unmap())
				}
			}
		}
	}
	return found
}
