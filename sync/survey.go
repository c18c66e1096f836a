package sync

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// Survey is what a cluster exports, as its watches last told.
type Survey struct {
	// Services are the names, sorted.
	Services []Key
	// Addresses are those of all endpoints, sorted, each once.
	Addresses []netip.Addr
	// Ready are ready TCP endpoints as host:port, a few of each Service, in the order of the Services.
	Ready []string
}

// readyPerService bounds [Survey.Ready].
const readyPerService = 3

// SurveyOf reads what a cluster exports. It fails until all watches are synced.
func SurveyOf(source SourceReader) (survey Survey, err error) {
	keys := source.Keys()
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, key := range keys {
		service, endpointSlices, err := source.Exported(key)
		if err != nil {
			return Survey{}, err
		}
		if service == nil || IsMirrored(service) {
			continue
		}
		survey.Services = append(survey.Services, key)
		var ready []string
		for _, slice := range endpointSlices {
			for _, endpoint := range slice.Endpoints {
				addresses := parsed(endpoint.Addresses)
				survey.Addresses = append(survey.Addresses, addresses...)
				if isReady(endpoint) {
					ready = append(ready, tcp(addresses, slice.Ports)...)
				}
			}
		}
		slices.Sort(ready)
		survey.Ready = append(survey.Ready, ready[:min(readyPerService, len(ready))]...)
	}
	slices.SortFunc(survey.Addresses, netip.Addr.Compare)
	survey.Addresses = slices.Compact(survey.Addresses)
	return survey, nil
}

func parsed(texts []string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// tcp gives each address with each TCP port.
func tcp(addresses []netip.Addr, ports []discoveryv1.EndpointPort) []string {
	var all []string
	for _, address := range addresses {
		for _, port := range ports {
			if port.Port != nil && ptr.Deref(port.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
				all = append(all, netip.AddrPortFrom(address, uint16(*port.Port)).String())
			}
		}
	}
	return all
}
