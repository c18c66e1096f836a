package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/test/cluster"
)

func TestCost(t *testing.T) {
	xcc := startDaemon(t)
	podChange := []string{"update endpointslices", "update endpoints"}

	bothWays(t, xcc, "a change of a pod costs one write of a slice, one of the Endpoints, and no read", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 3)
		here := mark(t)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", false))
		w.mirrored(t, "cart", addresses([]corev1.Pod{pods[0], pods[2]}))
		here.wantRequests(t, w.into, w.namespace, podChange...)
		here.wantRequests(t, w.from, w.namespace)

		here = mark(t)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", true))
		w.mirrored(t, "cart", addresses(pods))
		here.wantRequests(t, w.into, w.namespace, podChange...)
		here.wantRequests(t, w.from, w.namespace)

		here = mark(t)
		pods = append(pods, w.run(t, "cart", 3, 1)...)
		w.mirrored(t, "cart", addresses(pods))
		here.wantRequests(t, w.into, w.namespace, podChange...)
		here.wantRequests(t, w.from, w.namespace)

		here = mark(t)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", false))
		w.mirrored(t, "cart", addresses([]corev1.Pod{pods[0], pods[2], pods[3]}))
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-2", false))
		w.mirrored(t, "cart", addresses([]corev1.Pod{pods[0], pods[3]}))
		// Had the first of the two cost more, it would show before the second.
		here.wantRequests(t, w.into, w.namespace, append(podChange, podChange...)...)
		here.wantRequests(t, w.from, w.namespace)
	})

	bothWays(t, xcc, "a pointer costs three writes, and a look before its name is taken", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Labels = nil
		w.create(t, service)
		pods := w.run(t, "cart", 0, 3)
		settled(t, w.from, w.namespace, "cart", pods)
		here := mark(t)
		w.label(t, "cart", "true")
		w.mirrored(t, "cart", addresses(pods))
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", false))
		w.mirrored(t, "cart", addresses([]corev1.Pod{pods[0], pods[2]}))
		here.wantRequests(t, w.into, w.namespace, append([]string{
			"get endpoints", "create services", "create endpointslices", "create endpoints"}, podChange...)...)
		here.wantRequests(t, w.from, w.namespace)
	})

	bothWays(t, xcc, "a change of the Service alone costs one write", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 2)
		here := mark(t)
		w.edit(t, "cart", func(service *corev1.Service) { service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
		w.mirrored(t, "cart", addresses(pods))
		w.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports[0].Port = 8080 })
		w.mirrored(t, "cart", addresses(pods))
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", false))
		w.mirrored(t, "cart", addresses(pods[1:]))
		// The Service's port is not that of the pods, which its target port follows.
		here.wantRequests(t, w.into, w.namespace, append([]string{"update services", "update services"}, podChange...)...)
		here.wantRequests(t, w.from, w.namespace)
	})

	bothWays(t, xcc, "what is not mirrored costs nothing when it is edited", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Spec.Ports[0].TargetPort = intstr.FromString("web")
		w.create(t, service)
		pods := w.runWith(t, cluster.PodOptions{Name: "cart", Count: 2, Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}})
		w.mirrored(t, "cart", addresses(pods))
		here := mark(t)
		for _, change := range []func(*corev1.Service){
			func(s *corev1.Service) { s.Annotations = map[string]string{"note": "edited"} },
			func(s *corev1.Service) { s.Finalizers = []string{"example.com/not-yet"} },
			func(s *corev1.Service) { s.Finalizers = nil },
			func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(8080) },
			func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer },
			func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal },
			func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.7"} },
			func(s *corev1.Service) {
				s.Spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameNode)
			},
			func(s *corev1.Service) { s.Labels["team"] = "shop" },
		} {
			w.edit(t, "cart", change)
		}
		// A pod that never had an address is none of the Service's endpoints.
		_, err := w.from.Clientset().CoreV1().Pods(w.namespace).Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "pending", Labels: map[string]string{"app": "cart"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		}, metav1.CreateOptions{})
		mustBe(t, err)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", false))
		w.mirrored(t, "cart", addresses(pods[1:]))
		here.wantRequests(t, w.into, w.namespace, podChange...)
		here.wantRequests(t, w.from, w.namespace)
	})
}
