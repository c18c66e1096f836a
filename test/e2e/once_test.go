package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"xcc/test/cluster"
)

func TestOnce(t *testing.T) {
	t.Run("all is in sync when it exits with 0, and a second run finds nothing to write", func(t *testing.T) {
		ways := newWays(t)
		pods := map[*way][]corev1.Pod{}
		for _, w := range ways {
			pods[w] = w.run(t, "cart", 0, 3)
			for i := range 20 {
				w.create(t, ofPods("cart", exported(fmt.Sprintf("cart-%d", i))))
			}
			for i := range 20 {
				settled(t, w.from, w.namespace, fmt.Sprintf("cart-%d", i), pods[w])
			}
		}
		arguments := syncArguments(t, eastAccess, westAccess, only(ways, "--once")...)
		if code, log := runXCC(t, nil, arguments...); code != 0 {
			t.Fatalf("xcc exited with %d:\n%s", code, log)
		}
		for _, w := range ways {
			for i := range 20 {
				_, err := w.isMirrored(t.Context(), fmt.Sprintf("cart-%d", i), addresses(pods[w]), asProjected)
				mustBe(t, err)
			}
		}
		here := mark(t)
		if code, log := runXCC(t, nil, arguments...); code != 0 {
			t.Fatalf("xcc exited with %d:\n%s", code, log)
		}
		for _, w := range ways {
			if wrote := here.writesAnywhere(t, w.into); len(wrote) > 0 {
				t.Errorf("%s: the second run wrote: %v", w.into.Name, wrote)
			}
		}
	})

	for _, test := range []struct {
		flag string
		a, b func(cluster.Access) cluster.Access
	}{
		{"--context-a", unreachable, reachable},
		{"--context-b", reachable, unreachable},
	} {
		t.Run("it exits with 1 and one line where the server of "+test.flag+" is unreachable", func(t *testing.T) {
			t.Parallel()
			code, log := runXCC(t, nil, syncArguments(t, test.a(eastAccess), test.b(westAccess), "--once")...)
			wantOneLine(t, code, log, test.flag)
		})
	}
}

func TestDryRun(t *testing.T) {
	t.Run("it says what it would write, and writes nothing", func(t *testing.T) {
		ways := newWays(t)
		for _, w := range ways {
			w.create(t, exported("cart"))
			settled(t, w.from, w.namespace, "cart", w.run(t, "cart", 0, 3))
		}
		here := mark(t)
		xcc := startDaemon(t, only(ways, "--dry-run")...)
		for _, w := range ways {
			w.xcc = xcc
			w.says(t, "cart", "would create Service, create EndpointSlice, create Endpoints")
			w.create(t, exported("later"))
			w.says(t, "later", "would create Service")
		}
		for _, w := range ways {
			if wrote := here.writesAnywhere(t, w.into); len(wrote) > 0 {
				t.Errorf("%s: %v", w.into.Name, wrote)
			}
			w.absent(t, "cart")
		}
	})
}

// ofPods makes a Service select the pods of another.
func ofPods(app string, service *corev1.Service) *corev1.Service {
	service.Spec.Selector = map[string]string{"app": app}
	return service
}

func reachable(access cluster.Access) cluster.Access { return access }

// unreachable leads to a port that nobody listens on.
func unreachable(access cluster.Access) cluster.Access { return access.Through("https://127.0.0.1:1") }
