package sync

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Survey is what a cluster exports, as its watches last told.
type Survey struct {
	// Services are the names, sorted.
	Services []Key
	// Addresses are those of all endpoints, sorted, each once.
	Addresses []netip.Addr
	// Ready are the ready TCP endpoints as host:port, a few of each Service, sorted by Service.
	Ready []string
}

// readyPerService bounds [Survey.Ready].
const readyPerService = 3

// SurveyOf reads what a cluster exports. It fails until all watches are synced.
func SurveyOf(source SourceReader) (Survey, error) {
	survey := Survey{Services: source.Keys()}
	slices.SortFunc(survey.Services, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, key := range survey.Services {
		service, endpointSlices, err := source.Exported(key)
		if err != nil {
			return Survey{}, err
		}
		if service == nil || IsMirrored(service) {
			continue
		}
		var ready []string
		for _, slice := range endpointSlices {
			for _, endpoint := range slice.Endpoints {
				for _, text := range endpoint.Addresses {
					address, err := netip.ParseAddr(text)
					if err != nil {
						continue
					}
					survey.Addresses = append(survey.Addresses, address)
					for _, port := range slice.Ports {
						if isReady(endpoint) && port.Port != nil && ptr.Deref(port.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
							ready = append(ready, netip.AddrPortFrom(address, uint16(*port.Port)).String())
						}
					}
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
