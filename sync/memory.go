package sync

import (
	"net/netip"
	"slices"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// rememberFrom is the number of slices from which a Service's projection is remembered. Most Services have one or two,
// and are as quickly projected anew; of a large one, a change of one pod changes one slice of many.
const rememberFrom = 4

// Memory keeps what the slices of large Services were projected to, for as long as they don't change. A slice is known by
// its address: whoever reads the source never changes an object, but replaces it. What comes as another object, as small slices
// may each time, is projected again. A Memory may be used by several workers,
// as long as no two of them look at the same Service.
type Memory struct {
	mu       sync.Mutex
	services map[Key]*remembered
}

type remembered struct {
	// The facts that a projection depends on beside the slice. With others, nothing is remembered.
	service, owner types.UID
	headless       bool
	serviceCIDRs   []netip.Prefix

	slices map[*discoveryv1.EndpointSlice]projectedSlice
}

// NewMemory makes an empty memory.
func NewMemory() *Memory {
	return &Memory{services: map[Key]*remembered{}}
}

// recall gives what is remembered of a Service's slices, to read and to add to; nil where nothing is to be remembered.
func (m *Memory) recall(source Source, rule AddressRule, owner types.UID) map[*discoveryv1.EndpointSlice]projectedSlice {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := Key{Namespace: source.Service.Namespace, Name: source.Service.Name}
	if len(source.Slices) < rememberFrom || len(rule.Overlapping) > 0 {
		delete(m.services, key)
		return nil
	}
	before := m.services[key]
	now := &remembered{
		service: source.Service.UID, owner: owner, headless: isHeadless(source.Service), serviceCIDRs: rule.ServiceCIDRs,
		slices: make(map[*discoveryv1.EndpointSlice]projectedSlice, len(source.Slices)),
	}
	if before != nil && before.hasFactsOf(now) {
		for _, slice := range source.Slices {
			if projected, known := before.slices[slice]; known {
				now.slices[slice] = projected
			}
		}
	}
	m.services[key] = now
	return now.slices
}

func (r *remembered) hasFactsOf(other *remembered) bool {
	return r.service == other.service && r.owner == other.owner && r.headless == other.headless &&
		slices.Equal(r.serviceCIDRs, other.serviceCIDRs)
}

func (m *Memory) forget(key Key) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.services, key)
}
