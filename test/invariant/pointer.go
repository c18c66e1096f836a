package invariant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Origin is what a pointer says about where it is from.
type Origin struct {
	Cluster types.UID
	Name    string
}

// WantPointer says what the pointer of a Service is, in clusters with one IP family and without flags that change it.
// live is the UID of the pointer's own Service, serviceCIDRs are the target's. Names of slices and the address of the
// Service can't be known beforehand: see [Normal].
func WantPointer(from Origin, source State, live types.UID, serviceCIDRs []netip.Prefix) State {
	service := source.Service
	mark := func(name string, labels map[string]string) metav1.ObjectMeta {
		marked := map[string]string{exportLabel: "follower"}
		maps.Copy(marked, labels)
		if isHeadless(service) && len(labels) > 0 {
			marked[corev1.IsHeadlessService] = ""
		}
		return metav1.ObjectMeta{Namespace: service.Namespace, Name: name, Labels: marked, Annotations: map[string]string{
			originCluster: string(from.Cluster), originName: from.Name, originUID: string(service.UID),
		}}
	}
	want := State{
		Service: &corev1.Service{ObjectMeta: mark(service.Name, nil), Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			SessionAffinity:          service.Spec.SessionAffinity,
			SessionAffinityConfig:    service.Spec.SessionAffinityConfig,
			PublishNotReadyAddresses: service.Spec.PublishNotReadyAddresses,
			InternalTrafficPolicy:    new(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:               []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy:           new(corev1.IPFamilyPolicySingleStack),
		}},
		Endpoints: &corev1.Endpoints{ObjectMeta: mark(service.Name, map[string]string{discoveryv1.LabelSkipMirror: "true"})},
	}
	if isHeadless(service) {
		want.Service.Spec.ClusterIP, want.Service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	}
	for _, port := range service.Spec.Ports {
		want.Service.Spec.Ports = append(want.Service.Spec.Ports, corev1.ServicePort{
			Name: port.Name, Port: port.Port, Protocol: port.Protocol, AppProtocol: port.AppProtocol,
			TargetPort: intstr.FromInt32(port.Port), // the API server's default
		})
	}
	for _, slice := range source.Slices {
		if slice.Labels[exportLabel] != "true" || isMarked(slice) {
			continue
		}
		copied := &discoveryv1.EndpointSlice{
			ObjectMeta: mark("", map[string]string{
				discoveryv1.LabelManagedBy: managedByXCC, discoveryv1.LabelServiceName: service.Name,
			}),
			AddressType: slice.AddressType,
			Ports:       slice.Ports,
		}
		copied.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: KindService, Name: service.Name, UID: live, Controller: new(true),
		}}
		for _, endpoint := range slice.Endpoints {
			allowed := slices.DeleteFunc(slices.Clone(endpoint.Addresses), func(address string) bool { return !Allowed(address, serviceCIDRs) })
			if len(allowed) > 0 {
				copied.Endpoints = append(copied.Endpoints, discoveryv1.Endpoint{
					Addresses: allowed, Conditions: endpoint.Conditions, Hostname: endpoint.Hostname,
				})
			}
		}
		want.Slices = append(want.Slices, copied)
		want.Endpoints.Subsets = addToSubsets(want.Endpoints.Subsets, copied)
	}
	return want
}

// addToSubsets adds the endpoints of a slice to the subset that has its ports.
func addToSubsets(subsets []corev1.EndpointSubset, slice *discoveryv1.EndpointSlice) []corev1.EndpointSubset {
	var ports []corev1.EndpointPort
	for _, port := range slice.Ports {
		ports = append(ports, corev1.EndpointPort{
			Name: ptr.Deref(port.Name, ""), Port: ptr.Deref(port.Port, 0), Protocol: ptr.Deref(port.Protocol, "TCP"), AppProtocol: port.AppProtocol,
		})
	}
	sortByText(ports)
	for _, endpoint := range slice.Endpoints {
		i := slices.IndexFunc(subsets, func(s corev1.EndpointSubset) bool { return gocmp.Equal(s.Ports, ports) })
		if i < 0 {
			subsets, i = append(subsets, corev1.EndpointSubset{Ports: ports}), len(subsets)
		}
		for _, ip := range endpoint.Addresses {
			address := corev1.EndpointAddress{IP: ip, Hostname: ptr.Deref(endpoint.Hostname, "")}
			into := &subsets[i].Addresses
			if !ptr.Deref(endpoint.Conditions.Ready, true) {
				into = &subsets[i].NotReadyAddresses
			}
			if !slices.ContainsFunc(*into, func(known corev1.EndpointAddress) bool { return gocmp.Equal(known, address) }) {
				*into = append(*into, address)
			}
		}
	}
	return subsets
}

// sliceName is that of a pointer's slice, after the Service's name.
var sliceName = regexp.MustCompile(`^-[0-9a-f]{16}$`)

// ours are the labels and annotations that xcc decides; what others add to a pointer stays.
var ours = []string{
	exportLabel, originCluster, originName, originUID, discoveryv1.LabelManagedBy, discoveryv1.LabelServiceName,
	discoveryv1.LabelSkipMirror, corev1.IsHeadlessService, corev1.EndpointsOverCapacity,
}

// ignored is what the API server sets by itself.
var ignored = gocmp.Options{
	cmpopts.IgnoreFields(metav1.ObjectMeta{}, "UID", "ResourceVersion", "Generation", "CreationTimestamp", "ManagedFields"),
	cmpopts.IgnoreTypes(metav1.TypeMeta{}),
	cmpopts.EquateEmpty(),
}

// Difference compares what should stand with what does; it is empty where they are the same but for what is ignored.
func Difference(want, got State) string {
	return gocmp.Diff(Normal(want), Normal(got), ignored)
}

// Normal puts what has no order into one, and takes away names and addresses that can't be known beforehand, and what others
// have added.
func Normal(s State) State {
	s = State{Service: s.Service.DeepCopy(), Slices: deepCopies(s.Slices), Endpoints: s.Endpoints.DeepCopy()}
	for _, object := range s.objects() {
		object.SetLabels(only(object.GetLabels()))
		object.SetAnnotations(only(object.GetAnnotations()))
	}
	if s.Service != nil && !isHeadless(s.Service) {
		s.Service.Spec.ClusterIP, s.Service.Spec.ClusterIPs = "", nil
	}
	if s.Service != nil {
		for i := range s.Service.Spec.Ports {
			// A port without a selector leads nowhere by its target: the first writer's default may stand.
			s.Service.Spec.Ports[i].TargetPort = intstr.IntOrString{}
		}
	}
	for _, slice := range s.Slices {
		slice.Name, slice.GenerateName = "", ""
		sortByText(slice.Ports)
		sortByText(slice.Endpoints)
	}
	slices.SortFunc(s.Slices, func(a, b *discoveryv1.EndpointSlice) int {
		return cmp.Compare(text(a.AddressType, a.Ports, a.Endpoints, a.Labels), text(b.AddressType, b.Ports, b.Endpoints, b.Labels))
	})
	if s.Endpoints != nil {
		for i := range s.Endpoints.Subsets {
			subset := &s.Endpoints.Subsets[i]
			sortByText(subset.Ports)
			sortByText(subset.Addresses)
			sortByText(subset.NotReadyAddresses)
		}
		sortByText(s.Endpoints.Subsets)
	}
	return s
}

func only(all map[string]string) map[string]string {
	some := map[string]string{}
	for _, key := range ours {
		if value, ok := all[key]; ok {
			some[key] = value
		}
	}
	return some
}

func sortByText[T any](list []T) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(text(a), text(b)) })
}

// text is a form of values in which they can be compared, pointers followed.
func text(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // objects of the API can all be marshalled
	}
	return string(data)
}

func deepCopies(list []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	copies := make([]*discoveryv1.EndpointSlice, 0, len(list))
	for _, slice := range list {
		copies = append(copies, slice.DeepCopy())
	}
	return copies
}

func (s State) objects() []Object {
	var all []Object
	if s.Service != nil {
		all = append(all, s.Service)
	}
	for _, slice := range s.Slices {
		all = append(all, slice)
	}
	if s.Endpoints != nil {
		all = append(all, s.Endpoints)
	}
	return all
}

func isHeadless(service *corev1.Service) bool {
	return service.Spec.ClusterIP == corev1.ClusterIPNone
}

func isSlice(object Object) bool {
	return kindOf(object) == KindEndpointSlice
}

func kindOf(object Object) string {
	switch object.(type) {
	case *corev1.Service:
		return KindService
	case *discoveryv1.EndpointSlice:
		return KindEndpointSlice
	case *corev1.Endpoints:
		return KindEndpoints
	case *corev1.Namespace:
		return KindNamespace
	}
	return fmt.Sprintf("%T", object)
}
