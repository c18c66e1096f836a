package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netutils "k8s.io/utils/net"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// TestFamilies has two dual-stack clusters of its own, with pods that none of the others has: addresses of two clusters are
// refused. Those of the other tests have IPv4 alone.
func TestFamilies(t *testing.T) {
	north, south, err := cluster.StartPair(t.Context(),
		cluster.Options{Name: "north", Number: 3, DualStack: true}, cluster.Options{Name: "south", Number: 4, DualStack: true})
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, errors.Join(north.Stop(context.Background()), south.Stop(context.Background()))) })
	access := map[*cluster.Cluster]cluster.Access{east: eastAccess}
	for _, c := range []*cluster.Cluster{north, south} {
		access[c], err = daemon.Grant(t.Context(), c, least, isMarksPolicy)
		mustBe(t, err)
	}

	t.Run("between dual-stack clusters a pointer has the families of its Service", func(t *testing.T) {
		t.Parallel()
		one, other := newWay(t, north, south), newWay(t, south, north)
		xcc := startDaemonWith(t, access[north], access[south], only([]*way{one, other})...)
		eachWay(t, xcc, []*way{one, other}, func(t *testing.T, w *way) {
			dual := dualStack(exported("cart"))
			w.create(t, dual)
			w.mirrored(t, "cart", addressesOf(w.run(t, "cart", 0, 2), corev1.IPv4Protocol, corev1.IPv6Protocol))
			w.create(t, headless(dualStack(exported("peers"))))
			w.mirrored(t, "peers", addressesOf(w.run(t, "peers", 0, 2), corev1.IPv4Protocol, corev1.IPv6Protocol))

			w.create(t, ipv6Only(exported("till")))
			pods := w.run(t, "till", 0, 2)
			before := w.mirrored(t, "till", addressesOf(pods, corev1.IPv6Protocol))
			w.edit(t, "till", func(service *corev1.Service) { dualStack(service) })
			after := w.mirrored(t, "till", addressesOf(pods, corev1.IPv6Protocol, corev1.IPv4Protocol))
			if before.Service.UID != after.Service.UID || before.Service.Spec.ClusterIP != after.Service.Spec.ClusterIP {
				t.Error("it was made anew to get one more family")
			}
		})
	})

	t.Run("a Service without a family of the target is refused until it has one", func(t *testing.T) {
		t.Parallel()
		w := newWay(t, north, east)
		w.xcc = startDaemonWith(t, access[north], access[east], only([]*way{w})...)
		w.create(t, ipv6Only(exported("cart")))
		pods := w.run(t, "cart", 0, 2)
		w.logged(t, "cart", "NoSharedIPFamily")
		w.absent(t, "cart")
		w.edit(t, "cart", func(service *corev1.Service) { dualStack(service) })
		want := addressesOf(pods, corev1.IPv4Protocol)
		mustBe(t, cluster.Eventually(t.Context(), "the pointer has IPv4", func(ctx context.Context) error {
			got, err := find(ctx, w.into, w.namespace, "cart")
			if err != nil {
				return err
			}
			if got.Service == nil || !slices.Equal(got.Service.Spec.IPFamilies, []corev1.IPFamily{corev1.IPv4Protocol}) {
				return fmt.Errorf("the Service is %v", got.Service)
			}
			if diff := gocmp.Diff(want, endpointAddresses(got.Endpoints)); diff != "" {
				return fmt.Errorf("in the Endpoints (-want +got):\n%s", diff)
			}
			return equal(want, got.readyAddresses())
		}))
	})
}

// newWay is a direction between clusters of which one is not shared.
func newWay(t *testing.T, from, into *cluster.Cluster) *way {
	t.Helper()
	system, err := from.Clientset().CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	mustBe(t, err)
	w := &way{from: from, into: into, origin: origin{cluster: system.UID, name: from.Name},
		namespace: fmt.Sprintf("test-%d-from-%s", lastNamespace.Add(1), from.Name)}
	mustBe(t, from.CreateNamespace(t.Context(), w.namespace, nil))
	mustBe(t, into.CreateNamespace(t.Context(), w.namespace, nil))
	return w
}

func dualStack(service *corev1.Service) *corev1.Service {
	service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	return service
}

func ipv6Only(service *corev1.Service) *corev1.Service {
	service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	return service
}

// addressesOf are the sorted addresses of pods that are of those families.
func addressesOf(pods []corev1.Pod, families ...corev1.IPFamily) []string {
	all := []string{}
	for _, pod := range pods {
		for _, ip := range pod.Status.PodIPs {
			family := corev1.IPv4Protocol
			if netutils.IsIPv6String(ip.IP) {
				family = corev1.IPv6Protocol
			}
			if slices.Contains(families, family) {
				all = append(all, ip.IP)
			}
		}
	}
	slices.Sort(all)
	return all
}

// endpointAddresses are the sorted ready addresses of Endpoints.
func endpointAddresses(endpoints *corev1.Endpoints) []string {
	all := []string{}
	if endpoints == nil {
		return all
	}
	for _, subset := range endpoints.Subsets {
		for _, address := range subset.Addresses {
			all = append(all, address.IP)
		}
	}
	slices.Sort(all)
	return all
}
