package clusters

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"xcc/clusters/memory"
)

// BenchmarkSource is what a source's objects hold in memory: Services of ten pods each.
func BenchmarkSource(b *testing.B) {
	c := &Cluster{}
	notify := Notify{Service: func(types.NamespacedName) {}, Synced: func() {}}
	source := c.Source(labels.Everything(), Metadata{Annotations: []string{"fair.com/origin-cluster"}}, notify)
	NewOverlap(source, c.Source(labels.Everything(), Metadata{}, notify), func() {})
	memory.Held(b, "B/Service", func(n int) {
		source.services.Add(memory.Decoded(b, serviceOfPods(n), &corev1.Service{}))
		source.slices.Add(memory.Decoded(b, sliceOfPods(n, 10), &discoveryv1.EndpointSlice{}))
	})
	runtime.KeepAlive(source)
}

func metaOfPods(n int, name string) metav1.ObjectMeta {
	service := fmt.Sprintf("web-%05d", n)
	return metav1.ObjectMeta{
		Namespace: fmt.Sprintf("shop-%d", n%10), Name: name, UID: types.UID(fmt.Sprintf("%08x-1234-4234-8234-%012d", n, n)), ResourceVersion: fmt.Sprint(100000 + n),
		Labels: map[string]string{
			"app": service, "team": "shop", "fair.com/cross-cluster": "true",
			discoveryv1.LabelManagedBy: endpointSliceController, discoveryv1.LabelServiceName: service,
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 600)}}},
	}
}

func serviceOfPods(n int) *corev1.Service {
	name := fmt.Sprintf("web-%05d", n)
	return &corev1.Service{ObjectMeta: metaOfPods(n, name), Spec: corev1.ServiceSpec{
		Selector:              map[string]string{"app": name},
		Type:                  corev1.ServiceTypeClusterIP,
		ClusterIP:             "10.96.0.7",
		ClusterIPs:            []string{"10.96.0.7"},
		SessionAffinity:       corev1.ServiceAffinityNone,
		IPFamilies:            []corev1.IPFamily{corev1.IPv4Protocol},
		IPFamilyPolicy:        ptr.To(corev1.IPFamilyPolicySingleStack),
		InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
		Ports:                 []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}}
}

func sliceOfPods(n, pods int) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metaOfPods(n, fmt.Sprintf("web-%05d-abcde", n)),
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}},
	}
	for i := range pods {
		address := n*pods + i
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 16+address>>16, address>>8&0xff, address&0xff)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: slice.Namespace, Name: fmt.Sprintf("web-%05d-%d", n, i)},
			NodeName:   ptr.To(fmt.Sprintf("node-%d", i)),
			Zone:       ptr.To("eu-central-1a"),
		})
	}
	return slice
}
