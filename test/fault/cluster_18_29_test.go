package fault

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

func TestRollingRestarts(t *testing.T) {
	t.Run("18 API servers that restart and send clients away cost no pointer anything", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		r.a.export(t, exported("cart"), r.a.address(1))
		r.b.export(t, exported("till"), r.b.address(1))
		r.runWith(t, r.a.access, r.b.access)
		cart, till := r.a.mirrored(t, "cart", r.a.address(1)), r.b.mirrored(t, "till", r.b.address(1))
		markA, markB := r.a.mark(t), r.b.mark(t)
		for i := range 3 {
			for _, s := range []*side{r.a, r.b} {
				if i%2 == 0 {
					mustBe(t, s.APIServer.Kill())
				} else {
					mustBe(t, s.APIServer.Stop(t.Context()))
				}
				mustBe(t, s.APIServer.Start(t.Context(), "--goaway-chance=0.02"))
			}
			r.a.fence(t)
			r.b.fence(t)
		}
		// Enough requests that some of them are answered with GOAWAY.
		r.a.exportMany(t, "many", 40)
		r.a.fence(t)
		r.a.lostNothing(t, markA)
		r.b.lostNothing(t, markB)
		for _, pointer := range []struct {
			from *side
			was  *corev1.Service
		}{{r.a, cart}, {r.b, till}} {
			now := pointer.from.mirrored(t, pointer.was.Name, pointer.from.address(1))
			if diff := gocmp.Diff(pointer.was, now); diff != "" {
				t.Errorf("the pointer of %s has changed (-was +is):\n%s", now.Name, diff)
			}
		}
	})

	t.Run("22 a name that both exported gets its pointer when Kubernetes has collected the other Service's slices", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		native := exported("cart")
		native.Spec.Selector = map[string]string{"app": "cart"}
		_, err := r.b.Clientset().CoreV1().Services(r.namespace).Create(t.Context(), native, metav1.CreateOptions{})
		mustBe(t, err)
		mustBe(t, cluster.Eventually(t.Context(), "Kubernetes has made the slices of the Service", func(ctx context.Context) error {
			list, err := r.b.Clientset().DiscoveryV1().EndpointSlices(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "fair.com/cross-cluster=true"})
			if err == nil && len(list.Items) == 0 {
				err = errors.New("there is none")
			}
			return err
		}))
		r.a.export(t, exported("cart"), r.a.address(1))
		r.run(t)
		r.logged(t, "level=warning", "from="+r.a.Name, r.namespace+"/cart", "ExportedByBoth")
		resume := sync.OnceValue(r.b.ControllerManager.Resume)
		mustBe(t, r.b.ControllerManager.Pause())
		defer resume()
		mustBe(t, r.b.Clientset().CoreV1().Services(r.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		mark := r.b.mark(t)
		r.restart(t)
		r.a.fence(t)
		if created := r.b.count(t, mark, "create", "services"); created != 1 {
			t.Errorf("%d Services were created, and not the fence alone", created)
		}
		mustBe(t, resume())
		r.a.mirrored(t, "cart", r.a.address(1))
	})

	t.Run("29 a Service that lost its label is withdrawn while its slices still have it", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		service := exported("cart")
		service.Spec.Selector = map[string]string{"app": "cart"}
		_, err := r.a.Clientset().CoreV1().Services(r.namespace).Create(t.Context(), service, metav1.CreateOptions{})
		mustBe(t, err)
		pods, err := r.a.RunPods(t.Context(), cluster.PodOptions{Namespace: r.namespace, Name: "cart", Count: 1, Labels: service.Spec.Selector})
		mustBe(t, err)
		r.run(t)
		r.a.mirrored(t, "cart", pods[0].Status.PodIP)
		mustBe(t, r.a.ControllerManager.Pause())
		defer func() { mustBe(t, r.a.ControllerManager.Resume()) }()
		r.a.label(t, "cart", "")
		r.a.gone(t, "cart")
		mark := r.b.mark(t)
		r.restart(t)
		r.a.fence(t)
		if created := r.b.count(t, mark, "create", "services"); created != 1 {
			t.Errorf("%d Services were created, and not the fence alone", created)
		}
	})
}

// overlapping is an address that is a pod in both clusters.
var overlapping = netip.MustParseAddr("10.77.0.1")

func TestWrongAddresses(t *testing.T) {
	t.Run("26 addresses that are no pods of the source are left out, and the others arrive", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.run(t, "--allow-cidr-a", "10.1.0.0/16", "--allow-cidr-a", "168.63.0.0/16", "--allow-cidr-a", "100.64.0.0/10", "--allow-cidr-a", "10.102.0.0/16")
		r.a.export(t, exported("cart"), r.a.address(1),
			"168.63.129.16", "100.100.100.200", // metadata of clouds
			"10.102.0.1",  // the other API server, as a Service there
			"192.168.2.1", // a node there
			"10.2.0.7",    // a pod there
		)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.logged(t, "level=warning", r.namespace+"/cart", "AddressDenied", "5 of 6")
	})

	t.Run("27 an address that both export is refused as long as both do", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		exempt.Store(r.namespace, "a pointer is emptied of an address that is ready, and that is refused")
		r.run(t)
		for _, s := range []*side{r.a, r.b} {
			service := exported("of-" + s.Name)
			service.Spec.Selector = map[string]string{"app": service.Name}
			_, err := s.Clientset().CoreV1().Services(r.namespace).Create(t.Context(), service, metav1.CreateOptions{})
			mustBe(t, err)
			_, err = s.RunPods(t.Context(), cluster.PodOptions{Namespace: r.namespace, Name: "same", Count: 1,
				FirstIP: overlapping, Labels: service.Spec.Selector})
			mustBe(t, err)
		}
		for _, s := range []*side{r.a, r.b} {
			s.mirrored(t, "of-"+s.Name)
			r.logged(t, "level=warning", "from="+s.Name, "AddressDenied")
		}
		mustBe(t, r.b.DeletePod(t.Context(), r.namespace, "same-0"))
		r.a.mirrored(t, "of-"+r.a.Name, overlapping.String())
	})

	t.Run("28 a Service that was deleted and made anew unseen is told from the one before", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.a.export(t, exported("cart"), r.a.address(1))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		for _, next := range []*corev1.Service{headless(exported("cart")), exported("cart"), exported("cart")} {
			r.a.Cut()
			r.a.remove(t, "cart")
			r.a.export(t, next, r.a.address(2))
			r.a.Mend()
			r.a.mirrored(t, "cart", r.a.address(2)) // with the new origin-uid, and headless or not
		}
	})

	t.Run("33 an address with leading zeros, as an old cluster has kept it, arrives as what it always meant", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.run(t)
		client, err := r.a.Etcd.Client()
		mustBe(t, err)
		defer client.Close()
		slice := discoveryv1.EndpointSlice{
			TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
			ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "cart", UID: "0b0e1c5e-0000-4000-8000-000000000033", Labels: map[string]string{
				"fair.com/cross-cluster": "true", discoveryv1.LabelServiceName: "cart", discoveryv1.LabelManagedBy: "test",
			}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   endpointsOf([]string{"10.001.200.009"}),
			Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
		}
		content, err := json.Marshal(slice)
		mustBe(t, err)
		_, err = client.Put(t.Context(), "/registry/endpointslices/"+r.namespace+"/cart", string(content))
		mustBe(t, err)
		_, err = r.a.Clientset().CoreV1().Services(r.namespace).Create(t.Context(), exported("cart"), metav1.CreateOptions{})
		mustBe(t, err)
		r.a.mirrored(t, "cart", "10.1.200.9")
	})
}
