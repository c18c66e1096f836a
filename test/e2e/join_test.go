package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// pair is both directions in one namespace, where both clusters have a Service of the same name.
type pair struct {
	one, other *way
	// pods are those of the Service cart, in the source of each direction.
	pods map[*way][]corev1.Pod
}

func (p *pair) ways() []*way { return []*way{p.one, p.other} }

// joint runs a test with a Service cart in both clusters. Both have those annotations and that many pods, and are not
// exported yet.
func joint(t *testing.T, xcc *daemon.Daemon, sentence string, annotations map[string]string, count int, test func(t *testing.T, p *pair)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		ways := newWays(t)
		one, other := ways[0], ways[1]
		other.namespace = one.namespace
		p := &pair{one: one, other: other, pods: map[*way][]corev1.Pod{}}
		for _, w := range p.ways() {
			w.xcc = xcc
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("xcc's log of this namespace:\n%s", strings.Join(w.logLines("", ""), "\n"))
				}
			})
			p.pods[w] = w.run(t, "cart", 0, count)
			service := exported("cart")
			service.Labels, service.Annotations = nil, annotations
			w.create(t, service)
			settled(t, w.from, w.namespace, "cart", p.pods[w])
		}
		test(t, p)
	})
}

const (
	modeAnnotation     = "fair.com/cross-cluster-mode"
	minReadyAnnotation = "fair.com/cross-cluster-min-ready"
)

// export exports both, and gives what each cluster then has of its own.
func (p *pair) export(t *testing.T) map[*way]pointer {
	t.Helper()
	natives := map[*way]pointer{}
	for _, w := range p.ways() {
		w.label(t, "cart", "true")
	}
	for _, w := range p.ways() {
		what := "Kubernetes has labelled what it made in " + w.from.Name
		mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
			found, err := find(ctx, w.from, w.namespace, "cart")
			if err != nil {
				return err
			}
			natives[w] = native(found)
			for _, labels := range []map[string]string{natives[w].Slices[0].Labels, natives[w].Endpoints.Labels} {
				if labels["fair.com/cross-cluster"] != "true" {
					return errors.New("it has not")
				}
			}
			return nil
		}))
	}
	return natives
}

// native is what is not xcc's of all under a name.
func native(all pointer) pointer {
	all.Slices = slices.DeleteFunc(slices.Clone(all.Slices), isAdded)
	return all
}

func isAdded(slice discoveryv1.EndpointSlice) bool {
	return slice.Labels["fair.com/cross-cluster"] == "follower"
}

// added waits until the target's own Service has slices of the source's, as a pointer would, and exactly those addresses of
// them ready; none of the two without addresses.
func (w *way) added(t *testing.T, name string, pods []corev1.Pod) {
	t.Helper()
	what := fmt.Sprintf("%s has addresses of %s/%s in %s", w.into.Name, w.namespace, name, w.from.Name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
		return w.isAdded(ctx, name, pods)
	}))
}

func (w *way) isAdded(ctx context.Context, name string, pods []corev1.Pod) error {
	got, err := find(ctx, w.into, w.namespace, name)
	if err != nil {
		return err
	}
	source, err := find(ctx, w.from, w.namespace, name)
	if err != nil {
		return err
	}
	ours := pointer{Slices: slices.DeleteFunc(slices.Clone(got.Slices), func(slice discoveryv1.EndpointSlice) bool { return !isAdded(slice) })}
	want := pointer{}
	if len(pods) > 0 {
		want.Slices = wantPointer(w.origin, source.Service, native(source).Slices, got.Service.UID).Slices
	}
	if diff := gocmp.Diff(want, normal(ours), ignored); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	return equal(addresses(pods), ours.readyAddresses())
}

// untouched fails unless what each cluster has of its own is what it was, resourceVersions and all.
func (p *pair) untouched(t *testing.T, before map[*way]pointer) {
	t.Helper()
	for w, was := range before {
		is, err := find(t.Context(), w.from, w.namespace, "cart")
		mustBe(t, err)
		if diff := gocmp.Diff(was, native(is)); diff != "" {
			t.Errorf("what %s has of its own has changed (-before +after):\n%s", w.from.Name, diff)
		}
	}
}

func (w *way) annotate(t *testing.T, annotations map[string]string) {
	t.Helper()
	w.edit(t, "cart", func(service *corev1.Service) { service.Annotations = maps.Clone(annotations) })
}

func TestJoin(t *testing.T) {
	xcc := startDaemon(t)
	join := map[string]string{modeAnnotation: "join"}
	failover := map[string]string{modeAnnotation: "failover"}

	joint(t, xcc, "join adds the addresses of each cluster to the other's, and touches nothing of their own", join, 2, func(t *testing.T, p *pair) {
		before := p.export(t)
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
		for _, w := range p.ways() {
			w.fence(t)
		}
		p.untouched(t, before)
		// What is added follows its source.
		more := append(p.pods[p.one], p.one.run(t, "cart", 2, 1)...)
		p.one.added(t, "cart", more)
		mustBe(t, p.one.from.SetReady(t.Context(), p.one.namespace, more[0].Name, false))
		p.one.added(t, "cart", more[1:])
		p.other.added(t, "cart", p.pods[p.other])
	})

	joint(t, xcc, "what somebody does to added slices is undone", join, 1, func(t *testing.T, p *pair) {
		p.export(t)
		w := p.one
		w.added(t, "cart", p.pods[w])
		found, err := find(t.Context(), w.into, w.namespace, "cart")
		mustBe(t, err)
		name := found.Slices[slices.IndexFunc(found.Slices, isAdded)].Name
		mine := w.into.Clientset().DiscoveryV1().EndpointSlices(w.namespace)
		edit(t, mine, name, func(slice *discoveryv1.EndpointSlice) { slice.Endpoints = nil })
		w.added(t, "cart", p.pods[w])
		mustBe(t, mine.Delete(t.Context(), name, metav1.DeleteOptions{}))
		w.added(t, "cart", p.pods[w])
	})

	joint(t, xcc, "failover adds addresses when too few are ready, and takes them back when enough are again", failover, 2, func(t *testing.T, p *pair) {
		p.export(t)
		w, local := p.one, p.pods[p.other]
		setReady := func(ready bool, pods ...corev1.Pod) {
			t.Helper()
			for _, pod := range pods {
				mustBe(t, w.into.SetReady(t.Context(), w.namespace, pod.Name, ready))
			}
		}
		w.fence(t)
		w.added(t, "cart", nil)
		setReady(false, local[0])
		p.other.fence(t)
		w.fence(t)
		w.added(t, "cart", nil)
		setReady(false, local[1])
		w.added(t, "cart", p.pods[w])
		w.says(t, "cart", "FailedOver")
		p.other.added(t, "cart", nil)
		setReady(true, local[0])
		w.added(t, "cart", nil)
		w.says(t, "cart", "Standby")
		// One that needs two.
		p.other.annotate(t, map[string]string{modeAnnotation: "failover", minReadyAnnotation: "2"})
		w.added(t, "cart", p.pods[w])
		setReady(true, local[1])
		w.added(t, "cart", nil)
	})

	joint(t, xcc, "Services with other ports are not joined, until they have the same", join, 1, func(t *testing.T, p *pair) {
		p.other.edit(t, "cart", func(service *corev1.Service) {
			service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "admin", Port: 81})
		})
		p.export(t)
		p.one.logged(t, "cart", "PortConflict: the ports of the two Services differ (only in the other cluster: admin/TCP)")
		p.other.logged(t, "cart", "PortConflict: the ports of the two Services differ (only here: admin/TCP)")
		p.one.fence(t)
		for _, w := range p.ways() {
			w.added(t, "cart", nil)
		}
		p.one.edit(t, "cart", func(service *corev1.Service) {
			service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "admin", Port: 8081})
		})
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
	})

	joint(t, xcc, "Services whose modes disagree are not joined, and no more when they come to", join, 1, func(t *testing.T, p *pair) {
		p.one.annotate(t, nil)
		p.export(t)
		p.one.logged(t, "cart", "ModesDisagree: the mode is pointer here and join in the other cluster")
		p.other.logged(t, "cart", "ModesDisagree: the mode is join here and pointer in the other cluster")
		p.one.annotate(t, join)
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
		p.one.annotate(t, map[string]string{modeAnnotation: "jion"})
		for _, w := range p.ways() {
			w.added(t, "cart", nil)
			w.says(t, "cart", "which is no mode")
		}
	})

	joint(t, xcc, "when one of the two is deleted there is a pointer in its place, and when one is unlabelled nothing", join, 1, func(t *testing.T, p *pair) {
		before := p.export(t)
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
		p.one.label(t, "cart", "")
		for _, w := range p.ways() {
			w.added(t, "cart", nil)
		}
		delete(before, p.one)
		p.untouched(t, before)
		p.one.label(t, "cart", "true")
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
		p.other.delete(t, "cart")
		p.one.mirrored(t, "cart", addresses(p.pods[p.one]))
		p.other.added(t, "cart", nil)
	})

	joint(t, xcc, "who makes a Service of his own of a pointer, and takes the marks off, has it joined", join, 1, func(t *testing.T, p *pair) {
		p.other.delete(t, "cart")
		p.one.label(t, "cart", "true")
		pointer := p.one.mirrored(t, "cart", addresses(p.pods[p.one]))
		// As `kubectl apply` of the Service does.
		p.other.edit(t, "cart", func(service *corev1.Service) {
			service.Labels["fair.com/cross-cluster"], service.Annotations[modeAnnotation] = "true", "join"
			service.Spec.Selector = exported("cart").Spec.Selector
		})
		p.one.says(t, "cart", "Conflict")
		p.other.edit(t, "cart", func(service *corev1.Service) {
			for _, key := range originAnnotations {
				delete(service.Annotations, key)
			}
		})
		for _, w := range p.ways() {
			w.added(t, "cart", p.pods[w])
		}
		found, err := find(t.Context(), p.one.into, p.one.namespace, "cart")
		mustBe(t, err)
		if found.Service.UID != pointer.Service.UID {
			t.Error("it is another Service than the pointer was")
		}
	})
}

// TestJoinOneWay: the other cluster is looked at, and not written.
func TestJoinOneWay(t *testing.T) {
	xcc := startDaemon(t, "--direction", "a-to-b", "--endpoints-api", "endpoints")
	joint(t, xcc, "one direction adds slices, whatever API pointers are written in", map[string]string{modeAnnotation: "join"}, 1, func(t *testing.T, p *pair) {
		before := p.export(t)
		p.one.added(t, "cart", p.pods[p.one])
		p.other.added(t, "cart", nil)
		p.untouched(t, before)
	})
}
