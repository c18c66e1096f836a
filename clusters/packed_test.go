package clusters

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// read is what the tests ask for of the metadata.
var read = Metadata{Labels: []string{"team", "absent"}, Annotations: []string{"note"}}

// packedMeta is the metadata of an object, and what is left of it.
func packedMeta(name string) (whole, kept metav1.ObjectMeta) {
	kept = metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: "7a1f", ResourceVersion: "15",
		Labels: map[string]string{"team": "red"}, Annotations: map[string]string{"note": "n"},
	}
	whole = *kept.DeepCopy()
	whole.Labels[discoveryv1.LabelServiceName], whole.Annotations[corev1.LastAppliedConfigAnnotation] = "web", "{}"
	whole.OwnerReferences, whole.Finalizers = []metav1.OwnerReference{{Kind: "App", Name: "web"}}, []string{"example.com/theirs"}
	return whole, kept
}

func TestPackedService(t *testing.T) {
	whole, kept := packedMeta("web")
	full := corev1.ServiceSpec{
		Type:                     corev1.ServiceTypeLoadBalancer,
		ExternalName:             "db.example.com",
		ClusterIP:                "10.96.0.7",
		ClusterIPs:               []string{"10.96.0.7"},
		Selector:                 map[string]string{"app": "web"},
		SessionAffinity:          corev1.ServiceAffinityClientIP,
		SessionAffinityConfig:    &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](60)}},
		PublishNotReadyAddresses: true,
		IPFamilies:               []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol},
		IPFamilyPolicy:           ptr.To(corev1.IPFamilyPolicyRequireDualStack),
		ExternalIPs:              []string{"198.51.100.1"},
		HealthCheckNodePort:      31000,
		Ports:                    []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, AppProtocol: ptr.To("h2c"), NodePort: 30000}},
	}
	fullKept := corev1.ServiceSpec{
		Type: full.Type, ExternalName: full.ExternalName, Selector: selected, SessionAffinity: full.SessionAffinity,
		SessionAffinityConfig: full.SessionAffinityConfig, PublishNotReadyAddresses: true, IPFamilies: full.IPFamilies,
		Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, AppProtocol: ptr.To("h2c")}},
	}
	headless := corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, ClusterIPs: []string{corev1.ClusterIPNone}}
	tests := []struct {
		name       string
		spec, want corev1.ServiceSpec
	}{
		{"what pointers are made of is kept", full, fullKept},
		{"headlessness is kept", headless, corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
		{"nothing stays nothing", corev1.ServiceSpec{}, corev1.ServiceSpec{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			packed := read.packService(&corev1.Service{ObjectMeta: whole, Spec: test.spec, Status: corev1.ServiceStatus{Conditions: []metav1.Condition{{Type: "x"}}}})
			if diff := cmp.Diff(&corev1.Service{ObjectMeta: kept, Spec: test.want}, packed.unpack()); diff != "" {
				t.Errorf("unpacked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPackedSlice(t *testing.T) {
	whole, kept := packedMeta("web-1")
	bare := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}
	full := discoveryv1.Endpoint{
		Addresses: []string{"010.0.0.2", "10.0.0.3"}, Hostname: ptr.To("web-0"),
		Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(false), Terminating: ptr.To(true)},
	}
	local := *full.DeepCopy()
	local.NodeName, local.Zone, local.TargetRef = ptr.To("n"), ptr.To("z"), &corev1.ObjectReference{Name: "p"}
	local.Hints, local.DeprecatedTopology = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z"}}}, map[string]string{"x": "y"}
	ports := []discoveryv1.EndpointPort{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}, {Name: ptr.To("")}}
	for _, count := range []int{0, 1, maxPacked, maxPacked + 1} {
		t.Run(fmt.Sprintf("%d endpoints", count), func(t *testing.T) {
			slice := &discoveryv1.EndpointSlice{ObjectMeta: whole, AddressType: discoveryv1.AddressTypeIPv4, Ports: ports}
			want := &discoveryv1.EndpointSlice{ObjectMeta: kept, AddressType: discoveryv1.AddressTypeIPv4, Ports: ports}
			for n := range count {
				if n%2 == 0 {
					slice.Endpoints, want.Endpoints = append(slice.Endpoints, local), append(want.Endpoints, full)
				} else {
					slice.Endpoints, want.Endpoints = append(slice.Endpoints, bare), append(want.Endpoints, bare)
				}
			}
			packed := read.packSlice(slice)
			if diff := cmp.Diff(want, packed.unpack()); diff != "" {
				t.Errorf("unpacked (-want +got):\n%s", diff)
			}
			if want := (types.NamespacedName{Namespace: "shop", Name: "web"}); packed.serviceKey() != want {
				t.Errorf("it belongs to %s, want %s", packed.serviceKey(), want)
			}
		})
	}
}

func TestLargeSliceStaysTheSameObject(t *testing.T) {
	slice := read.packSlice(sliceOfPods(1, 100))
	first, second := slice.unpack(), slice.unpack()
	if first != second {
		t.Error("it is another object each time, so nothing can be remembered of it by its address")
	}
}
