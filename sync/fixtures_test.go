package sync

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// The two clusters of all tests: Services of blue get pointers in green.
const (
	blue  = types.UID("uid-of-blue")
	green = types.UID("uid-of-green")
)

var (
	web       = Key{Namespace: "shop", Name: "web"}
	ipv4Only  = Network{Families: []corev1.IPFamily{corev1.IPv4Protocol}}
	dualStack = Network{
		Families:     []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol},
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/108")},
	}
	shop = &metav1.ObjectMeta{Name: "shop"}
)

// rules are those of the direction from blue to green.
func rules(edits ...func(*Rules)) Rules {
	r := Rules{Cluster: blue, Name: "blue", EndpointsAPI: Both}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

// exported is an ordinary exported Service in blue, as its API server gives it.
func exported(edits ...func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: web.Namespace, Name: web.Name, UID: "uid-of-web", ResourceVersion: "7",
			Labels: map[string]string{LabelExport: Exported},
		},
		Spec: corev1.ServiceSpec{
			Type:                  corev1.ServiceTypeClusterIP,
			ClusterIP:             "10.96.0.7",
			ClusterIPs:            []string{"10.96.0.7"},
			Selector:              map[string]string{"app": "web"},
			SessionAffinity:       corev1.ServiceAffinityNone,
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:            []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy:        ptr.To(corev1.IPFamilyPolicySingleStack),
			Ports:                 []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	for _, edit := range edits {
		edit(service)
	}
	return service
}

func headless(service *corev1.Service) {
	service.Spec.ClusterIP, service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
}

func withoutSelector(service *corev1.Service) {
	service.Spec.Selector = nil
}

func families(list ...corev1.IPFamily) func(*corev1.Service) {
	return func(service *corev1.Service) { service.Spec.IPFamilies = list }
}

func named(namespace, name string) func(*corev1.Service) {
	return func(service *corev1.Service) { service.Namespace, service.Name = namespace, name }
}

// mode annotates a Service.
func mode(mode Mode) func(*corev1.Service) {
	return func(service *corev1.Service) { annotate(service, AnnotationMode, string(mode)) }
}

func minReady(text string) func(*corev1.Service) {
	return func(service *corev1.Service) { annotate(service, AnnotationMinReady, text) }
}

func annotate(service *corev1.Service, key, value string) {
	metav1.SetMetaDataAnnotation(&service.ObjectMeta, key, value)
}

// native is a Service of the same name that green exports itself.
func native(edits ...func(*corev1.Service)) *corev1.Service {
	service := exported(edits...)
	service.UID = "uid-of-native"
	return service
}

// joinedTarget is a reading of green, which exports the name itself, and in which objects of ours stand.
func joinedTarget(native Source, copies ...*Copy) Target {
	target := targetOf(copies...)
	target.Native = native
	return target
}

// sliceOf is a slice of the exported Service in blue.
func sliceOf(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: web.Namespace, Name: name, UID: types.UID("uid-of-" + name), ResourceVersion: "8",
			Labels: map[string]string{LabelExport: Exported, discoveryv1.LabelServiceName: web.Name, discoveryv1.LabelManagedBy: endpointSliceController},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}},
		Endpoints:   endpoints,
	}
}

func sliceOf6(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	slice := sliceOf(name, endpoints...)
	slice.AddressType = discoveryv1.AddressTypeIPv6
	return slice
}

func ready(addresses ...string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: addresses, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}
}

func notReady(addresses ...string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: addresses, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}}
}

// sourceOf is a reading of blue.
func sourceOf(service *corev1.Service, slices ...*discoveryv1.EndpointSlice) Source {
	return Source{Service: service, Slices: slices}
}

// targetOf is a reading of green, where the namespace exists.
func targetOf(copies ...*Copy) Target {
	return Target{Namespace: shop, Copies: copies, Network: dualStack}
}

// marks are the metadata that every object of the pointer of [exported] has.
func marks(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: web.Namespace, Name: name,
		Labels: map[string]string{LabelExport: Follower},
		Annotations: map[string]string{
			AnnotationOriginCluster: string(blue), AnnotationOriginName: "blue", AnnotationOriginUID: "uid-of-web",
		},
	}
}

// stands gives an object the identity of one that an API server stores.
func stands[T Object](object T, uid types.UID, version string) T {
	object.SetUID(uid)
	object.SetResourceVersion(version)
	return object
}

// standing is the pointer of the source as it stands in green, and what xcc remembers of it: the objects have the UIDs
// svc, eps and one per slice: its name.
func standing(r Rules, source Source) []*Copy {
	pointer := r.project(source, Target{Network: dualStack})
	copies := []*Copy{r.Observe(stands(pointer.Service, "svc", "11"))}
	for _, slice := range pointer.Slices {
		setOwner(slice, "svc")
		copies = append(copies, r.Observe(stands(slice, types.UID(slice.Name), "12")))
	}
	if pointer.Endpoints != nil {
		copies = append(copies, r.Observe(stands(pointer.Endpoints, "eps", "13")))
	}
	return copies
}
