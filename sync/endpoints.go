package sync

import (
	"cmp"
	"fmt"
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
	var ready, notReady []portedAddress
	for _, slice := range projected {
		if corev1.IPFamily(slice.AddressType) != primary {
			continue
		}
		ports := endpointsPorts(slice.Ports)
		set := portSet(ports)
		for _, endpoint := range slice.Endpoints {
			for _, ip := range endpoint.Addresses {
				found := portedAddress{set, ports, corev1.EndpointAddress{IP: ip, Hostname: ptr.Deref(endpoint.Hostname, "")}}
				if isReady(endpoint) {
					ready = append(ready, found)
				} else {
					notReady = append(notReady, found)
				}
			}
		}
	}
	ready, notReady = canonicalAddresses(ready), canonicalAddresses(notReady)
	if len(ready)+len(notReady) > maxEndpoints {
		pointer.Annotations[corev1.EndpointsOverCapacity] = truncated
		ready = ready[:min(len(ready), maxEndpoints)]
		notReady = notReady[:min(len(notReady), maxEndpoints-len(ready))]
	}
	pointer.Subsets = subsets(ready, notReady)
	return pointer
}

// portedAddress is one address and the ports that it serves.
type portedAddress struct {
	set     string // the ports as text, to compare them
	ports   []corev1.EndpointPort
	address corev1.EndpointAddress
}

func canonicalAddresses(addresses []portedAddress) []portedAddress {
	slices.SortFunc(addresses, func(a, b portedAddress) int {
		return cmp.Or(cmp.Compare(a.address.IP, b.address.IP), cmp.Compare(a.set, b.set), cmp.Compare(a.address.Hostname, b.address.Hostname))
	})
	return slices.CompactFunc(addresses, func(a, b portedAddress) bool {
		return a.address == b.address && a.set == b.set
	})
}

// subsets groups sorted addresses by their ports.
func subsets(ready, notReady []portedAddress) []corev1.EndpointSubset {
	bySet := map[string]*corev1.EndpointSubset{}
	var sets []string
	subset := func(found portedAddress) *corev1.EndpointSubset {
		if bySet[found.set] == nil {
			bySet[found.set] = &corev1.EndpointSubset{Ports: found.ports}
			sets = append(sets, found.set)
		}
		return bySet[found.set]
	}
	for _, found := range ready {
		s := subset(found)
		s.Addresses = append(s.Addresses, found.address)
	}
	for _, found := range notReady {
		s := subset(found)
		s.NotReadyAddresses = append(s.NotReadyAddresses, found.address)
	}
	slices.Sort(sets)
	var all []corev1.EndpointSubset
	for _, set := range sets {
		all = append(all, *bySet[set])
	}
	return all
}

func endpointsPorts(ports []discoveryv1.EndpointPort) []corev1.EndpointPort {
	var all []corev1.EndpointPort
	for _, port := range ports {
		all = append(all, corev1.EndpointPort{
			Name:        ptr.Deref(port.Name, ""),
			Port:        ptr.Deref(port.Port, 0),
			Protocol:    ptr.Deref(port.Protocol, corev1.ProtocolTCP),
			AppProtocol: clonePointer(port.AppProtocol),
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
