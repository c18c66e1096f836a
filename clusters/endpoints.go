package clusters

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"
)

// maxSlice is how many endpoints Kubernetes puts into one slice.
const maxSlice = 100

// slicesOf makes of Endpoints the slices that Kubernetes would: a subset's addresses by family, at most 100 in a slice.
// The names tell the slices of one Service apart; they are the same for the same Endpoints.
func slicesOf(endpoints *corev1.Endpoints) []*discoveryv1.EndpointSlice {
	var all []*discoveryv1.EndpointSlice
	for i, subset := range endpoints.Subsets {
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			found := append(ofFamily(subset.Addresses, family, true), ofFamily(subset.NotReadyAddresses, family, false)...)
			slices.SortFunc(found, func(a, b discoveryv1.Endpoint) int { return cmp.Compare(a.Addresses[0], b.Addresses[0]) })
			part := 0
			for chunk := range slices.Chunk(found, maxSlice) {
				all = append(all, &discoveryv1.EndpointSlice{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: endpoints.Namespace,
						Name:      fmt.Sprintf("%s-%d-%d", endpoints.Name, i, part),
						Labels:    map[string]string{discoveryv1.LabelServiceName: endpoints.Name},
					},
					AddressType: family,
					Endpoints:   chunk,
					Ports:       slicePorts(subset.Ports),
				})
				part++
			}
		}
	}
	if len(all) == 0 {
		// As the placeholder of Kubernetes: there are Endpoints, and nothing is in them.
		all = append(all, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: endpoints.Namespace, Name: endpoints.Name + "-0-0",
				Labels: map[string]string{discoveryv1.LabelServiceName: endpoints.Name},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
		})
	}
	return all
}

func ofFamily(addresses []corev1.EndpointAddress, family discoveryv1.AddressType, ready bool) []discoveryv1.Endpoint {
	var found []discoveryv1.Endpoint
	for _, address := range addresses {
		if netutils.IsIPv6String(address.IP) != (family == discoveryv1.AddressTypeIPv6) {
			continue
		}
		endpoint := discoveryv1.Endpoint{Addresses: []string{address.IP}, Conditions: discoveryv1.EndpointConditions{Ready: shared(&ready)}}
		if address.Hostname != "" {
			endpoint.Hostname = ptr.To(address.Hostname)
		}
		found = append(found, endpoint)
	}
	return found
}

func slicePorts(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	var all []discoveryv1.EndpointPort
	for _, port := range ports {
		all = append(all, discoveryv1.EndpointPort{
			Name: ptr.To(port.Name), Port: ptr.To(port.Port), Protocol: ptr.To(port.Protocol), AppProtocol: port.AppProtocol,
		})
	}
	return all
}
