package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// shape is what the clients of a Service see of it. It is read in the same way from the Service that a cluster exports
// and from its pointer in the other.
type shape struct {
	ports   []string // as the Service has them: "http 80"
	targets []string // as its endpoints have them: "http 8080"; none where there are no endpoints
	ready   []string // the addresses of the endpoints
	unready []string
}

// String is what the demo prints: "3 ready, 80->8080".
func (s shape) String() string {
	text := fmt.Sprintf("%d ready", len(s.ready))
	if len(s.unready) > 0 {
		text += fmt.Sprintf(" %d not", len(s.unready))
	}
	separator := ", "
	for _, port := range s.ports {
		name, number, _ := strings.Cut(port, " ")
		text += separator + number
		for _, target := range s.targets {
			if number, ok := strings.CutPrefix(target, name+" "); ok {
				text += "->" + number
			}
		}
		separator = " "
	}
	return text
}

// details is for failures, where the numbers of a shape do not say what is wrong.
func (s shape) details() string {
	return fmt.Sprintf("ports %v to %v, ready %v, not ready %v", s.ports, s.targets, s.ready, s.unready)
}

func (s shape) equal(other shape) bool {
	return slices.Equal(s.ports, other.ports) && slices.Equal(s.targets, other.targets) &&
		slices.Equal(s.ready, other.ready) && slices.Equal(s.unready, other.unready)
}

// canonical puts all in order. Ports without endpoints are nobody's.
func (s shape) canonical() shape {
	for _, list := range []*[]string{&s.ports, &s.targets, &s.ready, &s.unready} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if len(s.ready)+len(s.unready) == 0 {
		s.targets = nil
	}
	return s
}

func (s *shape) addService(service *corev1.Service) {
	for _, port := range service.Spec.Ports {
		s.ports = append(s.ports, fmt.Sprintf("%s %d", port.Name, port.Port))
	}
}

// shapeOfSlices is what kube-proxy and CoreDNS see.
func shapeOfSlices(service *corev1.Service, all []*discoveryv1.EndpointSlice) shape {
	var s shape
	s.addService(service)
	for _, slice := range all {
		for _, port := range slice.Ports {
			s.targets = append(s.targets, fmt.Sprintf("%s %d", ptr.Deref(port.Name, ""), ptr.Deref(port.Port, 0)))
		}
		for _, endpoint := range slice.Endpoints {
			if ptr.Deref(endpoint.Conditions.Ready, true) {
				s.ready = append(s.ready, endpoint.Addresses...)
			} else {
				s.unready = append(s.unready, endpoint.Addresses...)
			}
		}
	}
	return s.canonical()
}

// shapeOfEndpoints is what the readers of the older API see.
func shapeOfEndpoints(service *corev1.Service, endpoints *corev1.Endpoints) shape {
	var s shape
	s.addService(service)
	for _, subset := range endpoints.Subsets {
		for _, port := range subset.Ports {
			s.targets = append(s.targets, fmt.Sprintf("%s %d", port.Name, port.Port))
		}
		for _, address := range subset.Addresses {
			s.ready = append(s.ready, address.IP)
		}
		for _, address := range subset.NotReadyAddresses {
			s.unready = append(s.unready, address.IP)
		}
	}
	return s.canonical()
}
