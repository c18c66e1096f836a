package fault

import (
	"context"
	"net/http"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"xcc/test/cluster"
	"xcc/test/proxy"
)

func TestInterruptedWrites(t *testing.T) {
	t.Run("06 killed just before and just after each of its writes, xcc goes on where it was", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.a.export(t, exported("cart"), r.a.address(1))
		// A birth is three writes, and so is a death, of which Kubernetes may do a part.
		for n := 1; n <= 3; n++ {
			for _, after := range []bool{false, true} {
				killed := r.killAt(t, n, after, "create")
				r.run(t)
				<-killed
				r.again(t)
				r.a.mirrored(t, "cart", r.a.address(1))

				mustBe(t, r.xcc.Kill())
				r.a.label(t, "cart", "")
				killed = r.killAt(t, min(n, 2), after, "delete")
				r.run(t)
				<-killed
				r.again(t)
				r.a.gone(t, "cart")
				mustBe(t, r.xcc.Kill())
				r.a.label(t, "cart", "true")
			}
		}
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
	})

	t.Run("07 a write that has landed and was not confirmed is found to be ours", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		var mu sync.Mutex
		lost := map[string]bool{}
		r.b.Intercept(func(request *http.Request) proxy.Action {
			call := proxy.CallOf(request)
			if !call.Write() || call.Namespace != r.namespace || call.Is("configmaps") {
				return proxy.Pass()
			}
			mu.Lock()
			defer mu.Unlock()
			what := call.Verb + " " + call.Resource
			if lost[what] {
				return proxy.Pass()
			}
			lost[what] = true
			return proxy.Lose()
		})
		r.run(t)
		r.a.export(t, exported("cart"), r.a.address(1))
		first := r.a.mirrored(t, "cart", r.a.address(1))
		r.a.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports[0].Port = 81 })
		r.a.scale(t, "cart", r.a.address(1), r.a.address(2))
		if second := r.a.mirrored(t, "cart", r.a.address(1), r.a.address(2)); second.UID != first.UID {
			t.Error("the pointer was made anew")
		}
		edit(t, r.a.Clientset().DiscoveryV1().EndpointSlices(r.namespace), "cart", func(slice *discoveryv1.EndpointSlice) {
			slice.Labels = map[string]string{discoveryv1.LabelManagedBy: "test"} // its slice in the target goes, and its Service stays
		})
		r.a.mirrored(t, "cart")
		r.a.label(t, "cart", "")
		r.a.gone(t, "cart")
		r.a.fence(t)
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"create services", "create endpointslices", "create endpoints",
			"update services", "update endpointslices", "update endpoints", "delete services", "delete endpointslices"} {
			if !lost[want] {
				t.Errorf("%s was never lost; lost were %v", want, lost)
			}
		}
	})

	for name, fault := range map[string]struct{ begin, end func(*side) }{
		"a half-open connection":                               {func(s *side) { s.Freeze() }, func(s *side) { s.Thaw() }},
		"a half-open connection that is reset later":           {func(s *side) { s.Freeze() }, func(s *side) { s.Cut(); s.Thaw(); s.Mend() }},
		"a connection that answers pings, and nothing besides": {func(s *side) { s.Stall() }, func(s *side) { s.Reset(); s.Unstall() }},
	} {
		t.Run("09 "+name+" is noticed, costs no pointer, and is left behind", func(t *testing.T) {
			t.Parallel()
			address, err := shared.east.ReserveAddress()
			mustBe(t, err)
			r := newShop(t, "--listen", address)
			before, mark := len(r.xcc.Log()), r.b.mark(t)
			fault.begin(r.a)
			r.a.remove(t, "till")
			loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name)
			// While all is well, it is asked every 5 seconds.
			stale := r.a.measured(t, address, "xcc_source_staleness_seconds", func(seconds float64) bool { return seconds > 6 })
			stale = r.a.measured(t, address, "xcc_source_staleness_seconds", func(seconds float64) bool { return seconds > stale })
			r.a.stands(t, "cart", r.a.address(1))
			r.a.stands(t, "till", r.a.address(2))
			r.b.wroteNothing(t, mark)
			fault.end(r.a)
			r.a.gone(t, "till")
			r.a.measured(t, address, "xcc_source_staleness_seconds", func(seconds float64) bool { return seconds < stale })
			r.a.fence(t)
		})
	}
}

// killAt kills xcc at its nth write of a verb to the target, before the write has happened or after. The channel is closed
// when it is dead.
func (r *rig) killAt(t *testing.T, n int, after bool, verb string) <-chan struct{} {
	t.Helper()
	dead := make(chan struct{})
	var mu sync.Mutex
	seen := 0
	isNth := func(call proxy.Call) bool {
		if !call.Is("", verb) || call.Namespace != r.namespace || call.Is("configmaps") {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		seen++
		return seen == n
	}
	kill := func() {
		// The daemon is known by the time that it writes; the test waits for dead before it starts another.
		<-r.started
		if err := r.xcc.Kill(); err != nil {
			t.Error(err)
		}
		close(dead)
	}
	var remove func()
	if after {
		remove = r.b.Observe(nil, func(call proxy.Call) {
			if isNth(call) {
				kill()
			}
		})
	} else {
		remove = r.b.Intercept(func(request *http.Request) proxy.Action {
			if !isNth(proxy.CallOf(request)) {
				return proxy.Pass()
			}
			kill()
			return proxy.Abort()
		})
	}
	t.Cleanup(remove)
	return dead
}

// again starts xcc after it was killed; nothing is killed any more.
func (r *rig) again(t *testing.T) {
	t.Helper()
	select {
	case <-r.xcc.Exited():
	default:
		t.Fatal("xcc is still running")
	}
	r.run(t)
}

func TestLostHistory(t *testing.T) {
	r := newRig(t, hurtPair(t))
	r.a.export(t, exported("cart"), r.a.address(1))
	r.a.export(t, exported("till"), r.a.address(2))
	r.run(t)
	r.a.mirrored(t, "cart", r.a.address(1))
	r.a.mirrored(t, "till", r.a.address(2))

	t.Run("08 what was missed while a watch was cut and its history compacted is found by comparing", func(t *testing.T) {
		r.a.Cut()
		r.a.remove(t, "till")
		r.a.export(t, exported("new"), r.a.address(3))
		r.a.scale(t, "cart", r.a.address(1), r.a.address(4))
		// An API server remembers what etcd has forgotten, until it restarts.
		_, err := r.a.Etcd.Compact(t.Context())
		mustBe(t, err)
		mustBe(t, r.a.APIServer.Kill())
		mustBe(t, r.a.APIServer.Start(t.Context()))
		before := len(r.a.Calls())
		r.a.Mend()
		r.a.gone(t, "till")
		r.a.mirrored(t, "new", r.a.address(3))
		r.a.mirrored(t, "cart", r.a.address(1), r.a.address(4))
		gone := 0
		for _, call := range r.a.Calls()[before:] {
			if call.Status == http.StatusGone {
				gone++
			}
		}
		t.Logf("%d watches were told that their history is gone", gone)
	})
}

// eventually is cluster.Eventually with the patience of this package.
func eventually(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), noticing)
	defer cancel()
	mustBe(t, cluster.Eventually(ctx, what, condition))
}
