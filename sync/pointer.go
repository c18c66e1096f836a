package sync

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Pointer is what is to stand in the target for one exported Service.
type Pointer struct {
	Service   *corev1.Service              // nil where the target exports one itself; then there are no Endpoints either
	Slices    []*discoveryv1.EndpointSlice // by name; none in EndpointsOnly
	Endpoints *corev1.Endpoints            // nil in SlicesOnly
	// Ready and Total count the addresses in it.
	Ready, Total int
	// Denied are those that were left out because they may not be written, as the source has them, sorted.
	Denied []string
	// contents are the fingerprints of the slices.
	contents map[string]Fingerprint
}

// projectedSlice is what one of the source's slices becomes.
type projectedSlice struct {
	slice        *discoveryv1.EndpointSlice
	content      Fingerprint
	ready, total int
	denied       []string
}

// project makes the pointer of an exported Service. The slices name the pointer's Service as it stands as their owner, or
// nobody yet where it is still to be created. Nothing of the source is changed; values that nobody changes are shared with it.
func (r Rules) project(source Source, target Target) Pointer {
	families := sharedFamilies(source.Service, target.Network.Families)
	live := r.liveService(target.Copies)
	pointer := Pointer{Service: r.projectService(source.Service, families), contents: map[string]Fingerprint{}}
	var owner types.UID
	if live != nil && reborn(pointer.Service, live) && r.foreignEndpoints(target.Copies) != nil {
		// To make the Service anew would first delete it, and Kubernetes would delete somebody's Endpoints with it.
		giveShape(pointer.Service, live)
	}
	if live != nil && (!r.owns(live) || !reborn(pointer.Service, live)) {
		owner = live.UID
	}
	r.projectAddresses(&pointer, source, target, families, owner)
	if r.EndpointsAPI != SlicesOnly {
		pointer.Endpoints = r.projectEndpoints(source.Service, pointer.Slices, families[0])
	}
	if r.EndpointsAPI == EndpointsOnly {
		pointer.Slices = nil
	}
	return pointer
}

// projectAddresses adds the slices of some families to a pointer.
func (r Rules) projectAddresses(pointer *Pointer, source Source, target Target, families []corev1.IPFamily, owner types.UID) {
	for _, projected := range r.projectSlices(source, target, owner) {
		wanted := slices.Contains(families, corev1.IPFamily(projected.slice.AddressType))
		if wanted || projected.slice.AddressType == discoveryv1.AddressTypeFQDN {
			pointer.Denied = append(pointer.Denied, projected.denied...)
		}
		if !wanted {
			continue
		}
		pointer.Slices = append(pointer.Slices, projected.slice)
		pointer.contents[projected.slice.Name] = projected.content
		pointer.Ready += projected.ready
		pointer.Total += projected.total
	}
	slices.SortFunc(pointer.Slices, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(pointer.Denied)
}

// projectSlices projects all slices, those that have not changed since the last time from memory.
func (r Rules) projectSlices(source Source, target Target, owner types.UID) []projectedSlice {
	rule := AddressRule{Allowed: r.Allowed, ServiceCIDRs: target.Network.ServiceCIDRs, Overlapping: target.Overlapping}
	remembered := r.Memory.recall(source, rule, owner)
	var all []projectedSlice
	for _, slice := range source.Slices {
		if IsMirrored(slice) {
			continue
		}
		projected, known := remembered[slice]
		if !known {
			projected.slice, projected.denied = r.projectSlice(source.Service, slice, rule, owner)
			projected.content = r.fingerprint(projected.slice)
			projected.ready, projected.total = readyAddresses(projected.slice), allAddresses(projected.slice)
			if remembered != nil {
				remembered[slice] = projected
			}
		}
		all = append(all, projected)
	}
	return all
}

// projectService makes the pointer's Service. It has no selector, so Kubernetes adds no endpoints of its own, and
// nothing that would open it to the outside of the cluster.
func (r Rules) projectService(service *corev1.Service, families []corev1.IPFamily) *corev1.Service {
	pointer := &corev1.Service{
		ObjectMeta: r.mark(service, service.Name),
		Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			SessionAffinity:          cmp.Or(service.Spec.SessionAffinity, corev1.ServiceAffinityNone),
			SessionAffinityConfig:    service.Spec.SessionAffinityConfig.DeepCopy(),
			PublishNotReadyAddresses: service.Spec.PublishNotReadyAddresses,
			InternalTrafficPolicy:    ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:               families,
			IPFamilyPolicy:           ptr.To(corev1.IPFamilyPolicySingleStack),
		},
	}
	if len(families) > 1 {
		pointer.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
	}
	if isHeadless(service) {
		pointer.Spec.ClusterIP = corev1.ClusterIPNone
	}
	for _, port := range service.Spec.Ports {
		pointer.Spec.Ports = append(pointer.Spec.Ports, corev1.ServicePort{
			Name:        port.Name,
			Protocol:    cmp.Or(port.Protocol, corev1.ProtocolTCP),
			Port:        port.Port,
			AppProtocol: port.AppProtocol,
		})
	}
	copyKeys(pointer.Labels, service.Labels, r.CopyLabels)
	copyKeys(pointer.Annotations, service.Annotations, r.CopyAnnotations)
	return pointer
}

// projectSlice makes the pointer's slice for one of the source's, and gives the addresses that it had to leave out.
// Nothing is kept that ties an endpoint to its own cluster: a node of the same name would make it local, a zone or a
// hint would be read with the other cluster's meaning.
func (r Rules) projectSlice(service *corev1.Service, slice *discoveryv1.EndpointSlice, rule AddressRule, owner types.UID) (*discoveryv1.EndpointSlice, []string) {
	pointer := &discoveryv1.EndpointSlice{
		ObjectMeta:  r.mark(service, r.sliceName(service.Name, slice)),
		AddressType: slice.AddressType,
	}
	pointer.Labels[discoveryv1.LabelManagedBy] = ManagedBy
	pointer.Labels[discoveryv1.LabelServiceName] = service.Name
	if isHeadless(service) {
		pointer.Labels[corev1.IsHeadlessService] = ""
	}
	pointer.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: KindService.String(), Name: service.Name, UID: owner, Controller: ptr.To(true),
	}}
	for _, port := range slice.Ports {
		pointer.Ports = append(pointer.Ports, discoveryv1.EndpointPort{
			Name:        ptr.To(ptr.Deref(port.Name, "")),
			Protocol:    ptr.To(ptr.Deref(port.Protocol, corev1.ProtocolTCP)),
			Port:        port.Port,
			AppProtocol: port.AppProtocol,
		})
	}
	slices.SortFunc(pointer.Ports, compareSlicePorts)
	var denied []string
	pointer.Endpoints = make([]discoveryv1.Endpoint, 0, len(slice.Endpoints))
	for _, endpoint := range slice.Endpoints {
		addresses, left := rule.sift(endpoint.Addresses, slice.AddressType)
		denied = append(denied, left...)
		if len(addresses) > 0 {
			pointer.Endpoints = append(pointer.Endpoints, discoveryv1.Endpoint{
				Addresses: addresses, Conditions: endpoint.Conditions, Hostname: endpoint.Hostname,
			})
		}
	}
	slices.SortFunc(pointer.Endpoints, compareEndpoints)
	return pointer, denied
}

func compareEndpoints(a, b discoveryv1.Endpoint) int {
	if order := slices.Compare(a.Addresses, b.Addresses); order != 0 {
		return order
	}
	return cmp.Or(
		cmp.Compare(ptr.Deref(a.Hostname, ""), ptr.Deref(b.Hostname, "")),
		compareConditions(a.Conditions.Ready, b.Conditions.Ready),
		compareConditions(a.Conditions.Serving, b.Conditions.Serving),
		compareConditions(a.Conditions.Terminating, b.Conditions.Terminating),
	)
}

// compareConditions puts unknown before false before true.
func compareConditions(a, b *bool) int {
	rank := func(condition *bool) int {
		switch {
		case condition == nil:
			return 0
		case !*condition:
			return 1
		default:
			return 2
		}
	}
	return cmp.Compare(rank(a), rank(b))
}

// mark gives the metadata that every object of a pointer has.
func (r Rules) mark(service *corev1.Service, name string) metav1.ObjectMeta {
	origin := Origin{Cluster: r.Cluster, Name: r.Name, Service: service.UID}
	return metav1.ObjectMeta{
		Namespace:   service.Namespace,
		Name:        name,
		Labels:      map[string]string{LabelExport: Follower},
		Annotations: origin.annotations(),
	}
}

// sliceName is the same for the same slice of the same cluster, whoever computes it and when: a write that was made but
// not answered is found again instead of made twice. The address type is part of it because it can't be changed.
func (r Rules) sliceName(service string, slice *discoveryv1.EndpointSlice) string {
	sum := sha256.Sum256([]byte(string(r.Cluster) + "/" + slice.Name + "/" + string(slice.AddressType)))
	return service + "-" + hex.EncodeToString(sum[:8])
}

// sliceSuffix is the length of what sliceName adds to the Service's name.
const sliceSuffix = 1 + 16

func isSliceSuffix(text string) bool {
	_, err := hex.DecodeString(text[1:])
	return text[0] == '-' && err == nil
}

func isHeadless(service *corev1.Service) bool {
	return service.Spec.ClusterIP == corev1.ClusterIPNone
}

func familyOf(address netip.Addr) discoveryv1.AddressType {
	if address.Is4() {
		return discoveryv1.AddressTypeIPv4
	}
	return discoveryv1.AddressTypeIPv6
}

// isReady follows the API: an unknown condition is to be read as ready.
func isReady(endpoint discoveryv1.Endpoint) bool {
	return ptr.Deref(endpoint.Conditions.Ready, true)
}

func readyAddresses(slice *discoveryv1.EndpointSlice) int {
	count := 0
	for _, endpoint := range slice.Endpoints {
		if isReady(endpoint) {
			count += len(endpoint.Addresses)
		}
	}
	return count
}

// readyOf counts the ready addresses of one object of a pointer.
func readyOf(object Object) int {
	count := 0
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		return readyAddresses(object)
	case *corev1.Endpoints:
		for _, subset := range object.Subsets {
			count += len(subset.Addresses)
		}
	}
	return count
}

func allAddresses(slice *discoveryv1.EndpointSlice) int {
	count := 0
	for _, endpoint := range slice.Endpoints {
		count += len(endpoint.Addresses)
	}
	return count
}

func compareSlicePorts(a, b discoveryv1.EndpointPort) int {
	return cmp.Or(
		cmp.Compare(ptr.Deref(a.Name, ""), ptr.Deref(b.Name, "")),
		cmp.Compare(ptr.Deref(a.Protocol, ""), ptr.Deref(b.Protocol, "")),
		cmp.Compare(ptr.Deref(a.Port, 0), ptr.Deref(b.Port, 0)),
	)
}

// Reads gives the keys of those labels and annotations of the source's objects that decisions depend on.
func (r Rules) Reads() (labels, annotations []string) {
	return r.CopyLabels, slices.Concat(originAnnotations, []string{AnnotationMode, AnnotationMinReady}, r.CopyAnnotations)
}

// copyKeys copies the named keys. A mark can't be copied: the pointer's own stands there already.
func copyKeys(to, from map[string]string, keys []string) {
	for _, key := range keys {
		if _, marked := to[key]; marked {
			continue
		}
		if value, ok := from[key]; ok {
			to[key] = value
		}
	}
}
