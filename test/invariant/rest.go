package invariant

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"xcc/test/cluster"
)

// Scene is all that a cluster holds at one time, in the namespaces that count.
type Scene struct {
	Namespaces map[string]*corev1.Namespace
	States     map[Key]State
}

// Look reads some namespaces of a cluster, consistently.
func Look(ctx context.Context, c *cluster.Cluster, namespaces ...string) (Scene, error) {
	scene := Scene{Namespaces: map[string]*corev1.Namespace{}, States: map[Key]State{}}
	for _, name := range namespaces {
		if err := scene.read(ctx, c, name); err != nil {
			return scene, fmt.Errorf("look at namespace %s of cluster %s: %w", name, c.Name, err)
		}
	}
	return scene, nil
}

func (s Scene) read(ctx context.Context, c *cluster.Cluster, name string) error {
	client, everything := c.Clientset(), metav1.ListOptions{}
	namespace, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	services, err := client.CoreV1().Services(name).List(ctx, everything)
	if err != nil {
		return err
	}
	slicesFound, err := client.DiscoveryV1().EndpointSlices(name).List(ctx, everything)
	if err != nil {
		return err
	}
	endpoints, err := client.CoreV1().Endpoints(name).List(ctx, everything)
	if err != nil {
		return err
	}
	s.add(namespace)
	for i := range services.Items {
		s.add(&services.Items[i])
	}
	for i := range slicesFound.Items {
		s.add(&slicesFound.Items[i])
	}
	for i := range endpoints.Items {
		s.add(&endpoints.Items[i])
	}
	return nil
}

func (s Scene) add(object Object) {
	if namespace, ok := object.(*corev1.Namespace); ok {
		s.Namespaces[namespace.Name] = namespace
		return
	}
	key := keyOf(ID{kindOf(object), object.GetNamespace(), object.GetName()}, object)
	state := s.States[key]
	switch object := object.(type) {
	case *corev1.Service:
		state.Service = object
	case *discoveryv1.EndpointSlice:
		state.Slices = append(state.Slices, object)
	case *corev1.Endpoints:
		state.Endpoints = object
	}
	s.States[key] = state
}

// Rest judges what stands in both clusters when nothing changes any more: I3, I7, I8, I10 and I11. A pointer that is exactly
// what its source makes of it has no address that left the source, each of them in one slice, and no field that an
// editor gave it.
func (w World) Rest(a, b Scene) []Violation {
	var report Report
	for _, d := range w.directions() {
		source, target := a, b
		if d.source.UID == w.B.UID {
			source, target = b, a
		}
		d.judgeRest(source, target, &report)
		d.judgeOrigins(source, target, &report)
	}
	return Sorted(report.Violations)
}

func (d direction) judgeRest(source, target Scene, report *Report) {
	keys := maps.Clone(source.States)
	maps.Copy(keys, target.States)
	for key := range keys {
		from, into := source.States[key], target.States[key]
		if d.lostItsLabel(into.Service) && isExported(from.Service) {
			// The Service is nobody's any more, and what is behind it still is xcc's: both is as it should be, whatever else
			// hinders the name.
			continue
		}
		if reason := d.refusal(key, from, into, target); reason != "" {
			for _, object := range into.objects() {
				if d.owns(object) {
					report.violated("I7", []string{describeObject(object)}, "%s: %s/%s has a %s in %s, though %s", d, key.Namespace, key.Name, kindOf(object), d.target.Name, reason)
				}
			}
			continue
		}
		if isExported(into.Service) {
			d.judgeJoin(key, from, into, report)
			continue
		}
		d.judgePointer(key, from, into, report)
	}
}

// lostItsLabel tells of a pointer's Service from which somebody took the follower label, but not its origin.
func (d direction) lostItsLabel(service *corev1.Service) bool {
	return service != nil && service.Labels[exportLabel] != "follower" && service.Annotations[originCluster] == string(d.source.UID)
}

// refusal says why there is to be no pointer; empty where there is to be one.
func (d direction) refusal(key Key, from, into State, target Scene) string {
	namespace := target.Namespaces[key.Namespace]
	switch {
	case from.Service == nil:
		return "the source has no such Service"
	case !isExported(from.Service):
		return "the source does not export it"
	case isRefused(from.Service):
		return "it can't be mirrored"
	case isExported(into.Service) && unjoined(from.Service, into.Service) != "":
		return unjoined(from.Service, into.Service)
	case namespace == nil, namespace.DeletionTimestamp != nil:
		return "the target has no such namespace"
	case namespace.Labels[exportLabel] == "false":
		return "the namespace is opted out"
	case into.Service != nil && !isExported(into.Service) && !d.owns(into.Service):
		return "the name belongs to somebody else"
	}
	return ""
}

func (d direction) judgePointer(key Key, from, into State, report *Report) {
	if into.Service == nil {
		report.violated("I7", []string{"source: " + from.String()}, "%s: %s is exported and has no pointer", d, key)
		return
	}
	want := WantPointer(Origin{d.source.UID, d.source.Name}, from, into.Service.UID, d.target.ServiceCIDRs)
	if difference := Difference(want, into); difference != "" {
		report.violated("I7", []string{"(-want +got):\n" + difference}, "%s: the pointer of %s is not what its source makes of it", d, key)
	}
	for _, slice := range into.Slices {
		if suffix := slice.Name[min(len(key.Name), len(slice.Name)):]; d.owns(slice) && !sliceName.MatchString(suffix) {
			report.violated("I10", []string{describeObject(slice)}, "%s: the slice %s of %s is not named after it", d, slice.Name, key)
		}
	}
	d.judgeAddresses(key, into, report)
}

// judgeAddresses is I10, said for itself: each address stands in one slice for each set of ports.
func (d direction) judgeAddresses(key Key, into State, report *Report) {
	seen := map[string]string{}
	for _, slice := range into.Slices {
		if owner := metav1.GetControllerOf(slice); owner == nil || owner.UID != into.Service.UID {
			report.violated("I10", []string{describeObject(slice)}, "%s: the slice %s of %s is not owned by the pointer", d, slice.Name, key)
		}
		ports := slices.Clone(slice.Ports)
		sortByText(ports)
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				id := address + text(ports)
				if other, twice := seen[id]; twice && other != slice.Name {
					report.violated("I10", []string{other, slice.Name}, "%s: the address %s of %s stands in two slices", d, address, key)
				}
				seen[id] = slice.Name
			}
		}
	}
}

// judgeOrigins is I3 at rest: nothing that came from a cluster stands in it as its own follower.
func (d direction) judgeOrigins(source, _ Scene, report *Report) {
	for _, state := range source.States {
		for _, object := range state.objects() {
			if d.owns(object) {
				report.violated("I3", []string{describeObject(object)}, "%s has a %s that says it comes from %s", d.source.Name, kindOf(object), d.source.Name)
			}
		}
	}
}

// Quiet is I12: between two looks at the log xcc has written nothing, but for what concerns the names that are given.
func (w World) Quiet(a, b []Request, except ...Key) []Violation {
	var report Report
	for _, side := range []struct {
		name     string
		requests []Request
	}{{w.A.Name, a}, {w.B.Name, b}} {
		for _, request := range side.requests {
			if request.User != XCC || !request.isWrite() || slices.Contains(harmless, request.Resource) || slices.ContainsFunc(except, request.isAbout) {
				continue
			}
			report.violated("I12", []string{request.String()}, "xcc asked %s to %s %s %s/%s when all was in sync", side.name, request.Verb, request.Resource, request.Namespace, request.Name)
		}
	}
	return report.Violations
}

func (r Request) isAbout(key Key) bool {
	if r.Namespace != key.Namespace {
		return false
	}
	written := r.written()
	return r.Name == key.Name || r.kind() == KindEndpointSlice && serviceOfSlice(&written) == key.Name
}

func describeObject(object Object) string {
	text := fmt.Sprintf("%s %s/%s, UID %s, labels %v, annotations %v", kindOf(object), object.GetNamespace(), object.GetName(),
		object.GetUID(), object.GetLabels(), object.GetAnnotations())
	for _, owner := range object.GetOwnerReferences() {
		text += fmt.Sprintf(", owner %s %s (controller: %t)", owner.Name, owner.UID, ptr.Deref(owner.Controller, false))
	}
	return text
}
