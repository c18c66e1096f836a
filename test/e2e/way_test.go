package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// way is one of the two directions, in a namespace of its own that both clusters have.
type way struct {
	from, into *cluster.Cluster
	namespace  string
	xcc        *daemon.Daemon
	// origin is what pointers say about where they are from.
	origin origin
}

// lastNamespace numbers the namespaces of the tests.
var lastNamespace atomic.Int64

// newWays gives both directions, and makes their namespaces.
func newWays(t *testing.T) []*way {
	t.Helper()
	ways := newWaysWithoutNamespaces()
	for _, w := range ways {
		mustBe(t, w.from.CreateNamespace(t.Context(), w.namespace, nil))
		mustBe(t, w.into.CreateNamespace(t.Context(), w.namespace, nil))
	}
	return ways
}

func newWaysWithoutNamespaces() []*way {
	n := lastNamespace.Add(1)
	make := func(from, into *cluster.Cluster, side string) *way {
		return &way{from: from, into: into, namespace: fmt.Sprintf("test-%d-from-%s", n, side),
			origin: origin{cluster: identities[from], name: from.Name}}
	}
	return []*way{make(east, west, "east"), make(west, east, "west")}
}

// bothWays runs the same test in both directions at the same time.
func bothWays(t *testing.T, d *daemon.Daemon, sentence string, test func(t *testing.T, w *way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		eachWay(t, d, newWays(t), test)
	})
}

// eachWay runs the same test for each of the directions at the same time.
func eachWay(t *testing.T, d *daemon.Daemon, ways []*way, test func(t *testing.T, w *way)) {
	t.Helper()
	for _, w := range ways {
		w.xcc = d
		t.Run("from "+w.from.Name+" to "+w.into.Name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("xcc's log of this namespace:\n%s", strings.Join(w.logLines("", ""), "\n"))
				}
			})
			test(t, w)
		})
	}
}

// only are the flags that keep xcc to the namespaces of those directions.
func only(ways []*way, more ...string) []string {
	var flags []string
	for _, w := range ways {
		flags = append(flags, "--namespace", w.namespace)
	}
	return append(flags, more...)
}

// exported is a Service with the export label and a selector for the pods that run makes for it.
func exported(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"fair.com/cross-cluster": "true"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
}

// headless makes a Service headless.
func headless(service *corev1.Service) *corev1.Service {
	service.Spec.ClusterIP = corev1.ClusterIPNone
	return service
}

// create creates a Service in the source.
func (w *way) create(t *testing.T, service *corev1.Service) *corev1.Service {
	t.Helper()
	return createService(t, w.from, w.namespace, service)
}

func createService(t *testing.T, c *cluster.Cluster, namespace string, service *corev1.Service) *corev1.Service {
	t.Helper()
	created, err := c.Clientset().CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
	mustBe(t, err)
	return created
}

// delete deletes a Service in the source.
func (w *way) delete(t *testing.T, name string) {
	t.Helper()
	mustBe(t, w.from.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

// edit changes a Service in the source.
func (w *way) edit(t *testing.T, name string, change func(*corev1.Service)) {
	t.Helper()
	edit(t, w.from.Clientset().CoreV1().Services(w.namespace), name, change)
}

// edit changes an object, whoever else may be changing it.
func edit[T any](t *testing.T, objects cluster.Objects[T], name string, change func(T)) {
	t.Helper()
	mustBe(t, cluster.Edit(t.Context(), objects, name, change))
}

// run runs pods for the Service of that name in the source. first is the ordinal of the first of them.
func (w *way) run(t *testing.T, name string, first, count int) []corev1.Pod {
	t.Helper()
	return w.runWith(t, cluster.PodOptions{Name: name, First: first, Count: count})
}

func (w *way) runWith(t *testing.T, options cluster.PodOptions) []corev1.Pod {
	t.Helper()
	options.Namespace, options.Labels = w.namespace, map[string]string{"app": options.Name}
	pods, err := w.from.RunPods(t.Context(), options)
	mustBe(t, err)
	return pods
}

// serving creates an exported Service with pods, and waits for its pointer.
func (w *way) serving(t *testing.T, name string, count int) []corev1.Pod {
	t.Helper()
	w.create(t, exported(name))
	pods := w.run(t, name, 0, count)
	w.mirrored(t, name, addresses(pods))
	return pods
}

func addresses(pods []corev1.Pod) []string {
	all := []string{}
	for _, pod := range pods {
		all = append(all, pod.Status.PodIP)
	}
	slices.Sort(all)
	return all
}

// mirrored waits until the target has, under the name, exactly the pointer of what the source has, and until that has
// exactly the ready addresses given. Further conditions tell the state that is waited for from those before it. It gives
// the pointer as it was read.
func (w *way) mirrored(t *testing.T, name string, ready []string, also ...func(pointer) error) pointer {
	t.Helper()
	return w.eventually(t, name, ready, asProjected, also...)
}

// asProjected is no difference.
func asProjected(*pointer) {}

// eventually is mirrored for a pointer that is to be a little different.
func (w *way) eventually(t *testing.T, name string, ready []string, differently func(want *pointer), also ...func(pointer) error) pointer {
	t.Helper()
	var last pointer
	what := fmt.Sprintf("%s has the pointer of %s/%s in %s", w.into.Name, w.namespace, name, w.from.Name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) (err error) {
		last, err = w.isMirrored(ctx, name, ready, differently)
		for _, condition := range also {
			if err == nil {
				err = condition(last)
			}
		}
		return err
	}))
	return last
}

func (w *way) isMirrored(ctx context.Context, name string, ready []string, differently func(want *pointer)) (pointer, error) {
	got, err := find(ctx, w.into, w.namespace, name)
	if err != nil {
		return got, err
	}
	if got.Service == nil {
		return got, errors.New("there is no Service")
	}
	source, err := find(ctx, w.from, w.namespace, name)
	if err != nil {
		return got, err
	}
	if source.Service == nil {
		return got, errors.New("there is no Service in the source")
	}
	want := wantPointer(w.origin, source.Service, source.Slices, got.Service.UID)
	differently(&want)
	if diff := gocmp.Diff(want, normal(got), ignored); diff != "" {
		return got, fmt.Errorf("(-want +got):\n%s", diff)
	}
	if err := checkNames(got); err != nil {
		return got, err
	}
	return got, equal(ready, got.readyAddresses())
}

// equal compares ready addresses.
func equal(want, got []string) error {
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("ready addresses (-want +got):\n%s", diff)
	}
	return nil
}

// gone waits until the target has nothing under the name.
func (w *way) gone(t *testing.T, name string) {
	t.Helper()
	what := fmt.Sprintf("%s has nothing of %s/%s", w.into.Name, w.namespace, name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
		got, err := find(ctx, w.into, w.namespace, name)
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(pointer{}, got, ignored); diff != "" {
			return errors.New(diff)
		}
		return nil
	}))
}

// absent fails if the target has anything under the name now.
func (w *way) absent(t *testing.T, name string) {
	t.Helper()
	got, err := find(t.Context(), w.into, w.namespace, name)
	mustBe(t, err)
	if diff := gocmp.Diff(pointer{}, got, ignored); diff != "" {
		t.Errorf("%s has something of %s/%s (-want +got):\n%s", w.into.Name, w.namespace, name, diff)
	}
}

// fence returns when xcc has carried out something that it learned after all that came before: it exports one more
// Service and waits for its pointer.
func (w *way) fence(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("fence-%d", lastNamespace.Add(1))
	w.create(t, exported(name))
	w.mirrored(t, name, []string{})
}

// logLines are the lines of xcc's log about a Service of this direction that contain a text; about any without a name.
func (w *way) logLines(name, text string) []string {
	about := "service=" + types.NamespacedName{Namespace: w.namespace, Name: name}.String()
	if name != "" {
		about += " "
	}
	var found []string
	for _, line := range lines(w.xcc.Log()) {
		if strings.Contains(line+" ", about) && strings.Contains(line, "from="+w.from.Name) && strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// logged waits until xcc has logged something about a Service, and fails if it has done so more than once.
func (w *way) logged(t *testing.T, name, text string) {
	t.Helper()
	w.says(t, name, text)
	w.loggedOnce(t, name, text)
}

// says waits until xcc has logged something about a Service.
func (w *way) says(t *testing.T, name, text string) {
	t.Helper()
	what := fmt.Sprintf("xcc logs %q about %s/%s", text, w.namespace, name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(context.Context) error {
		if len(w.logLines(name, text)) == 0 {
			return errors.New("it has not")
		}
		return nil
	}))
}

// loggedOnce fails unless xcc has logged something about a Service exactly once so far.
func (w *way) loggedOnce(t *testing.T, name, text string) {
	t.Helper()
	if found := w.logLines(name, text); len(found) != 1 {
		t.Errorf("xcc has logged %q about %s/%s %d times, not once:\n%s", text, w.namespace, name, len(found), strings.Join(found, "\n"))
	}
}
