package sync

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// model is a cluster in memory, as far as a pointer meets it. As an API server it assigns UIDs and resourceVersions,
// fills in defaults, holds writes to their preconditions, and keeps what a PUT can't change
// (k8s.io/kubernetes/pkg/registry/core/service, .../storage/alloc.go and strategy.go).
type model struct {
	objects map[string]Object
	serial  int
	// first is the default family of its Services.
	first corev1.IPFamily
	// recovered: what it exports itself has had enough ready addresses for some time.
	recovered bool
}

func newModel(network Network) *model {
	return &model{objects: map[string]Object{}, first: network.Families[0]}
}

// clone is the cluster at this moment. Stored objects are never changed, so they can be shared.
func (m *model) clone() *model {
	return &model{objects: maps.Clone(m.objects), serial: m.serial, first: m.first, recovered: m.recovered}
}

func id(object Object) string {
	return fmt.Sprintf("%s/%s/%s", kindOf(object), object.GetNamespace(), object.GetName())
}

func deepCopy[T Object](object T) T {
	return object.DeepCopyObject().(T)
}

func (m *model) get(object Object) Object {
	return m.objects[id(object)]
}

// put stores an object as it is, as if somebody had made it so.
func (m *model) put(object Object) Object {
	stored := deepCopy(object)
	if stored.GetUID() == "" {
		stored.SetUID(types.UID("u" + m.next()))
	}
	stored.SetResourceVersion(m.next())
	m.objects[id(stored)] = stored
	return stored
}

func (m *model) next() string {
	m.serial++
	return strconv.Itoa(m.serial)
}

func (m *model) create(object Object) (Object, error) {
	if m.get(object) != nil {
		return nil, apierrors.NewAlreadyExists(resource(object), object.GetName())
	}
	if err := validate(object); err != nil {
		return nil, err
	}
	created := deepCopy(object)
	created.SetUID("")
	m.defaults(created)
	return m.put(created), nil
}

func (m *model) update(object Object) (Object, error) {
	stored := m.get(object)
	if err := precondition(object, stored); err != nil {
		return nil, err
	}
	if err := validate(object); err != nil {
		return nil, err
	}
	updated := deepCopy(object)
	updated.SetDeletionTimestamp(stored.GetDeletionTimestamp())
	switch updated := updated.(type) {
	case *corev1.Service:
		keepShape(updated, stored.(*corev1.Service))
	case *discoveryv1.EndpointSlice:
		if updated.AddressType != stored.(*discoveryv1.EndpointSlice).AddressType {
			return nil, apierrors.NewBadRequest("the address type can't be changed")
		}
	}
	m.defaults(updated)
	if updated.GetDeletionTimestamp() != nil && len(updated.GetFinalizers()) == 0 {
		m.drop(updated)
		return updated, nil
	}
	if reflect.DeepEqual(updated, stored) {
		return stored, nil
	}
	return m.put(updated), nil
}

func (m *model) remove(object Object) error {
	stored := m.get(object)
	if stored == nil {
		return apierrors.NewNotFound(resource(object), object.GetName())
	}
	if err := precondition(object, stored); err != nil {
		return err
	}
	if len(stored.GetFinalizers()) == 0 {
		m.drop(stored)
	} else if stored.GetDeletionTimestamp() == nil {
		going := deepCopy(stored)
		going.SetDeletionTimestamp(&metav1.Time{})
		m.put(going)
	}
	return nil
}

func (m *model) drop(object Object) {
	delete(m.objects, id(object))
	if kindOf(object) == KindService {
		// The API server deletes the Endpoints with the Service, whoever they belong to.
		delete(m.objects, KindEndpoints.String()+"/"+object.GetNamespace()+"/"+object.GetName())
	}
}

// collect does what others do in time: who put a finalizer takes it off what is being deleted, and Kubernetes deletes
// slices whose owner is gone.
func (m *model) collect() {
	for _, object := range m.objects {
		if object.GetDeletionTimestamp() != nil {
			m.drop(object)
		}
	}
	for key, object := range m.objects {
		if owner := metav1.GetControllerOf(object); owner != nil && kindOf(object) == KindEndpointSlice {
			service := m.objects[KindService.String()+"/"+object.GetNamespace()+"/"+owner.Name]
			if service == nil || service.GetUID() != owner.UID {
				delete(m.objects, key)
			}
		}
	}
}

// copies is what a direction sees of the cluster: all that belongs to the name.
func (m *model) copies(r Rules, key Key) []*Copy {
	var all []*Copy
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if kindOf(m.objects[name]) == KindNamespace {
			continue
		}
		if c := r.Observe(m.objects[name]); c.Service() == key {
			all = append(all, c)
		}
	}
	return all
}

func (m *model) target(r Rules, key Key, network Network) Target {
	return Target{Namespace: shop, Copies: m.copies(r, key), Network: network, Native: m.native(key), Recovered: m.recovered}
}

// native is what the watches for exported Services tell of the cluster.
func (m *model) native(key Key) Source {
	service, _ := m.objects[KindService.String()+"/"+key.String()].(*corev1.Service)
	if service == nil || service.Labels[LabelExport] != Exported {
		return Source{}
	}
	native := nativeOf(service, nil)
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		slice, ok := m.objects[name].(*discoveryv1.EndpointSlice)
		if ok && native.Service != nil && slice.Labels[LabelExport] == Exported && slice.Labels[discoveryv1.LabelServiceName] == key.Name {
			native.Slices = append(native.Slices, slice)
		}
	}
	return native
}

// precondition holds a write to the UID and resourceVersion that it names. A PUT of something that is gone meets an empty
// object in the API server, with which no UID agrees.
func precondition(object, stored Object) error {
	if stored == nil {
		return apierrors.NewConflict(resource(object), object.GetName(), fmt.Errorf("it is gone"))
	}
	if object.GetUID() != stored.GetUID() || object.GetResourceVersion() != stored.GetResourceVersion() {
		return apierrors.NewConflict(resource(object), object.GetName(), fmt.Errorf("it is another one"))
	}
	return nil
}

func resource(object Object) schema.GroupResource {
	return schema.GroupResource{Resource: kindOf(object).String()}
}

// validate refuses what the API server would, of what a pointer could get wrong.
func validate(object Object) error {
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		for _, owner := range object.OwnerReferences {
			if owner.UID == "" {
				return apierrors.NewBadRequest("an owner without UID")
			}
		}
	case *corev1.Endpoints:
		for _, subset := range object.Subsets {
			if len(subset.Addresses)+len(subset.NotReadyAddresses) == 0 {
				return apierrors.NewBadRequest("a subset without addresses")
			}
			for _, port := range subset.Ports {
				if port.Port < 1 {
					return apierrors.NewBadRequest("a port without a number")
				}
			}
		}
	}
	return nil
}

// defaults fills in what a client may leave out.
func (m *model) defaults(object Object) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return
	}
	spec := &service.Spec
	for i := range spec.Ports {
		port := &spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort.IntVal == 0 {
			port.TargetPort.IntVal = port.Port
		}
	}
	if spec.SessionAffinity == "" {
		spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	if spec.InternalTrafficPolicy == nil {
		spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyCluster)
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{m.first}
	}
	if spec.ClusterIP == "" && spec.Type != corev1.ServiceTypeExternalName {
		spec.ClusterIP = "10.96.1." + m.next()
	}
	spec.ClusterIPs = []string{spec.ClusterIP}
}

// keepShape keeps what a PUT of a Service silently does not change.
func keepShape(updated, stored *corev1.Service) {
	if stored.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	updated.Spec.ClusterIP = stored.Spec.ClusterIP
	if len(updated.Spec.IPFamilies) > 0 && len(stored.Spec.IPFamilies) > 0 {
		updated.Spec.IPFamilies[0] = stored.Spec.IPFamilies[0]
	}
}
