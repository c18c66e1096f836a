package sync

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Kind is a kind of object that a pointer is made of, or the Namespace that holds it.
type Kind uint8

// The kinds, those of a pointer in the order of their birth.
const (
	KindNamespace Kind = iota
	KindService
	KindEndpointSlice
	KindEndpoints
)

func (k Kind) String() string {
	return [...]string{"Namespace", "Service", "EndpointSlice", "Endpoints"}[k]
}

// Copy is what a direction remembers of one object in its target: whose it is, which version it is, and a fingerprint of
// all that xcc decides in it. That is enough to find what has to be written, at a fraction of the object's size.
type Copy struct {
	Namespace, Name string
	UID             types.UID
	ResourceVersion string
	// OriginCluster and OriginName are the first two marks of its origin.
	OriginCluster types.UID
	OriginName    string
	// ManagedBy is the endpointslice.kubernetes.io/managed-by of a slice.
	ManagedBy string
	// Owner is the UID of the Service that controls a slice, where Kubernetes made it for the Service's selector.
	Owner types.UID
	// ServiceName is the name of the Service that a slice belongs to.
	ServiceName string
	// Family is the primary family of a Service.
	Family corev1.IPFamily
	// Content is the fingerprint of what xcc decides in it.
	Content Fingerprint
	// ForeignLabels and ForeignAnnotations are what others put on a Service. They are kept when it is written; slices and
	// Endpoints are xcc's alone, and what a controller left on them goes.
	ForeignLabels      map[string]string
	ForeignAnnotations map[string]string
	// Created is when a Service was made, in seconds since 1970.
	Created int64
	// Ready and Total count its addresses.
	Ready, Total int32
	Kind         Kind
	Follower     bool
	// Headless is that of a Service.
	Headless bool
	// Terminating: it is deleted already, and waits for somebody's finalizer.
	Terminating bool
}

// Fingerprint is equal for two objects if and only if all that xcc decides in them is.
type Fingerprint [16]byte

func (c *Copy) String() string {
	return fmt.Sprintf("%s %s/%s", c.Kind, c.Namespace, c.Name)
}

// GetNamespace, GetName, GetUID and GetResourceVersion are named as those of the objects of the Kubernetes API.
func (c *Copy) GetNamespace() string { return c.Namespace }

// GetName gives the object's name.
func (c *Copy) GetName() string { return c.Name }

// GetUID gives the object's UID.
func (c *Copy) GetUID() types.UID { return c.UID }

// GetResourceVersion gives the version that was copied.
func (c *Copy) GetResourceVersion() string { return c.ResourceVersion }

// GetObjectMeta implements [metav1.ObjectMetaAccessor].
func (c *Copy) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion}
}

// Service is the key of the Service that the object belongs to.
func (c *Copy) Service() Key {
	if c.Kind == KindEndpointSlice {
		return Key{Namespace: c.Namespace, Name: c.ServiceName}
	}
	return Key{Namespace: c.Namespace, Name: c.Name}
}

// owns reports whether this direction wrote the object: it has the follower label and an origin in this direction's
// source cluster. Slices that Kubernetes manages are not ours, though they look so: it copies the labels of a Service, and
// the labels and annotations of Endpoints, to the slices that it makes of them.
func (r Rules) owns(c *Copy) bool {
	return c.Follower && r.isFromHere(c) && c.ManagedBy != endpointSliceController && c.ManagedBy != mirroringController
}

// isFromHere reports whether the object names this direction's source as its origin.
func (r Rules) isFromHere(c *Copy) bool {
	return r.Cluster != "" && c.OriginCluster == r.Cluster
}

// The managers of the slices that Kubernetes makes for a selector, and of Endpoints
// (k8s.io/kubernetes/pkg/controller/endpointslice and endpointslicemirroring, controllerName).
const (
	endpointSliceController = "endpointslice-controller.k8s.io"
	mirroringController     = "endpointslicemirroring-controller.k8s.io"
)

// Observe reads an object of the target. It takes Services, EndpointSlices and Endpoints.
func (r Rules) Observe(object Object) *Copy {
	origin := OriginOf(object)
	c := &Copy{
		Namespace:     shared(object.GetNamespace()),
		OriginCluster: shared(origin.Cluster),
		OriginName:    shared(origin.Name),
		ManagedBy:     shared(object.GetLabels()[discoveryv1.LabelManagedBy]),
		Content:       r.fingerprint(object),
		Kind:          kindOf(object),
		Follower:      object.GetLabels()[LabelExport] == Follower,
		Terminating:   object.GetDeletionTimestamp() != nil,
	}
	c.identify(object)
	switch object := object.(type) {
	case *corev1.Service:
		c.Headless = isHeadless(object)
		c.Created = object.CreationTimestamp.Unix()
		c.ForeignLabels = without(object.Labels, r.ownedLabels())
		c.ForeignAnnotations = without(object.Annotations, r.ownedAnnotations())
		if len(object.Spec.IPFamilies) > 0 {
			c.Family = shared(object.Spec.IPFamilies[0])
		}
	case *discoveryv1.EndpointSlice:
		c.ServiceName = c.partOfName(serviceOfSlice(object))
		c.Ready, c.Total = int32(readyAddresses(object)), int32(allAddresses(object))
		if owner := metav1.GetControllerOfNoCopy(object); owner != nil && owner.Kind == KindService.String() && c.ManagedBy == endpointSliceController {
			c.Owner = owner.UID
		}
	case *corev1.Endpoints:
		for _, subset := range object.Subsets {
			c.Ready += int32(len(subset.Addresses))
			c.Total += int32(len(subset.Addresses) + len(subset.NotReadyAddresses))
		}
	}
	return c
}

// shared gives the one string that all copies have that hold its value.
func shared[S ~string](text S) S {
	return unique.Make(text).Value()
}

// identify puts what no other object has into one piece of memory.
func (c *Copy) identify(object Object) {
	name, uid := object.GetName(), string(object.GetUID())
	all := name + uid + object.GetResourceVersion()
	c.Name, c.UID, c.ResourceVersion = all[:len(name)], types.UID(all[len(name):len(name)+len(uid)]), all[len(name)+len(uid):]
}

// partOfName gives the text as a part of the name, where it is one, which is in memory already.
func (c *Copy) partOfName(text string) string {
	if strings.HasPrefix(c.Name, text) {
		return c.Name[:len(text)]
	}
	return text
}

// serviceOfSlice takes the Service's name from where nobody can change it: the name of a slice that xcc made. Slices that
// Kubernetes made carry it as a label.
func serviceOfSlice(slice *discoveryv1.EndpointSlice) string {
	if end := len(slice.Name) - sliceSuffix; end > 0 && IsMirrored(slice) && isSliceSuffix(slice.Name[end:]) {
		return slice.Name[:end]
	}
	return slice.Labels[discoveryv1.LabelServiceName]
}

func kindOf(object Object) Kind {
	switch object.(type) {
	case *corev1.Namespace:
		return KindNamespace
	case *corev1.Service:
		return KindService
	case *discoveryv1.EndpointSlice:
		return KindEndpointSlice
	case *corev1.Endpoints:
		return KindEndpoints
	}
	panic(fmt.Sprintf("no part of a pointer: %T", object))
}

// fingerprint sums up the projection of an object on what xcc decides in it, with the API server's defaults filled in.
// Protobuf marshalling of API objects is deterministic: maps are written in the order of their keys.
func (r Rules) fingerprint(object Object) Fingerprint {
	meta := metav1.ObjectMeta{
		Labels:          only(object.GetLabels(), r.ownedLabels()),
		Annotations:     only(object.GetAnnotations(), r.ownedAnnotations()),
		OwnerReferences: object.GetOwnerReferences(),
		Finalizers:      object.GetFinalizers(),
	}
	decided := projections.Get().(*projection)
	defer projections.Put(decided)
	switch object := object.(type) {
	case *corev1.Service:
		decided.service = corev1.Service{ObjectMeta: meta, Spec: decidedSpec(object.Spec)}
		return decided.sum(&decided.service)
	case *discoveryv1.EndpointSlice:
		decided.slice = discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: object.AddressType, Ports: object.Ports, Endpoints: object.Endpoints}
		return decided.sum(&decided.slice)
	case *corev1.Endpoints:
		decided.endpoints = corev1.Endpoints{ObjectMeta: meta, Subsets: object.Subsets}
		return decided.sum(&decided.endpoints)
	}
	panic(fmt.Sprintf("no part of a pointer: %T", object))
}

// projection is the room that a fingerprint needs: it is used again, as it is larger than what is kept of an object.
type projection struct {
	service   corev1.Service
	slice     discoveryv1.EndpointSlice
	endpoints corev1.Endpoints
	data      []byte
}

var projections = sync.Pool{New: func() any { return new(projection) }}

func (p *projection) sum(object interface {
	Reset()
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}) Fingerprint {
	size := object.Size()
	p.data = slices.Grow(p.data[:0], size)[:size]
	if _, err := object.MarshalToSizedBuffer(p.data); err != nil {
		// Marshalling into memory has nothing that could fail.
		panic(fmt.Sprintf("marshal %T: %v", object, err))
	}
	object.Reset()
	sum := sha256.Sum256(p.data)
	return Fingerprint(sum[:])
}

// decidedSpec leaves out what the API server allocates (cluster IPs), and the target ports, which a Service without
// selector doesn't use.
func decidedSpec(spec corev1.ServiceSpec) corev1.ServiceSpec {
	if spec.ClusterIP != corev1.ClusterIPNone {
		spec.ClusterIP = ""
	}
	spec.ClusterIPs = nil
	spec.SessionAffinity = cmp.Or(spec.SessionAffinity, corev1.ServiceAffinityNone)
	spec.InternalTrafficPolicy = ptr.To(ptr.Deref(spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster))
	spec.Ports = slices.Clone(spec.Ports)
	for i := range spec.Ports {
		spec.Ports[i].Protocol = cmp.Or(spec.Ports[i].Protocol, corev1.ProtocolTCP)
		spec.Ports[i].TargetPort.Reset()
	}
	return spec
}

var (
	ownLabels = []string{LabelExport, discoveryv1.LabelManagedBy, discoveryv1.LabelServiceName, discoveryv1.LabelSkipMirror,
		corev1.IsHeadlessService}
	ownAnnotations = []string{AnnotationOriginCluster, AnnotationOriginName, AnnotationOriginUID, corev1.EndpointsOverCapacity}
)

func (r Rules) ownedLabels() []string {
	if len(r.CopyLabels) == 0 {
		return ownLabels
	}
	return slices.Concat(ownLabels, r.CopyLabels)
}

func (r Rules) ownedAnnotations() []string {
	if len(r.CopyAnnotations) == 0 {
		return ownAnnotations
	}
	return slices.Concat(ownAnnotations, r.CopyAnnotations)
}

// only gives what is under the keys: the map itself, as a rule, which has nothing else.
func only(all map[string]string, keys []string) map[string]string {
	if isOnly(all, keys) {
		return all
	}
	some := map[string]string{}
	copyKeys(some, all, keys)
	return some
}

func isOnly(all map[string]string, keys []string) bool {
	for key := range all {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return true
}

func without(all map[string]string, keys []string) map[string]string {
	if isOnly(all, keys) {
		return nil
	}
	rest := maps.Clone(all)
	for _, key := range keys {
		delete(rest, key)
	}
	return rest
}
