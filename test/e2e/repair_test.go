package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/test/cluster"
)

func TestRepairs(t *testing.T) {
	xcc := startDaemon(t)
	onService := func(change func(*corev1.Service)) func(*testing.T, *way, pointer) {
		return func(t *testing.T, w *way, _ pointer) {
			edit(t, w.into.Clientset().CoreV1().Services(w.namespace), "cart", change)
		}
	}
	onSlice := func(change func(*discoveryv1.EndpointSlice)) func(*testing.T, *way, pointer) {
		return func(t *testing.T, w *way, found pointer) {
			edit(t, w.into.Clientset().DiscoveryV1().EndpointSlices(w.namespace), found.Slices[0].Name, change)
		}
	}
	onEndpoints := func(change func(*corev1.Endpoints)) func(*testing.T, *way, pointer) {
		return func(t *testing.T, w *way, _ pointer) {
			edit(t, w.into.Clientset().CoreV1().Endpoints(w.namespace), "cart", change)
		}
	}
	for _, test := range []struct {
		sentence string
		damage   func(t *testing.T, w *way, found pointer)
	}{
		{"its ports are edited", onService(func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })},
		{"a port is added to it", onService(func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "more", Port: 81})
		})},
		{"it becomes a NodePort Service", onService(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort })},
		{"it becomes a LoadBalancer", onService(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })},
		{"it becomes an ExternalName", onService(func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		})},
		{"it gets external IPs", onService(func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.7"} })},
		{"it gets session affinity", onService(func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })},
		{"its internal traffic stays on the node", onService(func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		})},
		{"it publishes addresses that are not ready", onService(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true })},
		{"it gets a finalizer", onService(func(s *corev1.Service) { s.Finalizers = []string{"example.com/not-yet"} })},
		{"its origin's Service is edited", onService(func(s *corev1.Service) { s.Annotations["fair.com/origin-uid"] = "another" })},
		{"its origin's name is deleted", onService(func(s *corev1.Service) { delete(s.Annotations, "fair.com/origin-name") })},
		{"an address is put into its slice", onSlice(func(s *discoveryv1.EndpointSlice) {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.66.6.6"}})
		})},
		{"an address of its slice is exchanged", onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "10.66.6.6" })},
		{"its slice is emptied", onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })},
		{"an endpoint of its slice moves to a node", onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].NodeName = new("node-1") })},
		{"the ports of its slice are edited", onSlice(func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = new(int32(1)) })},
		{"its slice is given to another Service", onSlice(func(s *discoveryv1.EndpointSlice) { s.Labels["kubernetes.io/service-name"] = "other" })},
		{"its slice is given to no Service", onSlice(func(s *discoveryv1.EndpointSlice) { delete(s.Labels, "kubernetes.io/service-name") })},
		{"its slice is given to another controller", onSlice(func(s *discoveryv1.EndpointSlice) {
			s.Labels["endpointslice.kubernetes.io/managed-by"] = "somebody"
		})},
		{"its slice is hidden from kube-proxy", onSlice(func(s *discoveryv1.EndpointSlice) { s.Labels["service.kubernetes.io/headless"] = "" })},
		{"its slice loses its owner", onSlice(func(s *discoveryv1.EndpointSlice) { s.OwnerReferences = nil })},
		{"an address is put into its Endpoints", onEndpoints(func(e *corev1.Endpoints) {
			e.Subsets[0].Addresses = append(e.Subsets[0].Addresses, corev1.EndpointAddress{IP: "10.66.6.6"})
		})},
		{"its Endpoints are emptied", onEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil })},
		{"its Endpoints are left to Kubernetes to mirror", onEndpoints(func(e *corev1.Endpoints) {
			delete(e.Labels, "endpointslice.kubernetes.io/skip-mirror")
		})},
		{"it is deleted", func(t *testing.T, w *way, _ pointer) {
			mustBe(t, w.into.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		}},
		{"its slice is deleted", func(t *testing.T, w *way, found pointer) {
			mustBe(t, w.into.Clientset().DiscoveryV1().EndpointSlices(w.namespace).Delete(t.Context(), found.Slices[0].Name, metav1.DeleteOptions{}))
		}},
		{"its Endpoints are deleted", func(t *testing.T, w *way, _ pointer) {
			mustBe(t, w.into.Clientset().CoreV1().Endpoints(w.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		}},
		{"all of it is deleted", func(t *testing.T, w *way, found pointer) {
			for _, slice := range found.Slices {
				mustBe(t, w.into.Clientset().DiscoveryV1().EndpointSlices(w.namespace).Delete(t.Context(), slice.Name, metav1.DeleteOptions{}))
			}
			mustBe(t, w.into.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		}},
	} {
		bothWays(t, xcc, "a pointer is as it was after "+test.sentence, func(t *testing.T, w *way) {
			pods := w.serving(t, "cart", 2)
			found := w.mirrored(t, "cart", addresses(pods))
			test.damage(t, w, found)
			w.mirrored(t, "cart", addresses(pods))
		})
	}

	bothWays(t, xcc, "labels and annotations that others put on a pointer start no war, and stay on its Service", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 2)
		others := func(meta metav1.Object) {
			labels, annotations := meta.GetLabels(), meta.GetAnnotations()
			labels["team"], annotations["note"] = "shop", "seen"
			meta.SetLabels(labels)
			meta.SetAnnotations(annotations)
		}
		found := w.mirrored(t, "cart", addresses(pods))
		here := mark(t)
		onService(func(s *corev1.Service) { others(s) })(t, w, found)
		onSlice(func(s *discoveryv1.EndpointSlice) { others(s) })(t, w, found)
		onEndpoints(func(e *corev1.Endpoints) { others(e) })(t, w, found)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", false))
		w.eventually(t, "cart", addresses(pods[1:]), func(want *pointer) { others(want.Service) })
		w.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports[0].Port = 8080 })
		w.eventually(t, "cart", addresses(pods[1:]), func(want *pointer) { others(want.Service) },
			portsLeadTo([]corev1.ServicePort{{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(80)}}))
		here.wantRequests(t, w.into, w.namespace, "update endpointslices", "update endpoints", "update services")
	})

	bothWays(t, xcc, "a pointer that somebody labels for export is not exported, nor is a copy of it", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 2)
		before := settled(t, w.from, w.namespace, "cart", pods)
		found := w.mirrored(t, "cart", addresses(pods))
		here := mark(t)
		onService(func(s *corev1.Service) { s.Labels["fair.com/cross-cluster"] = "true" })(t, w, found)
		copied := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Name: "copy", Labels: map[string]string{"fair.com/cross-cluster": "true"}, Annotations: maps.Clone(found.Service.Annotations),
		}, Spec: corev1.ServiceSpec{Ports: found.Service.Spec.Ports}}
		createService(t, w.into, w.namespace, copied)

		back := &way{from: w.into, into: w.from, namespace: w.namespace, xcc: w.xcc, origin: origin{identities[w.into], w.into.Name}}
		back.fence(t)
		back.absent(t, "copy")
		unchanged(t, w.from, before)
		// The fence is all that is written.
		here.wantWrites(t, w.from, w.namespace, "create services", "create endpointslices", "create endpoints")

		onService(func(s *corev1.Service) { s.Labels["fair.com/cross-cluster"] = "follower" })(t, w, found)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", false))
		w.mirrored(t, "cart", addresses(pods[1:]))
	})
}

// TestSelectorOnAPointer stops xcc while the damage is done, so that Kubernetes' controllers are sure to act on it.
func TestSelectorOnAPointer(t *testing.T) {
	t.Run("a pointer that was given a selector has it no more, nor the slices and addresses that Kubernetes made for it", func(t *testing.T) {
		ways := newWays(t)
		xcc := startDaemon(t, only(ways)...)
		pods := map[*way][]corev1.Pod{}
		for _, w := range ways {
			w.xcc = xcc
			pods[w] = w.serving(t, "cart", 2)
		}
		mustBe(t, xcc.Signal(syscall.SIGSTOP))
		for _, w := range ways {
			native, err := w.into.RunPods(t.Context(), cluster.PodOptions{
				Namespace: w.namespace, Name: "local", Count: 2, Labels: map[string]string{"app": "local"},
			})
			mustBe(t, err)
			edit(t, w.into.Clientset().CoreV1().Services(w.namespace), "cart", func(service *corev1.Service) {
				service.Spec.Selector = map[string]string{"app": "local"}
			})
			w.wantCaptured(t, native)
		}
		mustBe(t, xcc.Signal(syscall.SIGCONT))
		for _, w := range ways {
			w.mirrored(t, "cart", addresses(pods[w]))
		}
	})
}

// wantCaptured waits until Kubernetes has put pods of the target behind the pointer.
func (w *way) wantCaptured(t *testing.T, pods []corev1.Pod) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "Kubernetes acts on the selector in "+w.into.Name, func(ctx context.Context) error {
		got, err := find(ctx, w.into, w.namespace, "cart")
		if err != nil {
			return err
		}
		for _, address := range addresses(pods) {
			if !slices.Contains(got.readyAddresses(), address) {
				return fmt.Errorf("the slices lack %s", address)
			}
		}
		if len(got.Endpoints.Subsets) != 1 {
			return errors.New("the Endpoints are of two kinds")
		}
		var inEndpoints []string
		for _, address := range got.Endpoints.Subsets[0].Addresses {
			inEndpoints = append(inEndpoints, address.IP)
		}
		slices.Sort(inEndpoints)
		if diff := gocmp.Diff(addresses(pods), inEndpoints); diff != "" {
			return fmt.Errorf("addresses in the Endpoints (-want +got):\n%s", diff)
		}
		return nil
	}))
}
