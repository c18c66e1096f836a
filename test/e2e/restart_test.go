package e2e

import (
	"fmt"
	"maps"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

func TestRestart(t *testing.T) {
	t.Run("what changed while xcc was down is mirrored when it is up again", func(t *testing.T) {
		t.Parallel()
		ways := newWays(t)
		names := []string{"scaled", "edited", "deleted", "unlabelled", "reshaped", "damaged", "untouched"}
		pods := map[*way]map[string][]corev1.Pod{}
		xcc := startDaemon(t, only(ways)...)
		for _, w := range ways {
			w.xcc, pods[w] = xcc, map[string][]corev1.Pod{}
			for _, name := range names {
				pods[w][name] = w.serving(t, name, 2)
			}
		}
		terminate(t, xcc)

		for _, w := range ways {
			pods[w]["scaled"] = append(pods[w]["scaled"], w.run(t, "scaled", 2, 3)...)
			w.edit(t, "edited", func(service *corev1.Service) { service.Spec.Ports[0].Name = "web" })
			w.delete(t, "deleted")
			w.label(t, "unlabelled", "")
			w.delete(t, "reshaped")
			w.create(t, headless(exported("reshaped")))
			damaged, err := find(t.Context(), w.into, w.namespace, "damaged")
			mustBe(t, err)
			edit(t, w.into.Clientset().DiscoveryV1().EndpointSlices(w.namespace), damaged.Slices[0].Name,
				func(slice *discoveryv1.EndpointSlice) { slice.Endpoints[0].Addresses[0] = "10.66.6.6" })
			mustBe(t, w.into.Clientset().CoreV1().Endpoints(w.namespace).Delete(t.Context(), "damaged", metav1.DeleteOptions{}))
			w.create(t, exported("created"))
			pods[w]["created"] = w.run(t, "created", 0, 2)
		}

		xcc = startDaemon(t, only(ways)...)
		for _, w := range ways {
			w.xcc = xcc
			for _, name := range []string{"scaled", "edited", "reshaped", "damaged", "untouched", "created"} {
				w.mirrored(t, name, addresses(pods[w][name]))
			}
			w.gone(t, "deleted")
			w.gone(t, "unlabelled")
		}
	})

	t.Run("after a restart without any change nothing is written", func(t *testing.T) {
		ways := newWays(t)
		shapes := map[string]func(*corev1.Service) *corev1.Service{
			"plain":    func(service *corev1.Service) *corev1.Service { return service },
			"headless": headless,
			"affine": func(service *corev1.Service) *corev1.Service {
				service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
				return service
			},
			"outside": func(service *corev1.Service) *corev1.Service {
				service.Spec.Type = corev1.ServiceTypeLoadBalancer
				return service
			},
			"unnamed": func(service *corev1.Service) *corev1.Service {
				service.Spec.Ports = []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP}}
				return service
			},
		}
		names := maps.Keys(shapes)
		pods := map[*way]map[string][]corev1.Pod{}
		before := map[*way]map[string]pointer{}
		xcc := startDaemon(t, only(ways)...)
		for _, w := range ways {
			w.xcc, pods[w], before[w] = xcc, map[string][]corev1.Pod{}, map[string]pointer{}
			for name := range names {
				w.create(t, shapes[name](exported(name)))
				pods[w][name] = w.runWith(t, cluster.PodOptions{Name: name, Count: 2, Subdomain: name})
				before[w][name] = w.mirrored(t, name, addresses(pods[w][name]))
			}
		}
		terminate(t, xcc)

		here := mark(t)
		// It ends when it has looked at every Service.
		if code, log := runXCC(t, nil, syncArguments(t, eastAccess, westAccess, only(ways, "--once")...)...); code != 0 {
			t.Fatalf("xcc exited with %d:\n%s", code, log)
		}
		xcc = startDaemon(t, only(ways)...)
		for _, w := range ways {
			w.xcc = xcc
			w.fence(t)
			for name := range names {
				after, err := find(t.Context(), w.into, w.namespace, name)
				mustBe(t, err)
				if diff := gocmp.Diff(before[w][name], after); diff != "" {
					t.Errorf("%s is not what it was (-before +after):\n%s", name, diff)
				}
			}
		}
		for _, w := range ways {
			// The fence is all that is written, in that namespace and anywhere.
			want := []string{"create services", "create endpointslices", "create endpoints"}
			here.wantWrites(t, w.into, w.namespace, want...)
			if diff := gocmp.Diff(want, here.writesAnywhere(t, w.into)); diff != "" {
				t.Errorf("%s: writes of xcc (-want +got):\n%s", w.into.Name, diff)
			}
		}

		// A change of each Service is sure to come after all that the start made of it.
		here = mark(t)
		for _, w := range ways {
			var want []string
			for name := range names {
				mustBe(t, w.from.SetReady(t.Context(), w.namespace, fmt.Sprintf("%s-0", name), false))
				w.mirrored(t, name, addresses(pods[w][name][1:]))
				want = append(want, "update endpointslices", "update endpoints")
			}
			here.wantRequests(t, w.into, w.namespace, want...)
			here.wantRequests(t, w.from, w.namespace)
		}
	})
}
