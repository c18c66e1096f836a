package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

func TestLifeOfAService(t *testing.T) {
	xcc := startDaemon(t)

	bothWays(t, xcc, "an exported Service gets a pointer with the addresses of its pods", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		w.mirrored(t, "cart", addresses(w.run(t, "cart", 0, 3)))
	})

	bothWays(t, xcc, "of all that a Service can say only what clients notice is copied", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Labels["argocd.argoproj.io/instance"] = "shop"
		service.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
		service.Finalizers = []string{"example.com/not-yet"}
		service.OwnerReferences = []metav1.OwnerReference{w.ownerReference(t)}
		service.Spec.Type = corev1.ServiceTypeLoadBalancer
		service.Spec.Ports[0].AppProtocol = new("kubernetes.io/h2c")
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		service.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(77))}}
		service.Spec.PublishNotReadyAddresses = true
		service.Spec.ExternalIPs = []string{"203.0.113.7"}
		service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		service.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		service.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"}
		service.Spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameZone)
		w.create(t, service)
		pods := w.runWith(t, cluster.PodOptions{Name: "cart", Count: 2, NotReady: true})
		found := w.mirrored(t, "cart", addresses(pods))
		if timeout := found.Service.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds; *timeout != 77 {
			t.Errorf("the session affinity lasts %d seconds, not 77", *timeout)
		}
		w.edit(t, "cart", func(service *corev1.Service) { service.Finalizers = nil })
	})

	bothWays(t, xcc, "scaled from none to three, to none and to two", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		w.mirrored(t, "cart", []string{})
		pods := w.run(t, "cart", 0, 3)
		w.mirrored(t, "cart", addresses(pods))
		for _, pod := range pods {
			mustBe(t, w.from.DeletePod(t.Context(), w.namespace, pod.Name))
		}
		w.mirrored(t, "cart", []string{})
		w.mirrored(t, "cart", addresses(w.run(t, "cart", 3, 2)))
	})

	bothWays(t, xcc, "pods that become ready, unready and terminating are so in the pointer", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 3)
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", false))
		w.mirrored(t, "cart", addresses([]corev1.Pod{pods[0], pods[2]}))
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", true))
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", false))
		w.mirrored(t, "cart", addresses(pods[1:]))
		mustBe(t, w.from.TerminatePod(t.Context(), w.namespace, "cart-2"))
		w.mirrored(t, "cart", addresses(pods[1:2]), func(found pointer) error {
			for _, endpoint := range found.Slices[0].Endpoints {
				if *endpoint.Conditions.Terminating && *endpoint.Conditions.Serving {
					return nil
				}
			}
			return errors.New("no endpoint is serving while it terminates")
		})
		for _, pod := range pods[:2] {
			mustBe(t, w.from.SetReady(t.Context(), w.namespace, pod.Name, false))
		}
		w.mirrored(t, "cart", []string{})
		mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-0", true))
		w.mirrored(t, "cart", addresses(pods[:1]))
	})

	bothWays(t, xcc, "the label puts the pointer there and takes it away", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Labels = nil
		w.create(t, service)
		pods := w.run(t, "cart", 0, 2)
		w.fence(t)
		w.absent(t, "cart")
		w.label(t, "cart", "true")
		w.mirrored(t, "cart", addresses(pods))
		w.label(t, "cart", "")
		w.gone(t, "cart")
		w.label(t, "cart", "true")
		w.mirrored(t, "cart", addresses(pods))
		w.label(t, "cart", "false")
		w.gone(t, "cart")
	})

	bothWays(t, xcc, "a deleted Service takes its pointer along", func(t *testing.T, w *way) {
		w.serving(t, "cart", 2)
		w.delete(t, "cart")
		w.gone(t, "cart")
	})

	bothWays(t, xcc, "a Service that is deleted and made anew in another shape gets a pointer of that shape", func(t *testing.T, w *way) {
		pods := w.serving(t, "cart", 2)
		for _, next := range []*corev1.Service{headless(exported("cart")), exported("cart"), exported("cart")} {
			w.delete(t, "cart")
			uid := w.create(t, next).UID
			w.mirrored(t, "cart", addresses(pods), func(found pointer) error {
				if got := found.Service.Annotations["fair.com/origin-uid"]; got != string(uid) {
					return fmt.Errorf("the pointer is of %s, not of %s", got, uid)
				}
				return nil
			})
		}
	})

	bothWays(t, xcc, "a headless Service keeps the hostnames of its StatefulSet's pods", func(t *testing.T, w *way) {
		w.create(t, headless(exported("db")))
		pods := w.runWith(t, cluster.PodOptions{Name: "db", Count: 3, Subdomain: "db"})
		found := w.mirrored(t, "db", addresses(pods))
		var inSlices, inEndpoints []string
		for _, endpoint := range found.Slices[0].Endpoints {
			inSlices = append(inSlices, *endpoint.Hostname)
		}
		for _, address := range found.Endpoints.Subsets[0].Addresses {
			inEndpoints = append(inEndpoints, address.Hostname)
		}
		slices.Sort(inSlices)
		slices.Sort(inEndpoints)
		if want := []string{"db-0", "db-1", "db-2"}; !slices.Equal(inSlices, want) || !slices.Equal(inEndpoints, want) {
			t.Errorf("the hostnames are %v in the slices and %v in the Endpoints, not %v", inSlices, inEndpoints, want)
		}
	})

	bothWays(t, xcc, "fifty Services at once all get their pointers", func(t *testing.T, w *way) {
		for i := range 50 {
			w.create(t, exported(fmt.Sprintf("cart-%d", i)))
		}
		for i := range 50 {
			w.mirrored(t, fmt.Sprintf("cart-%d", i), []string{})
		}
	})
}

// label sets the export label of a Service; an empty value takes it away.
func (w *way) label(t *testing.T, name, value string) {
	t.Helper()
	w.edit(t, name, func(service *corev1.Service) {
		delete(service.Labels, "fair.com/cross-cluster")
		if value != "" {
			service.Labels = map[string]string{"fair.com/cross-cluster": value}
		}
	})
}

// ownerReference is one to an object that lives.
func (w *way) ownerReference(t *testing.T) metav1.OwnerReference {
	t.Helper()
	owner, err := w.from.Clientset().CoreV1().ConfigMaps(w.namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	mustBe(t, err)
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}
}
