package sync

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// drawTarget draws what may stand in green before xcc looks: nothing, a pointer of another state of the source or of
// another way to write it, half of one, one that somebody edited, and objects of others under its names.
func drawTarget(t *rapid.T, r Rules, network Network) *model {
	green := newModel(network)
	if rapid.Bool().Draw(t, "a pointer stands") {
		before := r
		before.EndpointsAPI = rapid.SampledFrom([]EndpointsAPI{Both, SlicesOnly, EndpointsOnly}).Draw(t, "endpoints API before")
		converge(t, green, before, network, drawSource(t))
		for _, name := range sortedKeys(green.objects) {
			switch rapid.IntRange(0, 3).Draw(t, "what happened to "+name) {
			case 0:
				delete(green.objects, name)
			case 1:
				green.put(edited(t, green.objects[name]))
			}
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "there are objects of others") == 0 {
		for _, object := range foreignObjects(r) {
			if green.get(object) == nil && rapid.Bool().Draw(t, "there is "+id(object)) {
				green.put(object)
			}
		}
	}
	if service := green.objects[KindService.String()+"/shop/web"]; service != nil && rapid.IntRange(0, 3).Draw(t, "there are strays") == 0 {
		green.put(stray(service.GetUID()))
	}
	return green
}

// edited is an object as somebody might have left it.
func edited(t *rapid.T, object Object) Object {
	object = deepCopy(object)
	edits := []func(){
		func() { object.SetLabels(union(map[string]string{"added": "by-hand"}, object.GetLabels())) },
		func() { object.SetAnnotations(union(map[string]string{"added": "by-hand"}, object.GetAnnotations())) },
		func() { delete(object.GetLabels(), LabelExport) },
		func() { object.GetLabels()[LabelExport] = Exported },
		func() { object.GetAnnotations()[AnnotationOriginUID] = "forged" },
		func() { object.GetAnnotations()[AnnotationOriginCluster] = "uid-of-red" },
		func() { object.SetAnnotations(nil) },
		func() {
			object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}})
		},
	}
	switch object := object.(type) {
	case *corev1.Service:
		edits = append(edits,
			func() { object.Spec.Selector = map[string]string{"app": "mine"} },
			func() { object.Spec.Type = corev1.ServiceTypeLoadBalancer },
			func() { object.Spec.Type, object.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30081 },
			func() { object.Spec.ExternalIPs = []string{"198.51.100.9"} },
			func() { object.Spec.Ports[0].Port = 81 },
			func() {
				object.Spec.Type, object.Spec.ExternalName = corev1.ServiceTypeExternalName, "x.example.com"
				object.Spec.ClusterIP, object.Spec.ClusterIPs, object.Spec.IPFamilies = "", nil, nil
			},
			func() { object.Finalizers = []string{"example.com/mine"} },
			func() {
				object.Finalizers, object.DeletionTimestamp = []string{"foregroundDeletion"}, &metav1.Time{}
			},
		)
	case *discoveryv1.EndpointSlice:
		edits = append(edits,
			func() { object.Endpoints = append(object.Endpoints, ready("10.0.0.4")) },
			func() { object.Endpoints = nil },
			func() { delete(object.Labels, discoveryv1.LabelServiceName) },
			func() { object.Labels[discoveryv1.LabelManagedBy] = endpointSliceController },
			func() { object.Finalizers = []string{"example.com/mine"} },
		)
	case *corev1.Endpoints:
		edits = append(edits,
			func() { object.Subsets = nil },
			func() { delete(object.Labels, discoveryv1.LabelSkipMirror) },
		)
	}
	rapid.SampledFrom(edits).Draw(t, "edit")()
	return object
}

// foreignObjects are objects of others that stand where the pointer's could, or belong to a Service of the name.
func foreignObjects(r Rules) []Object {
	name := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: web.Namespace, Name: name} }
	forged := func(name string) metav1.ObjectMeta {
		meta := marks(name)
		meta.Annotations[AnnotationOriginCluster] = "uid-of-red"
		return meta
	}
	ofWeb := map[string]string{discoveryv1.LabelServiceName: web.Name}
	tenants := &discoveryv1.EndpointSlice{ObjectMeta: name("web-tenant"), AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{ready("10.0.0.9")}}
	tenants.Labels = ofWeb
	squatter := &discoveryv1.EndpointSlice{ObjectMeta: name(r.sliceName(web.Name, sliceOf("web-0"))), AddressType: discoveryv1.AddressTypeIPv4}
	squatter.Labels = ofWeb
	mirrored := &discoveryv1.EndpointSlice{ObjectMeta: marks("web-x7k2p"), AddressType: discoveryv1.AddressTypeIPv4}
	mirrored.Labels[discoveryv1.LabelManagedBy] = "endpointslicemirroring-controller.k8s.io"
	mirrored.Labels[discoveryv1.LabelServiceName] = web.Name
	return []Object{
		&corev1.Service{ObjectMeta: name("web"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.99"}},
		&corev1.Endpoints{ObjectMeta: forged("web"), Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.9"}}}}},
		tenants, squatter, mirrored,
	}
}

// stray is a slice that Kubernetes made while the pointer's Service had a selector.
func stray(owner types.UID) *discoveryv1.EndpointSlice {
	slice := sliceOf("web-stray", ready("10.0.0.8"))
	slice.UID = "uid-of-stray"
	slice.Labels[LabelExport] = Follower
	slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: KindService.String(), Name: web.Name, UID: owner, Controller: ptr.To(true)}}
	return slice
}
