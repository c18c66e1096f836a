package fault

import (
	"net/http"
	"strings"
	"testing"

	"xcc/test/daemon"
	"xcc/test/proxy"
)

// exportedOnly limits a rule to the lists and watches of what a source exports.
func exportedOnly(rule proxy.Rule) proxy.Rule {
	return func(r *http.Request) proxy.Action {
		if strings.Contains(r.URL.Query().Get("labelSelector"), "fair.com/cross-cluster=true") {
			return rule(r)
		}
		return proxy.Pass()
	}
}

func TestUnreadableSource(t *testing.T) {
	t.Run("01 a source that can't be reached loses no pointer, and its changes arrive when it can", func(t *testing.T) {
		t.Parallel()
		r := newShop(t)
		before, mark := len(r.xcc.Log()), r.b.mark(t)
		r.a.Cut()
		r.a.remove(t, "till")
		r.a.scale(t, "cart")
		loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name)
		r.a.stands(t, "cart", r.a.address(1))
		r.a.stands(t, "till", r.a.address(2))
		r.b.wroteNothing(t, mark)
		r.a.Mend()
		r.a.gone(t, "till")
		r.a.mirrored(t, "cart")
		r.a.fence(t)
	})

	t.Run("01 a direction whose source can't be read does not delay the other", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.a.export(t, exported("cart"), r.a.address(1))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		mark := r.b.mark(t)
		remove := r.a.Intercept(exportedOnly(proxy.Only("", proxy.RefuseStatus(http.StatusServiceUnavailable, "ServiceUnavailable", "try later"))))
		r.a.Reset()
		r.a.remove(t, "cart")
		r.b.fence(t)
		r.logged(t, "level=error", "cluster="+r.a.Name, "try later")
		r.b.fence(t)
		r.a.stands(t, "cart", r.a.address(1))
		r.b.lostNothing(t, mark)
		remove()
		r.a.gone(t, "cart")
	})

	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		t.Run("02 a load balancer's "+http.StatusText(status)+" is no proof that a Service is gone", func(t *testing.T) {
			t.Parallel()
			r := newShop(t)
			mark := r.b.mark(t)

			// The watches tell that it is gone, and the proof is refused. The probe, which reads another Service, is not: the
			// log would have its error before the reads are refused, and tells of the same one once.
			remove := r.a.Intercept(func(request *http.Request) proxy.Action {
				if proxy.CallOf(request).Namespace != r.namespace {
					return proxy.Pass()
				}
				return proxy.Only("services", proxy.RefuseHTML(status), "get")(request)
			})
			r.a.remove(t, "till")
			r.a.fence(t)
			r.a.stands(t, "till", r.a.address(2))
			// All reads are refused.
			removeAll := r.a.Intercept(exportedOnly(proxy.Only("", proxy.RefuseHTML(status))))
			before := len(r.xcc.Log())
			r.a.Reset()
			loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name)
			r.b.fence(t)
			r.a.stands(t, "cart", r.a.address(1))
			r.a.stands(t, "till", r.a.address(2))
			r.b.lostNothing(t, mark)
			removeAll()
			remove()
			r.a.gone(t, "till")
			r.a.fence(t)
		})

		t.Run("02 a load balancer's "+http.StatusText(status)+" is no proof that a pointer is deleted", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, shared)
			r.a.export(t, exported("cart"), r.a.address(1))
			r.run(t)
			r.a.mirrored(t, "cart", r.a.address(1))
			remove := r.b.Intercept(proxy.Only("", proxy.RefuseHTML(status), "delete"))
			r.a.remove(t, "cart")
			r.logged(t, "level=error", r.namespace+"/cart")
			r.a.fence(t)
			remove()
			r.a.gone(t, "cart")
		})
	}

	for _, resource := range []string{"services", "endpointslices"} {
		t.Run("03 a valid but empty list of "+resource+" deletes and empties nothing", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, shared)
			for i, name := range []string{"cart", "till"} {
				r.a.export(t, exported(name), r.a.address(i))
			}
			r.run(t)
			r.a.mirrored(t, "cart", r.a.address(0))
			r.a.mirrored(t, "till", r.a.address(1))
			mark := r.b.mark(t)
			remove := r.a.Intercept(func(r *http.Request) proxy.Action {
				// A live read of one Service is answered with the truth: that is what tells the two apart.
				if proxy.CallOf(r).Namespace != "" {
					return proxy.Pass()
				}
				return exportedOnly(proxy.Only(resource, proxy.EmptyList()))(r)
			})
			// What comes after the empty list was given is told by the watch; what came before it is hidden.
			before := len(r.a.Calls())
			r.a.Reset()
			r.listed(t, r.a, resource, before)
			r.a.fence(t)
			r.a.stands(t, "cart", r.a.address(0))
			r.a.stands(t, "till", r.a.address(1))
			r.restart(t)
			r.logged(t, "first pass done", "from="+r.a.Name)
			r.a.fence(t)
			r.a.stands(t, "cart", r.a.address(0))
			r.a.stands(t, "till", r.a.address(1))
			r.b.lostNothing(t, mark)
			remove()
			r.a.Reset()
			r.a.remove(t, "till")
			r.a.gone(t, "till")
		})
	}

	t.Run("04 a context that leads to the other cluster stops both directions, and swaps no pointers", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.a.export(t, exported("cart"), r.a.address(1))
		r.b.export(t, exported("till"), r.b.address(1))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.b.mirrored(t, "till", r.b.address(1))
		markA, markB := r.a.mark(t), r.b.mark(t)
		mustBe(t, r.a.Redirect(r.b.APIServer.URL, r.b.access.CertificateAuthority, r.b.access.Token))
		r.logged(t, "level=error", "cluster="+r.a.Name, "another cluster")
		r.a.export(t, exported("new"), r.a.address(3))
		r.b.export(t, exported("newer"), r.b.address(3))
		before := len(r.a.Calls())
		r.asked(t, r.a, before)
		r.a.wroteNothing(t, markA)
		r.b.wroteNothing(t, markB)
		mustBe(t, r.a.Redirect(r.a.APIServer.URL, r.a.access.CertificateAuthority, ""))
		r.a.mirrored(t, "new", r.a.address(3))
		r.b.mirrored(t, "newer", r.b.address(3))
		r.a.stands(t, "cart", r.a.address(1))
		r.b.stands(t, "till", r.b.address(1))
	})

	t.Run("05 two contexts of one cluster are refused", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		alias := r.a.through()
		alias.Context = "the-same"
		d, err := daemon.Sync(t.Context(), binary, r.directory, r.a.through(), alias, r.flags()...)
		mustBe(t, err)
		code, err := d.Wait(t.Context())
		mustBe(t, err)
		last := lastLines(d.Log(), 1)
		if code != 1 || !containsAll(last, []string{"one cluster", r.a.Name, "the-same", "--context-a", "--context-b"}) {
			t.Errorf("xcc exited with %d and said %q", code, last)
		}
		r.a.wroteNothing(t, r.a.start)
	})
}
