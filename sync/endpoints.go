package sync

import (
	"maps"
	"slices"
	"strconv"

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
			groups[set].runs = append(groups[set].runs, asRun(slice.Endpoints))
		}
	}
	sets := slices.Sorted(maps.Keys(groups))
	room := maxEndpoints
	for _, set := range sets {
		group := groups[set]
		group.ready, room = limited(firstAddresses(group.runs, true, max(room, 0)+1), room)
	}
	for _, set := range sets {
		group := groups[set]
		group.notReady, room = limited(firstAddresses(group.runs, false, max(room, 0)+1), room)
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

// portGroup is the addresses that serve the same ports.
type portGroup struct {
	ports []corev1.EndpointPort
	// runs are the endpoints of each slice, sorted.
	runs            [][]discoveryv1.Endpoint
	ready, notReady []corev1.EndpointAddress
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
	var text []byte
	for _, port := range ports {
		text = append(append(append(text, port.Name...), '/'), port.Protocol...)
		text = strconv.AppendInt(append(text, '/'), int64(port.Port), 10)
		text = append(append(append(text, '/'), ptr.Deref(port.AppProtocol, "")...), ',')
	}
	return string(text)
}
