package sync

import (
	"container/heap"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// firstAddresses gives the first addresses of all that are in the sorted runs, at most limit, ready ones or others, each
// once. It looks at no more of the runs than that takes: a large Service has many times what Endpoints hold.
func firstAddresses(runs [][]discoveryv1.Endpoint, ready bool, limit int) []corev1.EndpointAddress {
	rest, total := make(runHeap, 0, len(runs)), 0
	for _, run := range runs {
		if run = from(run, ready); len(run) > 0 {
			rest, total = append(rest, run), total+len(run)
		}
	}
	if total == 0 {
		return nil
	}
	heap.Init(&rest)
	first := make([]corev1.EndpointAddress, 0, min(limit, total))
	for len(rest) > 0 && len(first) < limit {
		endpoint := rest[0][0]
		address := corev1.EndpointAddress{IP: endpoint.Addresses[0], Hostname: ptr.Deref(endpoint.Hostname, "")}
		if count := len(first); count == 0 || first[count-1] != address {
			first = append(first, address)
		}
		if rest[0] = from(rest[0][1:], ready); len(rest[0]) == 0 {
			heap.Pop(&rest)
		} else {
			heap.Fix(&rest, 0)
		}
	}
	return first
}

// from leaves out the endpoints before the first that is ready, or before the first that is not.
func from(run []discoveryv1.Endpoint, ready bool) []discoveryv1.Endpoint {
	for len(run) > 0 && isReady(run[0]) != ready {
		run = run[1:]
	}
	return run
}

// asRun gives endpoints of one address each, sorted. Those of a projected slice are, as a rule.
func asRun(endpoints []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	if !slices.ContainsFunc(endpoints, func(endpoint discoveryv1.Endpoint) bool { return len(endpoint.Addresses) > 1 }) {
		return endpoints
	}
	var run []discoveryv1.Endpoint
	for _, endpoint := range endpoints {
		for _, address := range endpoint.Addresses {
			endpoint.Addresses = []string{address}
			run = append(run, endpoint)
		}
	}
	slices.SortFunc(run, compareEndpoints)
	return run
}

// runHeap has the run on top that goes on with the first address.
type runHeap [][]discoveryv1.Endpoint

func (h runHeap) Len() int { return len(h) }

func (h runHeap) Less(i, j int) bool {
	a, b := h[i][0], h[j][0]
	if order := strings.Compare(a.Addresses[0], b.Addresses[0]); order != 0 {
		return order < 0
	}
	return ptr.Deref(a.Hostname, "") < ptr.Deref(b.Hostname, "")
}

func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *runHeap) Push(run any) { *h = append(*h, run.([]discoveryv1.Endpoint)) }

func (h *runHeap) Pop() any {
	last := len(*h) - 1
	run := (*h)[last]
	*h = (*h)[:last]
	return run
}
