package sync

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Operation is what a [Change] does.
type Operation string

// The operations.
const (
	Create Operation = "create"
	Update Operation = "update"
	Delete Operation = "delete"
)

// Change is one write in the target.
type Change struct {
	Operation Operation
	// Object is, for a create and an update, the whole object as it is to stand; for a delete only its identity. For an
	// update and a delete it carries the UID and resourceVersion of the object that was found, as preconditions: a PUT
	// of a Service or Endpoints that is gone would create it, and what is at a name now need not be what was proven ours.
	Object Object
}

func (c Change) String() string {
	return fmt.Sprintf("%s %s %s/%s", c.Operation, kindOf(c.Object), c.Object.GetNamespace(), c.Object.GetName())
}

// diff gives the writes that turn what stands in the target into the pointer, in an order in which every beginning of the
// list is safe to stop after:
//
//	birth    Service, then slices, then Endpoints (Kubernetes deletes Endpoints that have no Service)
//	change   slices are created and gain ready addresses before others lose some, and what is too much goes last, so an
//	         address that moves is never absent
//	rebirth  a Service whose shape can't be changed is deleted and created, then as in birth
//	death    Service, then the rest
//
// A nil pointer means death. Copies that the direction doesn't own are left alone, and so is a name that they hold.
func (r Rules) diff(pointer *Pointer, copies []*Copy) []Change {
	if pointer == nil {
		return r.death(copies)
	}
	found := make(map[member]*Copy, len(copies))
	for _, c := range copies {
		found[member{c.Kind, c.Name}] = c
	}
	take := func(kind Kind, object Object) *Copy {
		id := member{kind, object.GetName()}
		c := found[id]
		delete(found, id)
		return c
	}
	var services, created, updated, endpoints, removed []Change
	if pointer.Service != nil {
		services = r.bringService(pointer.Service, take(KindService, pointer.Service))
	}
	gains := map[string]int{}
	for _, slice := range pointer.Slices {
		c := take(KindEndpointSlice, slice)
		changes := r.bringContent(slice, pointer.contents[slice.Name], c)
		if c == nil {
			created = append(created, changes...)
			continue
		}
		gains[slice.Name] = readyAddresses(slice) - int(c.Ready)
		updated = append(updated, changes...)
	}
	slices.SortStableFunc(updated, func(a, b Change) int {
		return cmp.Compare(gains[b.Object.GetName()], gains[a.Object.GetName()])
	})
	if pointer.Endpoints != nil {
		endpoints = r.bring(pointer.Endpoints, take(KindEndpoints, pointer.Endpoints))
	}
	for _, c := range sorted(slices.Collect(maps.Values(found))) {
		if r.owns(c) && !c.Terminating {
			removed = append(removed, deletion(c))
		}
	}
	return slices.Concat(services, created, updated, endpoints, removed, r.strays(copies))
}

// member names an object of a pointer.
type member struct {
	kind Kind
	name string
}

// death deletes all that is owned, but leaves it to Kubernetes to delete the Endpoints of a Service that goes now: the API
// server does so before it answers (k8s.io/kubernetes, pkg/registry/core/service/storage: afterDelete). Should they stay,
// because somebody's finalizer keeps the Service, the next plan finds them.
func (r Rules) death(copies []*Copy) []Change {
	services := r.deletions(copies, KindService)
	if len(services) > 0 {
		return append(services, r.deletions(copies, KindEndpointSlice)...)
	}
	return r.evacuation(copies)
}

// evacuation takes the addresses out of a pointer of which nothing but itself is known.
func (r Rules) evacuation(copies []*Copy) []Change {
	return r.deletions(copies, KindEndpointSlice, KindEndpoints)
}

func (r Rules) deletions(copies []*Copy, kinds ...Kind) []Change {
	var changes []Change
	for _, kind := range kinds {
		for _, c := range sorted(copies) {
			// What is being deleted already waits for somebody's finalizer.
			if c.Kind == kind && r.owns(c) && !c.Terminating {
				changes = append(changes, deletion(c))
			}
		}
	}
	return changes
}

// strays deletes the slices that Kubernetes made for our own pointer Service while somebody had given it a selector.
// They are known by their controller: the live pointer. When the selector goes, the EndpointSlice controller forgets the
// Service and leaves them behind, and kube-proxy would go on using them.
func (r Rules) strays(copies []*Copy) []Change {
	var left []*Copy
	for _, service := range copies {
		if service.Kind != KindService || !r.owns(service) {
			continue
		}
		for _, c := range copies {
			if c.Kind == KindEndpointSlice && c.Owner == service.UID && c.ManagedBy == endpointSliceController && !c.Terminating {
				left = append(left, c)
			}
		}
	}
	var changes []Change
	for _, c := range sorted(left) {
		changes = append(changes, deletion(c))
	}
	return changes
}

func (r Rules) bringService(service *corev1.Service, c *Copy) []Change {
	if c != nil && r.owns(c) && reborn(service, c) {
		return []Change{deletion(c), {Create, service}}
	}
	return r.bring(service, c)
}

// bring gives the write that makes the object stand as wanted: none where it does already, or where the name is not ours.
func (r Rules) bring(object Object, c *Copy) []Change {
	return r.bringContent(object, r.fingerprint(object), c)
}

// bringContent is bring for an object whose fingerprint is known. The object may be remembered: what is written is a copy.
func (r Rules) bringContent(object Object, content Fingerprint, c *Copy) []Change {
	switch {
	case c == nil:
		return []Change{{Create, shallowCopy(object)}}
	case !r.owns(c) || c.Content == content:
		return nil
	}
	object = shallowCopy(object)
	object.SetUID(c.UID)
	object.SetResourceVersion(c.ResourceVersion)
	object.SetLabels(union(c.ForeignLabels, object.GetLabels()))
	object.SetAnnotations(union(c.ForeignAnnotations, object.GetAnnotations()))
	return []Change{{Update, object}}
}

// shallowCopy copies an object as far as its metadata can be replaced without a change of the original.
func shallowCopy(object Object) Object {
	switch object := object.(type) {
	case *corev1.Service:
		copied := *object
		return &copied
	case *discoveryv1.EndpointSlice:
		copied := *object
		copied.OwnerReferences = slices.Clone(object.OwnerReferences)
		return &copied
	case *corev1.Endpoints:
		copied := *object
		return &copied
	}
	return object
}

// reborn reports whether the Service needs another shape than an update can give it: headlessness and the primary IP
// family are kept by the API server whatever a PUT says.
func reborn(service *corev1.Service, c *Copy) bool {
	return c.Headless != isHeadless(service) || c.Family != "" && c.Family != service.Spec.IPFamilies[0]
}

// giveShape gives the Service the shape of the one that stands.
func giveShape(service *corev1.Service, c *Copy) {
	service.Spec.ClusterIP = ""
	if c.Headless {
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
	if c.Family != "" && c.Family != service.Spec.IPFamilies[0] {
		service.Spec.IPFamilies = []corev1.IPFamily{c.Family}
		service.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicySingleStack)
	}
}

func deletion(c *Copy) Change {
	meta := metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion}
	switch c.Kind {
	case KindService:
		return Change{Delete, &corev1.Service{ObjectMeta: meta}}
	case KindEndpointSlice:
		return Change{Delete, &discoveryv1.EndpointSlice{ObjectMeta: meta}}
	default:
		return Change{Delete, &corev1.Endpoints{ObjectMeta: meta}}
	}
}

func sorted(copies []*Copy) []*Copy {
	return slices.SortedFunc(slices.Values(copies), func(a, b *Copy) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

func union(under, over map[string]string) map[string]string {
	all := maps.Clone(over)
	for key, value := range under {
		if _, ok := all[key]; !ok {
			all[key] = value
		}
	}
	return all
}
