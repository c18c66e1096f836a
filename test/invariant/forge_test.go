package invariant

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// forgery is two clusters that never were: what their etcd held, and what their logs say. Each step takes ten
// milliseconds and may be read as a line of a story.
type forgery struct {
	t        *testing.T
	now      time.Time
	revision int64
	versions map[string][]Version
	requests map[string][]Request
}

const east, west = "east-uid", "west-uid"

var cidrs = []netip.Prefix{netip.MustParsePrefix("10.102.0.0/16")}

func forge(t *testing.T) *forgery {
	f := &forgery{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), versions: map[string][]Version{}, requests: map[string][]Request{}}
	f.store(west, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	return f
}

func (f *forgery) tick() time.Time {
	f.now = f.now.Add(10 * time.Millisecond)
	return f.now
}

func (f *forgery) world() World {
	side := func(uid string) Side {
		return Side{Name: uid, UID: types.UID(uid), ServiceCIDRs: cidrs, Requests: f.requests[uid], History: NewHistory(f.versions[uid], f.requests[uid])}
	}
	return World{A: side(east), B: side(west), MaxDeletePercent: 50}
}

var resources = map[string]string{KindService: "services", KindEndpointSlice: "endpointslices", KindEndpoints: "endpoints", KindNamespace: "namespaces"}

// store puts an object into a cluster's etcd.
func (f *forgery) store(cluster string, object Object) Object {
	f.revision++
	object = object.DeepCopyObject().(Object)
	object.SetResourceVersion(fmt.Sprint(f.revision))
	f.versions[cluster] = append(f.versions[cluster], Version{ID: idOf(object), Revision: f.revision, Object: object, Seen: f.now.Add(time.Millisecond)})
	return object.DeepCopyObject().(Object) // a story may go on to edit it
}

func idOf(object Object) ID {
	return ID{kindOf(object), object.GetNamespace(), object.GetName()}
}

// put is a write by somebody, with the log's line.
func (f *forgery) put(cluster, user, verb string, object Object) Object {
	request := f.request(user, verb, object)
	stored := f.store(cluster, object)
	request.Answer, request.Code = marshal(f.t, stored), 200
	if verb == "create" {
		request.Code = 201
	}
	f.requests[cluster] = append(f.requests[cluster], request)
	return stored
}

func (f *forgery) request(user, verb string, object Object) Request {
	at := f.tick()
	return Request{
		Received: at, Completed: at.Add(2 * time.Millisecond), User: user, Verb: verb, Resource: resources[kindOf(object)],
		Namespace: object.GetNamespace(), Name: object.GetName(), Body: marshal(f.t, object),
	}
}

// update is xcc's, with the conditions of the object that it replaces.
func (f *forgery) update(cluster string, before, after Object) Object {
	after = after.DeepCopyObject().(Object)
	after.SetUID(before.GetUID())
	after.SetResourceVersion(before.GetResourceVersion())
	return f.put(cluster, XCC, "update", after)
}

// remove is a delete by somebody; by xcc with the conditions given.
func (f *forgery) remove(cluster, user string, object Object, conditions *metav1.Preconditions) {
	request := f.request(user, "delete", object)
	request.Body, request.Code = marshal(f.t, metav1.DeleteOptions{Preconditions: conditions}), 200
	f.revision++
	f.versions[cluster] = append(f.versions[cluster], Version{ID: idOf(object), Revision: f.revision, Seen: f.now.Add(time.Millisecond)})
	f.requests[cluster] = append(f.requests[cluster], request)
}

func (f *forgery) withdraw(cluster string, object Object) {
	f.remove(cluster, XCC, object, conditionsOf(object))
}

func conditionsOf(object Object) *metav1.Preconditions {
	return &metav1.Preconditions{UID: new(object.GetUID()), ResourceVersion: new(object.GetResourceVersion())}
}

// get and list are xcc's live reads.
func (f *forgery) get(cluster, name string, code int32, query string) {
	at := f.tick()
	f.requests[cluster] = append(f.requests[cluster], Request{
		Received: at, Completed: at.Add(2 * time.Millisecond), User: XCC, Verb: "get", Resource: "services", Namespace: "shop", Name: name, Code: code,
		URI: "/api/v1/namespaces/shop/services/" + name + query,
	})
}

func (f *forgery) list(cluster, service, query string) {
	at := f.tick()
	f.requests[cluster] = append(f.requests[cluster], Request{
		Received: at, Completed: at.Add(2 * time.Millisecond), User: XCC, Verb: "list", Resource: "endpointslices", Namespace: "shop", Code: 200,
		URI: "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=fair.com%2Fcross-cluster%3Dtrue%2Ckubernetes.io%2Fservice-name%3D" + service + query,
	})
}

func marshal(t *testing.T, value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func exported(name string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{Kind: KindService, APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name), Labels: map[string]string{exportLabel: "true"}},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.101.0.7", Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
}

func endpoints(service, address string, ready bool) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: KindEndpointSlice},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: service + "-abcde", UID: "slice", Labels: map[string]string{
			exportLabel: "true", discoveryv1.LabelServiceName: service,
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
}

// mirrored is the pointer of what the source has, in objects that a cluster might hold.
func mirrored(source State) State {
	pointer := WantPointer(Origin{east, east}, source, types.UID("pointer-"+source.Service.Name), nil)
	pointer.Service.UID = types.UID("pointer-" + source.Service.Name)
	pointer.Service.TypeMeta = source.Service.TypeMeta
	if !isHeadless(pointer.Service) {
		pointer.Service.Spec.ClusterIP, pointer.Service.Spec.ClusterIPs = "10.102.0.9", []string{"10.102.0.9"}
	}
	for i, slice := range pointer.Slices {
		slice.Name, slice.UID = fmt.Sprintf("%s-%016x", source.Service.Name, i), types.UID(fmt.Sprintf("copy-%d", i))
	}
	pointer.Endpoints.UID = "endpoints"
	return pointer
}

// born is a Service of the east with one address, and its pointer in the west.
func (f *forgery) born(name string) (source, pointer State) {
	source.Service = f.put(east, "alice", "create", exported(name)).(*corev1.Service)
	source.Slices = []*discoveryv1.EndpointSlice{f.put(east, "kcm", "create", endpoints(name, "10.1.0.1", true)).(*discoveryv1.EndpointSlice)}
	want := mirrored(source)
	pointer.Service = f.put(west, XCC, "create", want.Service).(*corev1.Service)
	pointer.Slices = []*discoveryv1.EndpointSlice{f.put(west, XCC, "create", want.Slices[0]).(*discoveryv1.EndpointSlice)}
	pointer.Endpoints = f.put(west, XCC, "create", want.Endpoints).(*corev1.Endpoints)
	return source, pointer
}

// leaves is the end of such a Service, as it should be.
func (f *forgery) leaves(name string, source, pointer State) {
	f.remove(east, "alice", source.Service, nil)
	f.get(east, name, 404, "")
	f.withdraw(west, pointer.Service)
	f.withdraw(west, pointer.Slices[0])
	f.withdraw(west, pointer.Endpoints)
}
