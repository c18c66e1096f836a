package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"xcc/test/cluster"
)

func (p *admissionPair) admitsControllers(t *testing.T) {
	t.Run("Kubernetes makes endpoints for a pointer that was given a selector, and xcc may undo it", func(t *testing.T) {
		s := p.newScene(t)
		services := s.tenant.CoreV1().Services(s.namespace)
		mustBe(t, try(t.Context(), services, "ours", selecting("theirs")))
		var native discoveryv1.EndpointSlice
		mustBe(t, cluster.Eventually(t.Context(), "Kubernetes acts on the selector", func(ctx context.Context) error {
			all, err := find(ctx, p.south, s.namespace, "ours")
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all.Slices, func(slice discoveryv1.EndpointSlice) bool {
				return slice.Labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
			})
			if i < 0 || len(all.Slices[i].Endpoints) == 0 {
				return errors.New("there is no slice of it")
			}
			native = all.Slices[i]
			if endpoints := all.Endpoints; len(endpoints.Subsets) != 1 || endpoints.Subsets[0].Addresses[0].IP != native.Endpoints[0].Addresses[0] {
				return errors.New("the Endpoints are as xcc made them")
			}
			return nil
		}))
		if native.Labels["fair.com/cross-cluster"] != "follower" || native.Annotations["fair.com/origin-uid"] != "" {
			t.Errorf("Kubernetes has not copied the labels only: %v %v", native.Labels, native.Annotations)
		}
		mustBe(t, try(t.Context(), s.xcc.CoreV1().Services(s.namespace), "ours", func(s *corev1.Service) { s.Spec.Selector = nil }))
		mustBe(t, s.xcc.DiscoveryV1().EndpointSlices(s.namespace).Delete(t.Context(), native.Name, metav1.DeleteOptions{}))
		mustBe(t, try(t.Context(), s.xcc.CoreV1().Endpoints(s.namespace), "ours", func(e *corev1.Endpoints) {
			*e = *markedEndpoints("ours")
		}))
	})

	t.Run("Kubernetes mirrors Endpoints with all of their marks to slices", func(t *testing.T) {
		s := p.newScene(t)
		mustBe(t, creating(markedService("mirrored"))(t.Context(), s.xcc, s.namespace))
		mustBe(t, creating(markedEndpoints("mirrored", func(e *corev1.Endpoints) {
			delete(e.Labels, "endpointslice.kubernetes.io/skip-mirror")
		}))(t.Context(), s.xcc, s.namespace))
		mustBe(t, cluster.Eventually(t.Context(), "Kubernetes mirrors the Endpoints", func(ctx context.Context) error {
			all, err := find(ctx, p.south, s.namespace, "mirrored")
			if err != nil {
				return err
			}
			if len(all.Slices) != 1 || all.Slices[0].Annotations["fair.com/origin-uid"] == "" {
				return fmt.Errorf("%d slices, or without the marks", len(all.Slices))
			}
			return nil
		}))
	})
}

func (p *admissionPair) boundsJoins(t *testing.T) {
	s := p.newScene(t)
	// The policy learns of the Services in the order in which they are changed: the one that admits something comes last.
	for _, ask := range []struct{ name, mode string }{{"bare", "join"}, {"exported", "jion"}, {"theirs", "failover"}} {
		mustBe(t, try(t.Context(), s.tenant.CoreV1().Services(s.namespace), ask.name, func(service *corev1.Service) {
			service.Annotations = map[string]string{modeAnnotation: ask.mode}
		}))
	}
	mustBe(t, cluster.Eventually(t.Context(), "xcc may add a slice", func(ctx context.Context) error {
		return creating(markedSlice("theirs"))(ctx, s.xcc, s.namespace)
	}))
	s.denied(t, "xcc may not ", s.xcc, "xcc-identity", []attempt{
		{"add a slice to a Service with an unknown mode", creating(markedSlice("exported"))},
		{"add a slice to a Service without a selector", creating(markedSlice("bare"))},
		{"create Endpoints of a Service that is to be joined", creating(markedEndpoints("bare"))},
		{"overwrite Endpoints of a Service that is to be joined", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			_, err := client.CoreV1().Endpoints(namespace).Update(ctx, markedEndpoints("theirs"), metav1.UpdateOptions{})
			return err
		}},
		{"edit a Service that is to be joined", changing("theirs", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })},
		{"edit a slice that Kubernetes made", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), s.theirSlice, func(slice *discoveryv1.EndpointSlice) { slice.Endpoints = nil })
		}},
	})
}

func (p *admissionPair) admitsTheDaemon(t *testing.T) {
	xcc := startDaemonWith(t, p.access[p.north], p.access[p.south])
	ways := []*way{p.way(t, "from-north", p.north, p.south), p.way(t, "from-south", p.south, p.north)}
	t.Run("it makes, changes, repairs and removes pointers, and is denied nothing", func(t *testing.T) {
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			services := w.into.Clientset().CoreV1().Services(w.namespace)
			pods := w.serving(t, "cart", 2)
			mustBe(t, w.from.SetReady(t.Context(), w.namespace, pods[0].Name, false))
			w.mirrored(t, "cart", addresses(pods[1:]))
			edit(t, services, "cart", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
			w.mirrored(t, "cart", addresses(pods[1:]))
			w.create(t, headless(exported("db")))
			w.mirrored(t, "db", []string{})
			edit(t, services, "cart", selecting("cart"))
			mustBe(t, cluster.Eventually(t.Context(), "the pointer has no selector", func(ctx context.Context) error {
				service, err := services.Get(ctx, "cart", metav1.GetOptions{})
				if err == nil && len(service.Spec.Selector) > 0 {
					err = errors.New("it has")
				}
				return err
			}))
			for _, name := range []string{"cart", "db"} {
				w.delete(t, name)
				w.gone(t, name)
			}
			if denied := w.logLines("", "denied request"); len(denied) > 0 {
				t.Errorf("xcc was denied:\n%s", strings.Join(denied, "\n"))
			}
		})
	})
	t.Run("a pointer that somebody deletes comes back", func(t *testing.T) {
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			pods := w.serving(t, "shop", 2)
			mustBe(t, w.into.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), "shop", metav1.DeleteOptions{}))
			w.mirrored(t, "shop", addresses(pods))
		})
	})
}
