package clusters

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"unique"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Metadata names the labels and annotations that a view of a source gives with its objects. All others are left out: they
// would make up most of what it holds.
type Metadata struct {
	Labels, Annotations []string
}

// packed is an object of which only what pointers are made of is kept, in protobuf: that is a tenth of its size in memory.
type packed struct {
	namespace unique.Handle[string]
	// common is the part that many objects have alike, and that they share.
	common unique.Handle[string]
	// text is the name, the UID, the resourceVersion and the object's own part.
	text string
	// Where they begin in it.
	uid, version, own uint16
}

// message is what the types of the Kubernetes API are in protobuf. Equal objects are written as equal bytes.
type message interface {
	Reset()
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
	Unmarshal([]byte) error
}

// buffers are used again: what is kept is a part of what is written, and a string.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// pack takes the two parts that are kept beside the identity; nil for none.
func pack(meta metav1.Object, common, own message) packed {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	text := append((*buffer)[:0], meta.GetName()...)
	p := packed{namespace: unique.Make(meta.GetNamespace()), uid: uint16(len(text))}
	text = append(text, meta.GetUID()...)
	p.version = uint16(len(text))
	text = append(text, meta.GetResourceVersion()...)
	p.own = uint16(len(text))
	text = appendPart(text, own)
	end := len(text)
	text = appendPart(text, common)
	p.text, p.common = string(text[:end]), unique.Make(string(text[end:]))
	*buffer = text
	return p
}

func appendPart(data []byte, part message) []byte {
	if part == nil {
		return data
	}
	begin, size := len(data), part.Size()
	data = slices.Grow(data, size)[:begin+size]
	if _, err := part.MarshalToSizedBuffer(data[begin:]); err != nil {
		// Marshalling into memory has nothing that could fail.
		panic(fmt.Sprintf("marshal %T: %v", part, err))
	}
	return data
}

// valuesOf gives the values that a field of a length has in a protobuf message.
func valuesOf(field protowire.Number, message []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(message) > 0 {
			number, kind, tag := protowire.ConsumeTag(message)
			if tag < 0 {
				return
			}
			length := protowire.ConsumeFieldValue(number, kind, message[tag:])
			if length < 0 {
				return
			}
			if number == field && kind == protowire.BytesType {
				value, _ := protowire.ConsumeBytes(message[tag:])
				if !yield(value) {
					return
				}
			}
			message = message[tag+length:]
		}
	}
}

// unpack adds the parts to an empty object. The common part comes last: in protobuf, each says of some of the other's
// fields that they are empty, and the own part has none of the common one's that count.
func (p *packed) unpack(object message, meta *metav1.ObjectMeta) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = append(append((*buffer)[:0], p.text[p.own:]...), p.common.Value()...)
	if err := object.Unmarshal(*buffer); err != nil {
		// It is what was marshalled here.
		panic(fmt.Sprintf("unmarshal %T: %v", object, err))
	}
	meta.Namespace, meta.Name, meta.UID, meta.ResourceVersion = p.GetNamespace(), p.GetName(), p.GetUID(), p.GetResourceVersion()
}

func (p *packed) GetNamespace() string       { return p.namespace.Value() }
func (p *packed) GetName() string            { return p.text[:p.uid] }
func (p *packed) GetUID() types.UID          { return types.UID(p.text[p.uid:p.version]) }
func (p *packed) GetResourceVersion() string { return p.text[p.version:p.own] }

// GetObjectMeta implements [metav1.ObjectMetaAccessor], by which a Reflector finds the name.
func (p *packed) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: p.GetNamespace(), Name: p.GetName(), UID: p.GetUID(), ResourceVersion: p.GetResourceVersion()}
}

func (m Metadata) and(other Metadata) Metadata {
	return Metadata{Labels: slices.Concat(m.Labels, other.Labels), Annotations: slices.Concat(m.Annotations, other.Annotations)}
}

// of gives the metadata that are asked for, and the object's identity.
func (m Metadata) of(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	some := m.some(meta)
	some.Namespace, some.Name, some.UID, some.ResourceVersion = meta.Namespace, meta.Name, meta.UID, meta.ResourceVersion
	return some
}

// some gives the metadata that are asked for.
func (m Metadata) some(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Labels: picked(meta.Labels, m.Labels), Annotations: picked(meta.Annotations, m.Annotations)}
}

func picked(all map[string]string, keys []string) map[string]string {
	var some map[string]string
	for _, key := range keys {
		if value, found := all[key]; found {
			if some == nil {
				some = map[string]string{}
			}
			some[key] = value
		}
	}
	return some
}

type packedService struct{ packed }

// selected stands in for any selector. Its own would tell each Service from all others; that there is one is all that matters.
var selected = map[string]string{"": ""}

func (m Metadata) packService(service *corev1.Service) *packedService {
	spec := corev1.ServiceSpec{
		Type:                     service.Spec.Type,
		ExternalName:             service.Spec.ExternalName,
		SessionAffinity:          service.Spec.SessionAffinity,
		SessionAffinityConfig:    service.Spec.SessionAffinityConfig,
		PublishNotReadyAddresses: service.Spec.PublishNotReadyAddresses,
		IPFamilies:               service.Spec.IPFamilies,
	}
	if len(service.Spec.Selector) > 0 {
		spec.Selector = selected
	}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		spec.ClusterIP = corev1.ClusterIPNone
	}
	for _, port := range service.Spec.Ports {
		spec.Ports = append(spec.Ports, corev1.ServicePort{
			Name: port.Name, Protocol: port.Protocol, Port: port.Port, AppProtocol: port.AppProtocol,
		})
	}
	return &packedService{pack(service, &corev1.Service{ObjectMeta: m.some(&service.ObjectMeta), Spec: spec}, nil)}
}

func (p *packedService) unpack() *corev1.Service {
	service := &corev1.Service{}
	p.packed.unpack(service, &service.ObjectMeta)
	return service
}

// maxPacked is the number of endpoints up to which a slice is packed. One with more is kept as it is: it is likely to be one
// of a large Service, of which each change of a pod would else unpack all.
const maxPacked = 32

// dated is what says when the pods of a slice last changed.
var dated = Metadata{Annotations: []string{corev1.EndpointsLastChangeTriggerTime}}

type packedSlice struct {
	packed
	// service is the name of the Service that the slice belongs to.
	service string
	// isOfPods: Kubernetes made the slice for a selector, so its addresses are pods.
	isOfPods bool
	// endpoints is how many it has, where it is packed.
	endpoints uint8
	// whole is the slice where it is not packed.
	whole *discoveryv1.EndpointSlice
}

func (m Metadata) packSlice(slice *discoveryv1.EndpointSlice) *packedSlice {
	p := &packedSlice{
		service:  slice.Labels[discoveryv1.LabelServiceName],
		isOfPods: slice.Labels[discoveryv1.LabelManagedBy] == endpointSliceController,
	}
	common := &discoveryv1.EndpointSlice{ObjectMeta: m.some(&slice.ObjectMeta), AddressType: slice.AddressType, Ports: slice.Ports}
	own := &discoveryv1.EndpointSlice{ObjectMeta: dated.some(&slice.ObjectMeta), Endpoints: slice.Endpoints}
	leavePlace(own.Endpoints)
	if len(slice.Endpoints) <= maxPacked {
		p.packed = pack(slice, common, own)
		p.endpoints = uint8(len(slice.Endpoints))
	} else {
		p.packed = pack(slice, nil, nil)
		p.whole = &discoveryv1.EndpointSlice{
			ObjectMeta: m.and(dated).of(&slice.ObjectMeta), AddressType: slice.AddressType, Ports: slice.Ports, Endpoints: slices.Clone(own.Endpoints),
		}
	}
	if strings.HasPrefix(p.GetName(), p.service) {
		p.service = p.GetName()[:len(p.service)]
	}
	return p
}

// unpack gives the slice, which is shared where it is not packed and must not be changed.
func (p *packedSlice) unpack() *discoveryv1.EndpointSlice {
	if p.whole != nil {
		return p.whole
	}
	slice := &discoveryv1.EndpointSlice{Endpoints: slices.Grow[[]discoveryv1.Endpoint](nil, int(p.endpoints))}
	p.packed.unpack(slice, &slice.ObjectMeta)
	return slice
}

// addresses gives those of its endpoints. It unpacks no more.
func (p *packedSlice) addresses() []string {
	var all []string
	if p.whole != nil {
		for _, endpoint := range p.whole.Endpoints {
			all = append(all, endpoint.Addresses...)
		}
		return all
	}
	all = make([]string, 0, p.endpoints)
	for endpoint := range valuesOf(fieldEndpoints, []byte(p.text[p.own:])) {
		for address := range valuesOf(fieldAddresses, endpoint) {
			all = append(all, string(address))
		}
	}
	return all
}

func (p *packedSlice) serviceKey() types.NamespacedName {
	return types.NamespacedName{Namespace: p.GetNamespace(), Name: p.service}
}

// leavePlace takes out of endpoints what ties them to their own cluster.
func leavePlace(endpoints []discoveryv1.Endpoint) {
	for i, endpoint := range endpoints {
		endpoints[i] = discoveryv1.Endpoint{Addresses: endpoint.Addresses, Hostname: endpoint.Hostname, Conditions: discoveryv1.EndpointConditions{
			Ready:       shared(endpoint.Conditions.Ready),
			Serving:     shared(endpoint.Conditions.Serving),
			Terminating: shared(endpoint.Conditions.Terminating),
		}}
	}
}
