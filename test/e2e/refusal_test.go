package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

func TestRefusals(t *testing.T) {
	xcc := startDaemon(t)

	bothWays(t, xcc, "an ExternalName Service gets no pointer, and the log says once why", func(t *testing.T, w *way) {
		service := exported("alias")
		service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		w.create(t, service)
		w.logged(t, "alias", "ExternalName")
		w.edit(t, "alias", func(service *corev1.Service) { service.Annotations = map[string]string{"edited": "true"} })
		w.fence(t)
		w.loggedOnce(t, "alias", "ExternalName")
		w.absent(t, "alias")
		w.edit(t, "alias", func(service *corev1.Service) { service.Spec = exported("alias").Spec })
		w.mirrored(t, "alias", addresses(w.run(t, "alias", 0, 1)))
		w.edit(t, "alias", func(service *corev1.Service) {
			service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		})
		w.gone(t, "alias")
	})

	bothWays(t, xcc, "a Service that the target has already stays as it is to the byte, until it is deleted", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Labels = map[string]string{"app": "cart"}
		createService(t, w.into, w.namespace, service)
		native, err := w.into.RunPods(t.Context(), cluster.PodOptions{
			Namespace: w.namespace, Name: "cart", Count: 1, Labels: service.Spec.Selector,
		})
		mustBe(t, err)
		before := settled(t, w.into, w.namespace, "cart", native)

		w.create(t, exported("cart"))
		pods := w.run(t, "cart", 0, 2)
		w.logged(t, "cart", "Conflict")
		w.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports[0].Port = 8080 })
		w.label(t, "cart", "")
		w.fence(t)
		w.label(t, "cart", "true")
		w.fence(t)
		unchanged(t, w.into, before)

		mustBe(t, w.into.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		w.mirrored(t, "cart", addresses(pods))
	})

	bothWays(t, xcc, "Endpoints without a Service that the target has already stay as they are, until they are deleted", func(t *testing.T, w *way) {
		endpoints := w.into.Clientset().CoreV1().Endpoints(w.namespace)
		_, err := endpoints.Create(t.Context(), &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Name: "cart"},
			Subsets: []corev1.EndpointSubset{{
				Addresses: []corev1.EndpointAddress{{IP: "10.77.3.1"}},
				Ports:     []corev1.EndpointPort{{Name: "http", Port: 80}},
			}},
		}, metav1.CreateOptions{})
		mustBe(t, err)
		before, err := find(t.Context(), w.into, w.namespace, "cart")
		mustBe(t, err)

		w.create(t, exported("cart"))
		pods := w.run(t, "cart", 0, 2)
		w.logged(t, "cart", "Conflict")
		w.fence(t)
		w.delete(t, "cart")
		w.fence(t)
		w.create(t, exported("cart"))
		w.fence(t)
		after, err := find(t.Context(), w.into, w.namespace, "cart")
		mustBe(t, err)
		if diff := gocmp.Diff(before, after); diff != "" {
			t.Errorf("what was there has changed (-before +after):\n%s", diff)
		}

		mustBe(t, endpoints.Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		w.mirrored(t, "cart", addresses(pods))
	})

	t.Run("a name that both clusters export is left alone in both, until one of them no longer has it", func(t *testing.T) {
		t.Parallel()
		ways := newWays(t)
		one, other := ways[0], &way{from: ways[0].into, into: ways[0].from, namespace: ways[0].namespace, origin: ways[1].origin, xcc: xcc}
		one.xcc = xcc
		native := map[*way][]corev1.Pod{}
		for _, w := range []*way{one, other} {
			native[w] = w.run(t, "cart", 0, 2)
			service := exported("cart")
			service.Labels = nil
			w.create(t, service)
		}
		for _, w := range []*way{one, other} {
			w.label(t, "cart", "true")
		}
		one.logged(t, "cart", "ExportedByBoth")
		other.logged(t, "cart", "ExportedByBoth")
		for _, w := range []*way{one, other} {
			before := settled(t, w.from, w.namespace, "cart", native[w])
			w.edit(t, "cart", func(service *corev1.Service) { service.Annotations = map[string]string{"edited": "true"} })
			one.fence(t)
			other.fence(t)
			after, err := find(t.Context(), w.from, w.namespace, "cart")
			mustBe(t, err)
			// All but the edit is as before.
			before.Service.Annotations = after.Service.Annotations
			before.Service.ResourceVersion, before.Service.ManagedFields = after.Service.ResourceVersion, after.Service.ManagedFields
			if diff := gocmp.Diff(before, after); diff != "" {
				t.Errorf("%s: what was exported has changed (-before +after):\n%s", w.from.Name, diff)
			}
		}
		other.delete(t, "cart")
		one.mirrored(t, "cart", addresses(native[one]))
	})

	bothWays(t, xcc, "a namespace that the target opts out has no pointers, until it opts in again", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 2)
		namespaces := w.into.Clientset().CoreV1().Namespaces()
		edit(t, namespaces, w.namespace, func(namespace *corev1.Namespace) { namespace.Labels["fair.com/cross-cluster"] = "false" })
		w.logged(t, "cart", "NamespaceOptedOut")
		w.gone(t, "cart")
		edit(t, namespaces, w.namespace, func(namespace *corev1.Namespace) { delete(namespace.Labels, "fair.com/cross-cluster") })
		w.mirrored(t, "cart", addresses(pods))
	})

	t.Run("Services of Kubernetes itself are not mirrored", func(t *testing.T) {
		t.Parallel()
		for _, w := range newWays(t) {
			w.xcc, w.namespace = xcc, metav1.NamespacePublic
			name := "info-of-" + w.from.Name
			w.create(t, exported(name))
			t.Cleanup(func() {
				mustBe(t, w.from.Clientset().CoreV1().Services(w.namespace).Delete(context.Background(), name, metav1.DeleteOptions{}))
			})
			w.logged(t, name, "ReservedNamespace")
			w.absent(t, name)
		}
	})
}

func TestMissingNamespaces(t *testing.T) {
	t.Run("the pointers appear when the namespace does, as often as it does", func(t *testing.T) {
		xcc := startDaemon(t)
		ways := newWaysWithoutNamespaces()
		for _, w := range ways {
			mustBe(t, w.from.CreateNamespace(t.Context(), w.namespace, nil))
		}
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			w.create(t, exported("cart"))
			pods := w.run(t, "cart", 0, 2)
			w.logged(t, "cart", "NamespaceMissing")
			mustBe(t, w.into.CreateNamespace(t.Context(), w.namespace, nil))
			w.mirrored(t, "cart", addresses(pods))

			mustBe(t, w.into.Clientset().CoreV1().Namespaces().Delete(t.Context(), w.namespace, metav1.DeleteOptions{}))
			w.recreateNamespace(t)
			w.mirrored(t, "cart", addresses(pods))
		})
	})

	t.Run("a namespace that is being deleted gets no pointers as long as that takes", func(t *testing.T) {
		ways := newWays(t)
		xcc := startDaemon(t, only(ways)...)
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			pods := w.serving(t, "cart", 2)
			maps := w.into.Clientset().CoreV1().ConfigMaps(w.namespace)
			_, err := maps.Create(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: "stays", Finalizers: []string{"example.com/stays"}},
			}, metav1.CreateOptions{})
			mustBe(t, err)
			mustBe(t, w.into.Clientset().CoreV1().Namespaces().Delete(t.Context(), w.namespace, metav1.DeleteOptions{}))
			w.says(t, "cart", "NamespaceTerminating")
			w.create(t, exported("till"))
			w.logged(t, "till", "NamespaceTerminating")
			w.gone(t, "cart") // Kubernetes does that
			w.absent(t, "till")
			edit(t, maps, "stays", func(stays *corev1.ConfigMap) { stays.Finalizers = nil })
			w.recreateNamespace(t)
			w.mirrored(t, "cart", addresses(pods))
			w.mirrored(t, "till", []string{})
		})
	})

	t.Run("with --create-namespaces they are created where the token may do that", func(t *testing.T) {
		grantNamespaces(t)
		ways := newWaysWithoutNamespaces()
		xcc := startDaemon(t, only(ways, "--create-namespaces")...)
		for _, w := range ways {
			mustBe(t, w.from.CreateNamespace(t.Context(), w.namespace, nil))
		}
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			pods := w.serving(t, "cart", 2)
			namespace, err := w.into.Clientset().CoreV1().Namespaces().Get(t.Context(), w.namespace, metav1.GetOptions{})
			mustBe(t, err)
			if len(namespace.Annotations) > 0 || len(namespace.Labels) > 1 {
				t.Errorf("the namespace has more than a name: %v %v", namespace.Labels, namespace.Annotations)
			}
			w.mirrored(t, "cart", addresses(pods))
		})
	})
}

// recreateNamespace makes the namespace in the target anew, once it is gone.
func (w *way) recreateNamespace(t *testing.T) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "the namespace is gone", func(ctx context.Context) error {
		if _, err := w.into.Clientset().CoreV1().Namespaces().Get(ctx, w.namespace, metav1.GetOptions{}); err == nil {
			return errors.New("it is there")
		}
		return nil
	}))
	mustBe(t, w.into.CreateNamespace(t.Context(), w.namespace, nil))
}

// settled waits until Kubernetes has made everything for a Service with those pods, and gives all of it.
func settled(t *testing.T, c *cluster.Cluster, namespace, name string, pods []corev1.Pod) pointer {
	t.Helper()
	var all pointer
	what := fmt.Sprintf("%s has the pods of %s/%s", c.Name, namespace, name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) (err error) {
		if all, err = find(ctx, c, namespace, name); err != nil {
			return err
		}
		if err := equal(addresses(pods), all.readyAddresses()); err != nil {
			return err
		}
		if all.Endpoints == nil || len(all.Endpoints.Subsets) != 1 || len(all.Endpoints.Subsets[0].Addresses) != len(pods) {
			return errors.New("the Endpoints are not complete")
		}
		// The label of the Service comes to them in a write of its own.
		for _, labels := range []map[string]string{all.Slices[0].Labels, all.Endpoints.Labels} {
			if labels["fair.com/cross-cluster"] != all.Service.Labels["fair.com/cross-cluster"] {
				return errors.New("the slices and Endpoints have not got the Service's label")
			}
		}
		return nil
	}))
	return all
}

// unchanged fails unless all under a name is what it was, resourceVersions and all.
func unchanged(t *testing.T, c *cluster.Cluster, before pointer) {
	t.Helper()
	after, err := find(t.Context(), c, before.Service.Namespace, before.Service.Name)
	mustBe(t, err)
	if diff := gocmp.Diff(before, after); diff != "" {
		t.Errorf("%s: what was there has changed (-before +after):\n%s", c.Name, diff)
	}
}
