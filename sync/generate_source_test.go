package sync

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// The generators draw small worlds: few names and few addresses, so that what is drawn twice often meets.

func drawRules(t *rapid.T) Rules {
	r := rules()
	r.EndpointsAPI = rapid.SampledFrom([]EndpointsAPI{Both, Both, SlicesOnly, EndpointsOnly}).Draw(t, "endpoints API")
	if rapid.Bool().Draw(t, "with allowed ranges") {
		r.Allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("fd00:1::/126")}
	}
	if rapid.Bool().Draw(t, "with copied keys") {
		r.CopyLabels, r.CopyAnnotations = []string{"team", LabelExport}, []string{"note", AnnotationOriginUID}
	}
	return r
}

func drawNetwork(t *rapid.T) Network {
	network := dualStack
	network.Families = rapid.SampledFrom([][]corev1.IPFamily{
		{corev1.IPv4Protocol}, {corev1.IPv6Protocol}, {corev1.IPv4Protocol, corev1.IPv6Protocol}, {corev1.IPv6Protocol, corev1.IPv4Protocol},
	}).Draw(t, "families of the target")
	return network
}

// drawSource draws what blue may say of the name, also nothing at all.
func drawSource(t *rapid.T) Source {
	if rapid.IntRange(0, 5).Draw(t, "exported at all") == 0 {
		return Source{}
	}
	source := Source{Service: drawService(t)}
	for i := range rapid.IntRange(0, 4).Draw(t, "slices") {
		source.Slices = append(source.Slices, drawSlice(t, fmt.Sprintf("web-%d", i)))
	}
	return source
}

func drawService(t *rapid.T) *corev1.Service {
	service := exported(families(rapid.SampledFrom([][]corev1.IPFamily{
		{corev1.IPv4Protocol}, {corev1.IPv6Protocol}, {corev1.IPv4Protocol, corev1.IPv6Protocol}, {corev1.IPv6Protocol, corev1.IPv4Protocol},
	}).Draw(t, "families of the source")...))
	service.UID = rapid.SampledFrom([]types.UID{"uid-of-web", "uid-of-web-made-anew"}).Draw(t, "uid")
	service.Labels["team"] = rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "team")
	service.Annotations = map[string]string{"note": rapid.SampledFrom([]string{"", "x"}).Draw(t, "note")}
	spec := &service.Spec
	if rapid.Bool().Draw(t, "headless") {
		headless(service)
	}
	if rapid.IntRange(0, 2).Draw(t, "has a selector") == 0 {
		withoutSelector(service)
	}
	if rapid.Bool().Draw(t, "sticky") {
		spec.SessionAffinity = corev1.ServiceAffinityClientIP
		spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](60)}}
	}
	spec.PublishNotReadyAddresses = rapid.Bool().Draw(t, "publish not ready")
	if rapid.IntRange(0, 3).Draw(t, "type") == 0 && !isHeadless(service) {
		spec.Type, spec.ExternalTrafficPolicy, spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 31000
		spec.ExternalIPs, spec.LoadBalancerIP = []string{"198.51.100.7"}, "198.51.100.8"
		spec.Ports[0].NodePort = 30080
	}
	if rapid.Bool().Draw(t, "second port") {
		spec.Ports = append(spec.Ports, corev1.ServicePort{
			Name: "dns", Port: 53, TargetPort: intstr.FromString("dns"), AppProtocol: ptr.To("dns"),
			Protocol: rapid.SampledFrom([]corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolSCTP}).Draw(t, "protocol"),
		})
	}
	return service
}

var (
	someIPv4 = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "010.000.000.002", "10.7.0.1", "127.0.0.1", "169.254.169.254", "10.96.0.9", "::ffff:10.0.0.3"}
	someIPv6 = []string{"fd00:1::1", "fd00:1::2", "fd00:1:0::3", "fd00:9::1", "fe80::1", "fd00:ec2::254", "fd00:96::5", "::ffff:127.0.0.1"}
)

func drawSlice(t *rapid.T, name string) *discoveryv1.EndpointSlice {
	slice := sliceOf(name)
	addresses := someIPv4
	switch rapid.IntRange(0, 9).Draw(t, "address type") {
	case 0, 1, 2:
		slice.AddressType, addresses = discoveryv1.AddressTypeIPv6, someIPv6
	case 3:
		slice.AddressType, addresses = discoveryv1.AddressTypeFQDN, []string{"web.example.com"}
	}
	slice.Ports = rapid.SampledFrom([][]discoveryv1.EndpointPort{
		{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}},
		{{Port: ptr.To[int32](8080)}},
		{
			{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)},
			{Name: ptr.To("dns"), Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To[int32](8053), AppProtocol: ptr.To("dns")},
		},
		nil,
	}).Draw(t, "ports")
	for range rapid.IntRange(0, 4).Draw(t, "endpoints") {
		slice.Endpoints = append(slice.Endpoints, drawEndpoint(t, addresses))
	}
	return slice
}

func drawEndpoint(t *rapid.T, addresses []string) discoveryv1.Endpoint {
	condition := rapid.SampledFrom([]*bool{nil, ptr.To(true), ptr.To(true), ptr.To(false)})
	endpoint := discoveryv1.Endpoint{
		Addresses: []string{rapid.SampledFrom(addresses).Draw(t, "address")},
		Conditions: discoveryv1.EndpointConditions{
			Ready: condition.Draw(t, "ready"), Serving: condition.Draw(t, "serving"), Terminating: condition.Draw(t, "terminating"),
		},
		NodeName: ptr.To("node-1"), Zone: ptr.To("zone-a"), TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-0"},
		Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "zone-a"}}},
	}
	if rapid.IntRange(0, 3).Draw(t, "with a hostname") == 0 {
		endpoint.Hostname = ptr.To(rapid.SampledFrom([]string{"web-0", "web-1"}).Draw(t, "hostname"))
	}
	return endpoint
}

// shuffled is the same reading with everything in another order that has none.
func shuffled(t *rapid.T, source Source) Source {
	other := Source{Service: source.Service}
	for _, slice := range permuted(t, source.Slices) {
		slice = slice.DeepCopy()
		slice.Endpoints = permuted(t, slice.Endpoints)
		slice.Ports = permuted(t, slice.Ports)
		other.Slices = append(other.Slices, slice)
	}
	return other
}

func permuted[T any](t *rapid.T, list []T) []T {
	if len(list) < 2 {
		return slices.Clone(list)
	}
	return rapid.Permutation(list).Draw(t, "order")
}
