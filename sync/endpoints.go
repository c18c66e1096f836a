package sync

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// maxEndpoints is how many addresses Kubernetes puts into one Endpoints object before it truncates it
// (k8s.io/kubernetes/pkg/controller/endpoint, maxCapacity).
const maxEndpoints = 1000

// truncated is the value that Kubernetes gives to corev1.EndpointsOverCapacity when it does.
const truncated = "truncated"

// projectEndpoints makes the pointer's Endpoints from its slices. As the Endpoints that Kubernetes makes, they hold
// the primary family only, ready and not ready addresses apart, one subset for each set of ports.
func (r Rules) projectEndpoints(service *corev1.Service, projected []*discoveryv1.EndpointSlice, primary corev1.IPFamily) *corev1.Endpoints {
	pointer := &corev1.Endpoints{ObjectMeta: r.mark(service, service.Name)}
	if r.EndpointsAPI == Both {
		pointer.Labels[discoveryv1.LabelSkipMirror] = "true"
	}
	if isHeadless(service) {
		pointer.Labels[corev1.IsHeadlessService] = ""
	}
	groups := map[string]*portGroup{}
	for _, slice := range projected {
		if corev1.IPFamily(slice.AddressType) == primary {
			ports := endpointsPorts(slice.Ports)
			set := portSet(ports)
			if groups[set] == nil {
				groups[set] = &portGroup{ports: ports}
			}
			groups[set].add(slice.Endpoints)
		}
	}
	sets := slices.Sorted(maps.Keys(groups))
	room := maxEndpoints
	for _, set := range sets {
		group := groups[set]
		group.ready, room = limited(canonicalAddresses(group.ready), room)
	}
	for _, set := range sets {
		group := groups[set]
		group.notReady, room = limited(canonicalAddresses(group.notReady), room)
		if len(group.ready)+len(group.notReady) > 0 {
			pointer.Subsets = append(pointer.Subsets, corev1.EndpointSubset{
				Addresses: group.ready, NotReadyAddresses: group.notReady, Ports: group.ports,
			})
		}
	}
	if room < 0 {
		pointer.Annotations[corev1.EndpointsOverCapacity] = truncated
	}
	return pointer
}

func readyInEndpoints(endpoints *corev1.Endpoints) int {
	if endpoints == nil {
		return 0
	}
	count := 0
	for _, subset := range endpoints.Subsets {
		count += len(subset.Addresses)
	}
	return count
}

// portGroup is the addresses that serve the same ports.
type portGroup struct {
	ports           []corev1.EndpointPort
	ready, notReady []corev1.EndpointAddress
}

func (g *portGroup) add(endpoints []discoveryv1.Endpoint) {
	g.ready = slices.Grow(g.ready, len(endpoints))
	for _, endpoint := range endpoints {
		for _, ip := range endpoint.Addresses {
			address := corev1.EndpointAddress{IP: ip, Hostname: ptr.Deref(endpoint.Hostname, "")}
			if isReady(endpoint) {
				g.ready = append(g.ready, address)
			} else {
				g.notReady = append(g.notReady, address)
			}
		}
	}
}

func canonicalAddresses(addresses []corev1.EndpointAddress) []corev1.EndpointAddress {
	slices.SortFunc(addresses, func(a, b corev1.EndpointAddress) int {
		return cmp.Or(strings.Compare(a.IP, b.IP), strings.Compare(a.Hostname, b.Hostname))
	})
	return slices.Compact(addresses)
}

// limited gives as many addresses as there is room for, and the room that is left: less than none where it cut some.
func limited(addresses []corev1.EndpointAddress, room int) ([]corev1.EndpointAddress, int) {
	left := room - len(addresses)
	if left >= 0 {
		return addresses, left
	}
	return addresses[:max(room, 0)], min(left, -1)
}

func endpointsPorts(ports []discoveryv1.EndpointPort) []corev1.EndpointPort {
	var all []corev1.EndpointPort
	for _, port := range ports {
		if port.Port == nil {
			// A slice may leave the number to its readers; Endpoints can't.
			continue
		}
		all = append(all, corev1.EndpointPort{
			Name:        ptr.Deref(port.Name, ""),
			Port:        *port.Port,
			Protocol:    ptr.Deref(port.Protocol, corev1.ProtocolTCP),
			AppProtocol: port.AppProtocol,
		})
	}
	return all
}

func portSet(ports []corev1.EndpointPort) string {
	var text strings.Builder
	for _, port := range ports {
		fmt.Fprintf(&text, "%s/%s/%d/%s,", port.Name, port.Protocol, port.Port, ptr.Deref(port.AppProtocol, ""))
	}
	return text.String()
}
