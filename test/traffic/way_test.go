//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/network"
)

// way is one of the two directions, in a namespace of its own that both clusters have: Services and their pods are in from,
// and their clients in into.
type way struct {
	from, into *network.Cluster
	namespace  string
}

// bothWays runs the same test in both directions at the same time.
func bothWays(t *testing.T, sentence string, test func(t *testing.T, w *way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		for _, w := range []*way{{from: east, into: west}, {from: west, into: east}} {
			t.Run("from "+w.into.Name+" to "+w.from.Name, func(t *testing.T) {
				t.Parallel()
				w.namespace = fmt.Sprintf("shop-%d", lastNamespace.Add(1))
				mustBe(t, w.from.CreateNamespace(t.Context(), w.namespace, nil))
				mustBe(t, w.into.CreateNamespace(t.Context(), w.namespace, nil))
				test(t, w)
			})
		}
	})
}

// headless makes a Service headless.
func headless(service *corev1.Service) *corev1.Service {
	service.Spec.ClusterIP = corev1.ClusterIPNone
	return service
}

// create creates a Service in the source.
func (w *way) create(t *testing.T, service *corev1.Service) {
	t.Helper()
	_, err := w.from.Clientset().CoreV1().Services(w.namespace).Create(t.Context(), service, metav1.CreateOptions{})
	mustBe(t, err)
}

// run runs pods of a Service in the source: <name>-0 and so on.
func (w *way) run(t *testing.T, name string, count int) []*network.Pod {
	t.Helper()
	return w.runWith(t, cluster.PodOptions{Name: name, Count: count})
}

func (w *way) runWith(t *testing.T, options cluster.PodOptions) []*network.Pod {
	t.Helper()
	options.Namespace = w.namespace
	if options.Labels == nil {
		options.Labels = map[string]string{"app": options.Name}
	}
	pods, err := w.from.RunPods(t.Context(), options)
	mustBe(t, err)
	return pods
}

// client runs a pod in the other cluster.
func (w *way) client(t *testing.T) *network.Pod { return w.clients(t, 1)[0] }

func (w *way) clients(t *testing.T, count int) []*network.Pod {
	t.Helper()
	pods, err := w.into.RunPods(t.Context(), cluster.PodOptions{Namespace: w.namespace, Name: "client", Count: count})
	mustBe(t, err)
	return pods
}

// domain is the DNS name of a Service.
func (w *way) domain(service string) string {
	return service + "." + w.namespace + ".svc.cluster.local"
}

// clusterIPs waits for the pointer of a Service, and gives the addresses that it has in the other cluster.
func (w *way) clusterIPs(t *testing.T, name string) (addresses []string) {
	t.Helper()
	until(t, "the pointer of "+name, func(ctx context.Context) error {
		service, err := w.into.Clientset().CoreV1().Services(w.namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			addresses = service.Spec.ClusterIPs
		}
		return err
	})
	return addresses
}

// until waits for a condition.
func until(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	mustBe(t, eventually(t.Context(), what, condition))
}

// ask asks a target once.
type ask = func(ctx context.Context, target string) (network.Answer, error)

// answeredBy waits until requests to a target are answered by all of those pods, and by no others, and none is lost.
func answeredBy(t *testing.T, ask ask, target string, pods ...*network.Pod) {
	t.Helper()
	until(t, target+" is answered by all of its pods and no others", func(ctx context.Context) error {
		got, err := answers(ctx, ask, target, 10*len(pods))
		if err != nil {
			return err
		}
		if diff := cmp.Diff(names(pods), got); diff != "" {
			return fmt.Errorf("answers (-want +got):\n%s", diff)
		}
		return nil
	})
}

// answers are the names of the pods that answer so many requests.
func answers(ctx context.Context, ask ask, target string, requests int) ([]string, error) {
	var all []string
	for range requests {
		answer, err := ask(ctx, target)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		all = append(all, answer.Pod)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func names(pods []*network.Pod) []string {
	all := make([]string, len(pods))
	for i, pod := range pods {
		all[i] = pod.Name
	}
	slices.Sort(all)
	return all
}
