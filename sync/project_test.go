package sync

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// pointerService is the Service of the pointer of [exported].
func pointerService(edits ...func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: marks("web"),
		Spec: corev1.ServiceSpec{
			Type:                  corev1.ServiceTypeClusterIP,
			SessionAffinity:       corev1.ServiceAffinityNone,
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:            []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy:        ptr.To(corev1.IPFamilyPolicySingleStack),
			Ports:                 []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
		},
	}
	for _, edit := range edits {
		edit(service)
	}
	return service
}

func TestProjectService(t *testing.T) {
	sticky := func(service *corev1.Service) {
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		service.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](60)}}
	}
	tests := []struct {
		name    string
		rules   Rules
		service *corev1.Service
		network Network
		want    *corev1.Service
	}{
		{"an ordinary Service loses its selector, cluster IPs and target ports", rules(), exported(), dualStack, pointerService()},
		{"a headless Service stays headless", rules(), exported(headless), dualStack, pointerService(func(service *corev1.Service) {
			service.Spec.ClusterIP = corev1.ClusterIPNone
		})},
		{"session affinity and its timeout are copied", rules(), exported(sticky), dualStack, pointerService(sticky)},
		{"no session affinity is None", rules(), exported(func(service *corev1.Service) { service.Spec.SessionAffinity = "" }), dualStack, pointerService()},
		{"publishing what is not ready is copied", rules(), exported(func(service *corev1.Service) {
			service.Spec.PublishNotReadyAddresses = true
		}), dualStack, pointerService(func(service *corev1.Service) { service.Spec.PublishNotReadyAddresses = true })},
		{"ports keep name, number, protocol and appProtocol", rules(), exported(func(service *corev1.Service) {
			service.Spec.Ports = []corev1.ServicePort{{Name: "b", Port: 2, Protocol: corev1.ProtocolUDP, AppProtocol: ptr.To("x")}, {Name: "a", Port: 1, NodePort: 30000}}
		}), dualStack, pointerService(func(service *corev1.Service) {
			service.Spec.Ports = []corev1.ServicePort{{Name: "b", Port: 2, Protocol: corev1.ProtocolUDP, AppProtocol: ptr.To("x")}, {Name: "a", Port: 1, Protocol: corev1.ProtocolTCP}}
		})},
		{"what opens it to the outside, and whose it was, is dropped", rules(), exported(func(service *corev1.Service) {
			service.OwnerReferences = []metav1.OwnerReference{{Kind: "App", Name: "web", UID: "x"}}
			service.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
			service.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
			service.Labels["argocd.argoproj.io/instance"] = "shop"
			spec := &service.Spec
			spec.Type, spec.ExternalIPs, spec.LoadBalancerIP = corev1.ServiceTypeLoadBalancer, []string{"198.51.100.1"}, "198.51.100.2"
			spec.LoadBalancerSourceRanges, spec.LoadBalancerClass = []string{"0.0.0.0/0"}, ptr.To("nlb")
			spec.AllocateLoadBalancerNodePorts, spec.HealthCheckNodePort = ptr.To(true), 31000
			spec.ExternalTrafficPolicy, spec.TrafficDistribution = corev1.ServiceExternalTrafficPolicyLocal, ptr.To("PreferClose")
			spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyLocal)
		}), dualStack, pointerService()},
		{
			"labels and annotations are copied by the lists, marks never",
			rules(func(r *Rules) {
				r.CopyLabels, r.CopyAnnotations = []string{"team", "absent", LabelExport}, []string{"note", AnnotationOriginCluster}
			}),
			exported(func(service *corev1.Service) {
				service.Labels["team"], service.Labels["other"] = "red", "x"
				service.Annotations = map[string]string{"note": "n", "other": "x"}
			}),
			dualStack,
			pointerService(func(service *corev1.Service) {
				service.Labels["team"], service.Annotations["note"] = "red", "n"
			}),
		},
		{"both families need a dual-stack Service", rules(), exported(families("IPv6", "IPv4")), dualStack, pointerService(func(service *corev1.Service) {
			families("IPv6", "IPv4")(service)
			service.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
		})},
		{"of both families those that the target has", rules(), exported(families("IPv6", "IPv4")), ipv4Only, pointerService()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target := targetOf()
			target.Network = test.network
			got := test.rules.project(sourceOf(test.service), target).Service
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Service (-want +got):\n%s", diff)
			}
		})
	}
}

// pointerSlice is what a slice of [sliceOf] becomes.
func pointerSlice(source *discoveryv1.EndpointSlice, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  marks(rules().sliceName("web", source)),
		AddressType: source.AddressType,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}},
		Endpoints:   endpoints,
	}
	slice.Labels[discoveryv1.LabelManagedBy], slice.Labels[discoveryv1.LabelServiceName] = ManagedBy, "web"
	slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: "web", Controller: ptr.To(true)}}
	return slice
}

func TestProjectSlices(t *testing.T) {
	plain := func(addresses ...string) discoveryv1.Endpoint { return discoveryv1.Endpoint{Addresses: addresses} }
	unsorted := sliceOf("web-1")
	unsorted.Ports = []discoveryv1.EndpointPort{{Name: ptr.To("z"), Port: ptr.To[int32](2), Protocol: ptr.To(corev1.ProtocolSCTP), AppProtocol: ptr.To("x")}, {Port: ptr.To[int32](1)}}
	canonicalPorts := pointerSlice(unsorted)
	canonicalPorts.Ports = []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To[int32](1), Protocol: ptr.To(corev1.ProtocolTCP)}, unsorted.Ports[0]}
	full := ready("10.0.0.1")
	full.Conditions.Serving, full.Conditions.Terminating, full.Hostname = ptr.To(true), ptr.To(false), ptr.To("web-0")
	local := *full.DeepCopy()
	local.NodeName, local.Zone, local.TargetRef = ptr.To("n"), ptr.To("z"), &corev1.ObjectReference{Name: "p"}
	local.Hints, local.DeprecatedTopology = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z"}}}, map[string]string{"x": "y"}
	fqdn := sliceOf("web-1", plain("web.example.com"))
	fqdn.AddressType = discoveryv1.AddressTypeFQDN
	echo := sliceOf("web-1", ready("10.0.0.1"))
	echo.Annotations = map[string]string{AnnotationOriginCluster: "x"}
	one, two := sliceOf("web-1", ready("10.0.0.1")), sliceOf6("web-1", ready("fd00:1::1"))
	labelled := func(slice *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		slice.Labels[corev1.IsHeadlessService] = ""
		return slice
	}
	allowed := rules(func(r *Rules) { r.Allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")} })
	only := func(slices ...*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice { return slices }
	tests := []struct {
		name    string
		rules   Rules
		service *corev1.Service
		source  []*discoveryv1.EndpointSlice
		want    []*discoveryv1.EndpointSlice
		denied  int
	}{
		{"a slice becomes one with our marks and owner", rules(), exported(), only(one), only(pointerSlice(one, ready("10.0.0.1"))), 0},
		{"conditions that nobody set stay unset", rules(), exported(), only(sliceOf("web-1", plain("10.0.0.1"))), only(pointerSlice(one, plain("10.0.0.1"))), 0},
		{"hostname and conditions are kept, what ties it to its cluster is not", rules(), exported(), only(sliceOf("web-1", local)), only(pointerSlice(one, full)), 0},
		{"a headless Service's slices say so", rules(), exported(headless), only(one), only(labelled(pointerSlice(one, ready("10.0.0.1")))), 0},
		{"ports are sorted, with name and protocol", rules(), exported(), only(unsorted), only(canonicalPorts), 0},
		{"addresses are canonical and sorted", rules(), exported(), only(sliceOf("web-1", ready("010.000.000.002"), ready("::ffff:10.0.0.1"))), only(pointerSlice(one, ready("10.0.0.1"), ready("10.0.0.2"))), 0},
		{"denied addresses are left out and counted", allowed, exported(), only(sliceOf("web-1", ready("10.0.0.1"), ready("10.1.0.1"), ready("127.0.0.1"))), only(pointerSlice(one, ready("10.0.0.1"))), 2},
		{"a slice of denied addresses stays, empty", rules(), exported(), only(sliceOf("web-1", ready("10.96.0.1"))), only(pointerSlice(one)), 1},
		{"an address of the other family is denied", rules(), exported(families("IPv4", "IPv6")), only(sliceOf6("web-1", ready("::ffff:10.0.0.1"))), only(pointerSlice(two)), 1},
		{"each family has its slice", rules(), exported(families("IPv4", "IPv6")), only(one, two), only(pointerSlice(one, ready("10.0.0.1")), pointerSlice(two, ready("fd00:1::1"))), 0},
		{"a family that the Service doesn't have is left out", rules(), exported(), only(one, two), only(pointerSlice(one, ready("10.0.0.1"))), 0},
		{"names are no addresses", rules(), exported(), only(fqdn), nil, 1},
		{"what is mirrored is not mirrored again", rules(), exported(), only(echo), nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.rules.project(sourceOf(test.service, test.source...), targetOf())
			byName := cmpopts.SortSlices(func(a, b *discoveryv1.EndpointSlice) bool { return a.Name < b.Name })
			if diff := cmp.Diff(test.want, got.Slices, byName, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
			if len(got.Denied) != test.denied || !slices.IsSorted(got.Denied) {
				t.Errorf("%q denied, want %d", got.Denied, test.denied)
			}
		})
	}
}

func TestSliceNames(t *testing.T) {
	r := rules()
	name := r.sliceName("web", sliceOf("web-1"))
	other := rules(func(r *Rules) { r.Cluster = "uid-of-red" })
	if again := r.sliceName("web", sliceOf("web-1", ready("10.0.0.1"))); again != name {
		t.Errorf("the same slice is called %s and %s", name, again)
	}
	for what, got := range map[string]string{
		"another slice": r.sliceName("web", sliceOf("web-2")), "another family": r.sliceName("web", sliceOf6("web-1")), "another cluster": other.sliceName("web", sliceOf("web-1")),
	} {
		if got == name {
			t.Errorf("%s has the same name %s", what, name)
		}
	}
	slice := pointerSlice(sliceOf("web-1"))
	delete(slice.Labels, discoveryv1.LabelServiceName)
	if got := serviceOfSlice(slice); got != "web" {
		t.Errorf("without its label, the slice belongs to %q", got)
	}
}
