package clusters

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestOverlap(t *testing.T) {
	sliceOfPods := sliceOn(endpointSliceController, "10.0.0.1")
	endpointsOfPods := endpointsWith(&corev1.ObjectReference{Kind: "Pod", Name: "web-0"})
	tests := []struct {
		name string
		a, b Object
		want bool
	}{
		{"a pod in slices of both", sliceOfPods, sliceOfPods, true},
		{"a pod in Endpoints of a token that may not read slices, and in slices", endpointsOfPods, sliceOfPods, true},
		{"a pod in Endpoints of both", endpointsOfPods, endpointsOfPods, true},
		{"a pod whose address is written in two ways", sliceOn(endpointSliceController, "fd00::1"), sliceOn(endpointSliceController, "fd00:0::1"), true},
		{"pods of two addresses are not of both", sliceOfPods, sliceOn(endpointSliceController, "10.0.0.2"), false},
		{"somebody's own slice says nothing of pods", sliceOn("somebody", "10.0.0.1"), sliceOfPods, false},
		{"somebody's own Endpoints neither", endpointsWith(nil), sliceOfPods, false},
		{"nor do those of one side alone", endpointsOfPods, &corev1.Endpoints{ObjectMeta: endpointsOfPods.ObjectMeta}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changes := make(chan struct{}, 2)
			a, _ := newTestSource(t, newFakeAPI(t, "blue"))
			fake := newFakeAPI(t, "green")
			b, s := newTestSource(t, fake)
			overlap := NewOverlap(a, b, func() { changes <- struct{}{} })
			add(t, a, test.a)
			add(t, b, test.b)
			asked := []*discoveryv1.EndpointSlice{sliceOfPods, sliceOn(endpointSliceController, "fd00::1")}
			if found := overlap.Among(asked); (len(found) > 0) != test.want {
				t.Fatalf("found %v", found)
			}
			if !test.want {
				return
			}
			<-changes
			// Where the token's rights have changed, nobody tells any more of what was read before.
			if _, isSlice := test.b.(*discoveryv1.EndpointSlice); isSlice {
				fake.set(func() { fake.forbidden = []string{"/apis/discovery.k8s.io"} })
			}
			if err := b.prepare(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if found := overlap.Among(asked); len(found) > 0 {
				t.Fatalf("%v is still one of both", found)
			}
			<-changes
		})
	}
}

// newTestSource is a source of a fake that has no slices.
func newTestSource(t *testing.T, f *fakeAPI) (*Source, *session) {
	t.Helper()
	f.handle = func(w http.ResponseWriter, _ *http.Request) {
		answer(w, &discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}})
	}
	c, s := f.connected(t)
	return c.Source(labels.Everything(), Metadata{}, Unheard), s
}

func add(t *testing.T, source *Source, object Object) {
	t.Helper()
	var err error
	switch object := object.(type) {
	case *corev1.Endpoints:
		err = source.endpoints.Add(object.DeepCopy())
	case *discoveryv1.EndpointSlice:
		err = source.slices.Add(object.DeepCopy())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func sliceOn(manager, address string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", UID: "1", ResourceVersion: "1", Labels: map[string]string{
			discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: manager,
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}}},
	}
}

func endpointsWith(target *corev1.ObjectReference) *corev1.Endpoints {
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1", ResourceVersion: "1"},
		Subsets:    []corev1.EndpointSubset{{NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.0.0.1", TargetRef: target}}}},
	}
}
