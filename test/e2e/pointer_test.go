package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/test/cluster"
)

// pointer is all that readers of a cluster find under the name of a Service. What is absent is nil.
type pointer struct {
	Service   *corev1.Service
	Slices    []discoveryv1.EndpointSlice
	Endpoints *corev1.Endpoints
}

// origin is what a pointer says about where it is from.
type origin struct {
	cluster types.UID
	name    string
}

// wantPointer says what the pointer of a Service with those slices is, in a cluster that has its IP families. The slices' names are left empty, and the address
// of the Service too unless it is headless: see normal. live is the UID of the pointer's own Service.
func wantPointer(from origin, service *corev1.Service, sliceList []discoveryv1.EndpointSlice, live types.UID) pointer {
	headless := service.Spec.ClusterIP == corev1.ClusterIPNone
	mark := func(name string, labels map[string]string) metav1.ObjectMeta {
		marked := map[string]string{"fair.com/cross-cluster": "follower"}
		for key, value := range labels {
			marked[key] = value
		}
		if headless && len(labels) > 0 {
			marked["service.kubernetes.io/headless"] = ""
		}
		return metav1.ObjectMeta{Namespace: service.Namespace, Name: name, Labels: marked, Annotations: map[string]string{
			"fair.com/origin-cluster": string(from.cluster),
			"fair.com/origin-name":    from.name,
			"fair.com/origin-uid":     string(service.UID),
		}}
	}
	want := pointer{
		Service: &corev1.Service{ObjectMeta: mark(service.Name, nil), Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			SessionAffinity:          service.Spec.SessionAffinity,
			SessionAffinityConfig:    service.Spec.SessionAffinityConfig,
			PublishNotReadyAddresses: service.Spec.PublishNotReadyAddresses,
			InternalTrafficPolicy:    new(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:               service.Spec.IPFamilies,
			IPFamilyPolicy:           new(corev1.IPFamilyPolicySingleStack),
		}},
		Endpoints: &corev1.Endpoints{
			ObjectMeta: mark(service.Name, map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"}),
		},
	}
	if len(service.Spec.IPFamilies) > 1 {
		want.Service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	}
	if headless {
		want.Service.Spec.ClusterIP, want.Service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	}
	for _, port := range service.Spec.Ports {
		want.Service.Spec.Ports = append(want.Service.Spec.Ports, corev1.ServicePort{
			Name: port.Name, Port: port.Port, Protocol: port.Protocol, AppProtocol: port.AppProtocol,
			TargetPort: intstr.FromInt32(port.Port), // the API server's default
		})
	}
	for _, slice := range sliceList {
		copied := discoveryv1.EndpointSlice{
			ObjectMeta: mark("", map[string]string{
				"endpointslice.kubernetes.io/managed-by": "xcc.fair.com",
				"kubernetes.io/service-name":             service.Name,
			}),
			AddressType: slice.AddressType,
			Ports:       slice.Ports,
		}
		copied.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Service", Name: service.Name, UID: live, Controller: new(true),
		}}
		for _, endpoint := range slice.Endpoints {
			copied.Endpoints = append(copied.Endpoints, discoveryv1.Endpoint{
				Addresses: endpoint.Addresses, Conditions: endpoint.Conditions, Hostname: endpoint.Hostname,
			})
		}
		want.Slices = append(want.Slices, copied)
		if corev1.IPFamily(slice.AddressType) == service.Spec.IPFamilies[0] {
			want.Endpoints.Subsets = addToSubsets(want.Endpoints.Subsets, copied)
		}
	}
	return normal(want)
}

// addToSubsets adds the endpoints of a slice to the subset that has its ports.
func addToSubsets(subsets []corev1.EndpointSubset, slice discoveryv1.EndpointSlice) []corev1.EndpointSubset {
	var ports []corev1.EndpointPort
	for _, port := range slice.Ports {
		ports = append(ports, corev1.EndpointPort{Name: *port.Name, Port: *port.Port, Protocol: *port.Protocol, AppProtocol: port.AppProtocol})
	}
	sortEndpointsPorts(ports)
	for _, endpoint := range slice.Endpoints {
		i := slices.IndexFunc(subsets, func(s corev1.EndpointSubset) bool { return gocmp.Equal(s.Ports, ports) })
		if i < 0 {
			subsets, i = append(subsets, corev1.EndpointSubset{Ports: ports}), len(subsets)
		}
		for _, ip := range endpoint.Addresses {
			address := corev1.EndpointAddress{IP: ip}
			if endpoint.Hostname != nil {
				address.Hostname = *endpoint.Hostname
			}
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				subsets[i].Addresses = append(subsets[i].Addresses, address)
			} else {
				subsets[i].NotReadyAddresses = append(subsets[i].NotReadyAddresses, address)
			}
		}
	}
	return subsets
}

// ignored is what the API server sets by itself.
var ignored = gocmp.Options{
	cmpopts.IgnoreFields(metav1.ObjectMeta{}, "UID", "ResourceVersion", "Generation", "CreationTimestamp", "ManagedFields"),
	cmpopts.EquateEmpty(),
}

// find reads all that a cluster has under the name of a Service.
func find(ctx context.Context, c *cluster.Cluster, namespace, name string) (pointer, error) {
	var found pointer
	service, err := c.Clientset().CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		found.Service = service
	} else if !apierrors.IsNotFound(err) {
		return found, err
	}
	list, err := c.Clientset().DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "kubernetes.io/service-name=" + name,
	})
	if err != nil {
		return found, err
	}
	found.Slices = list.Items
	endpoints, err := c.Clientset().CoreV1().Endpoints(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		found.Endpoints = endpoints
	} else if !apierrors.IsNotFound(err) {
		return found, err
	}
	return found, nil
}

// sliceName is that of a pointer's slice, after the Service's name.
var sliceName = regexp.MustCompile(`^-[0-9a-f]{16}$`)

// checkNames looks at what normal takes away: what can't be known beforehand, but has a form.
func checkNames(found pointer) error {
	spec := found.Service.Spec
	if spec.ClusterIP == "" || spec.ClusterIPs[0] != spec.ClusterIP ||
		spec.ClusterIP != corev1.ClusterIPNone && len(spec.ClusterIPs) != len(spec.IPFamilies) {
		return fmt.Errorf("the pointer has the address %q and the addresses %q", spec.ClusterIP, spec.ClusterIPs)
	}
	for _, slice := range found.Slices {
		if slice.Labels["endpointslice.kubernetes.io/managed-by"] != "xcc.fair.com" {
			continue
		}
		if name := found.Service.Name; !strings.HasPrefix(slice.Name, name) || !sliceName.MatchString(strings.TrimPrefix(slice.Name, name)) {
			return fmt.Errorf("the slice %q of %s is not named after it and a hash", slice.Name, name)
		}
	}
	return nil
}

// normal puts what has no order into one, and takes away names and addresses that can't be known beforehand.
func normal(p pointer) pointer {
	p = pointer{Service: p.Service.DeepCopy(), Slices: deepCopies(p.Slices), Endpoints: p.Endpoints.DeepCopy()}
	if p.Service != nil && p.Service.Spec.ClusterIP != corev1.ClusterIPNone {
		p.Service.Spec.ClusterIP, p.Service.Spec.ClusterIPs = "", nil
	}
	for i := range p.Slices {
		slice := &p.Slices[i]
		slice.Name = ""
		slices.SortFunc(slice.Ports, func(a, b discoveryv1.EndpointPort) int { return cmp.Compare(text(a), text(b)) })
		slices.SortFunc(slice.Endpoints, func(a, b discoveryv1.Endpoint) int { return cmp.Compare(text(a), text(b)) })
	}
	slices.SortFunc(p.Slices, func(a, b discoveryv1.EndpointSlice) int {
		return cmp.Compare(text(a.AddressType, a.Ports, a.Endpoints), text(b.AddressType, b.Ports, b.Endpoints))
	})
	if p.Endpoints == nil {
		return p
	}
	for i := range p.Endpoints.Subsets {
		subset := &p.Endpoints.Subsets[i]
		sortEndpointsPorts(subset.Ports)
		for _, addresses := range [][]corev1.EndpointAddress{subset.Addresses, subset.NotReadyAddresses} {
			slices.SortFunc(addresses, func(a, b corev1.EndpointAddress) int { return cmp.Compare(a.IP, b.IP) })
		}
	}
	slices.SortFunc(p.Endpoints.Subsets, func(a, b corev1.EndpointSubset) int { return cmp.Compare(text(a.Ports), text(b.Ports)) })
	return p
}

func sortEndpointsPorts(ports []corev1.EndpointPort) {
	slices.SortFunc(ports, func(a, b corev1.EndpointPort) int { return cmp.Compare(text(a), text(b)) })
}

// text is a form of values in which they can be compared, pointers followed.
func text(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // objects of the API can all be marshalled
	}
	return string(data)
}

func deepCopies(list []discoveryv1.EndpointSlice) []discoveryv1.EndpointSlice {
	var copies []discoveryv1.EndpointSlice
	for _, slice := range list {
		copies = append(copies, *slice.DeepCopy())
	}
	return copies
}

// readyAddresses are the sorted addresses of the pointer's slices that take traffic.
func (p pointer) readyAddresses() []string {
	ready := []string{}
	for _, slice := range p.Slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready = append(ready, endpoint.Addresses...)
			}
		}
	}
	slices.Sort(ready)
	return ready
}
