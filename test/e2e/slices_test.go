package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSlices(t *testing.T) {
	xcc := startDaemon(t)

	bothWays(t, xcc, "250 pods in three slices are in three slices, one for one", func(t *testing.T, w *way) {
		pods := w.run(t, "cart", 0, 250)
		w.create(t, exported("cart"))
		found := w.mirrored(t, "cart", addresses(pods), haveSizes(100, 100, 50))

		here := mark(t)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-170", false))
		ready := append(append([]corev1.Pod{}, pods[:170]...), pods[171:]...)
		changed := w.mirrored(t, "cart", addresses(ready))
		here.wantRequests(t, w.into, w.namespace, "update endpointslices", "update endpoints")
		unchanged := 0
		for _, before := range found.Slices {
			for _, after := range changed.Slices {
				if before.Name == after.Name && before.ResourceVersion == after.ResourceVersion {
					unchanged++
				}
			}
		}
		if unchanged != 2 {
			t.Errorf("%d slices are what they were, not the 2 that the pod is not in", unchanged)
		}

		for _, pod := range pods[:50] {
			mustBe(t, w.from.DeletePod(t.Context(), w.namespace, pod.Name))
		}
		w.mirrored(t, "cart", addresses(ready[50:]))
	})

	bothWays(t, xcc, "the slices of a Service without a selector are mirrored once they are labelled as it is", func(t *testing.T, w *way) {
		service := exported("legacy")
		service.Spec.Selector = nil
		w.create(t, service)
		w.createSlice(t, "legacy-a", nil, "10.77.0.1", "10.77.0.2")
		w.createSlice(t, "legacy-b", nil, "10.77.0.3")
		w.logged(t, "legacy", "NoEndpointsLabelled")
		w.labelSlice(t, "legacy-a")
		w.eventually(t, "legacy", []string{"10.77.0.1", "10.77.0.2"}, func(want *pointer) { w.leaveOut(want, "10.77.0.3") })
		w.labelSlice(t, "legacy-b")
		w.mirrored(t, "legacy", []string{"10.77.0.1", "10.77.0.2", "10.77.0.3"})

		slices := w.from.Clientset().DiscoveryV1().EndpointSlices(w.namespace)
		edit(t, slices, "legacy-a", func(slice *discoveryv1.EndpointSlice) {
			slice.Endpoints[0].Conditions.Ready = nil // unknown, which clients take for ready
			slice.Endpoints[1].Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
			slice.Endpoints[1].Hostname = new("draining")
		})
		w.mirrored(t, "legacy", []string{"10.77.0.1", "10.77.0.3"})
		mustBe(t, slices.Delete(t.Context(), "legacy-a", metav1.DeleteOptions{}))
		w.mirrored(t, "legacy", []string{"10.77.0.3"})
	})

	bothWays(t, xcc, "the labelled Endpoints of a Service without a selector are mirrored by way of the slices made of them", func(t *testing.T, w *way) {
		service := exported("legacy")
		service.Spec.Selector = nil
		w.create(t, service)
		_, err := w.from.Clientset().CoreV1().Endpoints(w.namespace).Create(t.Context(), &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Name: "legacy", Labels: service.Labels},
			Subsets: []corev1.EndpointSubset{{
				Addresses:         []corev1.EndpointAddress{{IP: "10.77.1.1"}},
				NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.77.1.2"}},
				Ports:             []corev1.EndpointPort{{Name: "http", Port: 8080}},
			}},
		}, metav1.CreateOptions{})
		mustBe(t, err)
		w.mirrored(t, "legacy", []string{"10.77.1.1"})
	})

	bothWays(t, xcc, "a labelled slice of a Service that is not labelled exports nothing", func(t *testing.T, w *way) {
		service := exported("legacy")
		service.Labels, service.Spec.Selector = nil, nil
		w.create(t, service)
		w.createSlice(t, "legacy-a", map[string]string{"fair.com/cross-cluster": "true"}, "10.77.2.1")
		w.fence(t)
		w.absent(t, "legacy")
	})
}

// haveSizes is the condition that the slices have so many endpoints, in any order.
func haveSizes(sizes ...int) func(pointer) error {
	return func(found pointer) error {
		want, got := map[int]int{}, map[int]int{}
		for _, size := range sizes {
			want[size]++
		}
		for _, slice := range found.Slices {
			got[len(slice.Endpoints)]++
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Errorf("slices by size are %v, not %v", got, want)
		}
		return nil
	}
}

// createSlice gives the Service "legacy" in the source a slice.
func (w *way) createSlice(t *testing.T, name string, labels map[string]string, addresses ...string) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			discoveryv1.LabelServiceName: "legacy",
			discoveryv1.LabelManagedBy:   "somebody",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}},
	}
	for key, value := range labels {
		slice.Labels[key] = value
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
			NodeName:   new("node-1"),
			Zone:       new("zone-1"),
		})
	}
	_, err := w.from.Clientset().DiscoveryV1().EndpointSlices(w.namespace).Create(t.Context(), slice, metav1.CreateOptions{})
	mustBe(t, err)
}

func (w *way) labelSlice(t *testing.T, name string) {
	t.Helper()
	edit(t, w.from.Clientset().DiscoveryV1().EndpointSlices(w.namespace), name, func(slice *discoveryv1.EndpointSlice) {
		slice.Labels["fair.com/cross-cluster"] = "true"
	})
}

// leaveOut takes the slice with that address out of a pointer.
func (w *way) leaveOut(p *pointer, address string) {
	var rest []discoveryv1.EndpointSlice
	p.Endpoints.Subsets = nil
	for _, slice := range p.Slices {
		if slice.Endpoints[0].Addresses[0] != address {
			rest = append(rest, slice)
			p.Endpoints.Subsets = addToSubsets(p.Endpoints.Subsets, slice)
		}
	}
	p.Slices = rest
}
