package sync

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

func pointerEndpoints(subsets ...corev1.EndpointSubset) *corev1.Endpoints {
	endpoints := &corev1.Endpoints{ObjectMeta: marks("web"), Subsets: subsets}
	endpoints.Labels[discoveryv1.LabelSkipMirror] = "true"
	return endpoints
}

func addressesFrom(first, count int) (texts []string, addresses []corev1.EndpointAddress) {
	for i := first; i < first+count; i++ {
		ip := fmt.Sprintf("10.1.%d.%d", 100+i/100, 100+i%100)
		texts, addresses = append(texts, ip), append(addresses, corev1.EndpointAddress{IP: ip})
	}
	return texts, addresses
}

func TestProjectEndpoints(t *testing.T) {
	http := []corev1.EndpointPort{{Name: "http", Port: 8080, Protocol: corev1.ProtocolTCP}}
	grpc := []corev1.EndpointPort{{Name: "grpc", Port: 9000, Protocol: corev1.ProtocolTCP, AppProtocol: ptr.To("grpc")}}
	ip := func(texts ...string) (all []corev1.EndpointAddress) {
		for _, text := range texts {
			all = append(all, corev1.EndpointAddress{IP: text})
		}
		return all
	}
	grpcSlice := sliceOf("web-2", ready("10.0.0.2"))
	grpcSlice.Ports = []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To[int32](9000), Protocol: ptr.To(corev1.ProtocolTCP), AppProtocol: ptr.To("grpc")}}
	withHostname := ready("10.0.0.1")
	withHostname.Hostname = ptr.To("web-0")
	allPorts := sliceOf("web-1", ready("10.0.0.1"))
	allPorts.Ports = append(allPorts.Ports, discoveryv1.EndpointPort{Name: ptr.To("all")})
	first, firstAddresses := addressesFrom(0, 600)
	second, secondAddresses := addressesFrom(600, 600)
	over := pointerEndpoints(corev1.EndpointSubset{Addresses: append(firstAddresses, secondAddresses[:400]...), Ports: http})
	over.Annotations[corev1.EndpointsOverCapacity] = "truncated"
	each := func(texts []string, make func(...string) discoveryv1.Endpoint) (all []discoveryv1.Endpoint) {
		for _, text := range texts {
			all = append(all, make(text))
		}
		return all
	}
	mixed := pointerEndpoints(corev1.EndpointSubset{Addresses: firstAddresses, NotReadyAddresses: secondAddresses[:400], Ports: http})
	mixed.Annotations[corev1.EndpointsOverCapacity] = "truncated"
	headlessEndpoints := pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})
	headlessEndpoints.Labels[corev1.IsHeadlessService] = ""
	only := func(edit func(*Rules)) Rules { return rules(edit) }
	alone := pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})
	delete(alone.Labels, discoveryv1.LabelSkipMirror)
	tests := []struct {
		name   string
		rules  Rules
		source Source
		want   *corev1.Endpoints
	}{
		{"ready and not ready stand apart", rules(), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.2"), ready("10.0.0.1"), notReady("10.0.0.3"))),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1", "10.0.0.2"), NotReadyAddresses: ip("10.0.0.3"), Ports: http})},
		{"what is not known is ready", rules(), sourceOf(exported(), sliceOf("web-1", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}})),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})},
		{"slices with the same ports share a subset", rules(), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")), sliceOf("web-2", ready("10.0.0.2"))),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1", "10.0.0.2"), Ports: http})},
		{"other ports are another subset", rules(), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")), grpcSlice),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.2"), Ports: grpc}, corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})},
		{"an address that stands twice is there once", rules(), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")), sliceOf("web-2", ready("10.0.0.1"))),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})},
		{"a hostname is kept", rules(), sourceOf(exported(), sliceOf("web-1", withHostname)),
			pointerEndpoints(corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1", Hostname: "web-0"}}, Ports: http})},
		{"the primary family alone", rules(), sourceOf(exported(families("IPv4", "IPv6")), sliceOf("web-1", ready("10.0.0.1")), sliceOf6("web-2", ready("fd00:1::1"))),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})},
		{"no addresses are no subsets", rules(), sourceOf(exported(), sliceOf("web-1")), pointerEndpoints()},
		{"a headless Service's Endpoints say so", rules(), sourceOf(exported(headless), sliceOf("web-1", ready("10.0.0.1"))), headlessEndpoints},
		{"over 1,000 they are truncated", rules(), sourceOf(exported(), sliceOf("web-1", each(first, ready)...), sliceOf("web-2", each(second, ready)...)), over},
		{"what is ready goes before what is not", rules(), sourceOf(exported(), sliceOf("web-1", each(second, notReady)...), sliceOf("web-2", each(first, ready)...)), mixed},
		{"alone, they leave out skip-mirror", only(func(r *Rules) { r.EndpointsAPI = EndpointsOnly }), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"))), alone},
		{"with slices only there are none", only(func(r *Rules) { r.EndpointsAPI = SlicesOnly }), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"))), nil},
		{"a port without a number, which Endpoints can't have, is left out", rules(), sourceOf(exported(), allPorts),
			pointerEndpoints(corev1.EndpointSubset{Addresses: ip("10.0.0.1"), Ports: http})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.rules.project(test.source, targetOf()).Endpoints); diff != "" {
				t.Errorf("Endpoints (-want +got):\n%s", diff)
			}
		})
	}
}
