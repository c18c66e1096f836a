package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/proxy"
)

func TestSlowOrBusyServers(t *testing.T) {
	t.Run("13 no pointer is written before the slices are read", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.a.export(t, exported("cart"), r.a.address(1))
		release := make(chan struct{})
		r.a.Intercept(exportedOnly(proxy.Only("endpointslices", proxy.Delay(release))))
		r.run(t)
		r.listed(t, r.a, "services", 0)
		eventually(t, "xcc asks for the slices", func(context.Context) error {
			for _, call := range r.a.Calls() {
				if call.Is("endpointslices", "list", "watch") {
					return nil
				}
			}
			return errors.New("it has not")
		})
		r.b.wroteNothing(t, r.b.start)
		close(release)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.b.bornEmpty(t, r.b.start)
		r.b.lostNothing(t, r.b.start)
	})

	t.Run("16 a server that is busy for a day is asked again in a moment", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.run(t)
		r.a.fence(t)
		day := proxy.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"86400"}, "Content-Type": {"text/plain"}}, "busy")
		removeWrites := r.b.Intercept(proxy.Only("", day, "create", "update", "delete"))
		before := len(r.b.Calls())
		r.a.export(t, exported("cart"), r.a.address(1))
		eventually(t, "the refused write is tried again", func(context.Context) error {
			tries := 0
			for _, call := range r.b.Calls()[before:] {
				if call.Is("services", "create") {
					tries++
				}
			}
			if tries < 3 {
				return fmt.Errorf("%d tries", tries)
			}
			return nil
		})
		removeWrites()
		r.a.mirrored(t, "cart", r.a.address(1))

		logged := len(r.xcc.Log())
		removeReads := r.a.Intercept(proxy.Only("", day, "get", "list", "watch"))
		r.a.Reset()
		loggedSince(t, r.xcc, logged, "level=error", "cluster="+r.a.Name)
		r.a.export(t, exported("till"), r.a.address(2))
		removeReads()
		r.a.mirrored(t, "till", r.a.address(2))
	})

	t.Run("19 a write that is refused for good holds up no other, and is carried out when it may be", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		quota := refuseServices(t, r)
		r.run(t, r.more(t)...)
		for i := range 20 {
			r.a.export(t, exported(fmt.Sprintf("cart-%d", i)), r.a.address(100+i))
		}
		r.logged(t, "level=error", r.namespace+"/cart-0", "exceeded quota")
		r.a.fenceElsewhere(t)
		r.b.fenceElsewhere(t)
		mustBe(t, r.b.Clientset().CoreV1().ResourceQuotas(r.namespace).Delete(t.Context(), quota, metav1.DeleteOptions{}))
		for i := range 20 {
			r.a.mirrored(t, fmt.Sprintf("cart-%d", i), r.a.address(100+i))
		}
	})
}

func TestManyServices(t *testing.T) {
	t.Run("17 two thousand Services are mirrored without a limit of our own", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		const many = 2000
		group, creating := errgroup.WithContext(t.Context())
		group.SetLimit(32)
		for i := range many {
			group.Go(func() error {
				return r.a.tryExport(creating, exported(fmt.Sprintf("cart-%d", i)), fmt.Sprintf("10.3.%d.%d", 100+i/250, 1+i%250))
			})
		}
		mustBe(t, group.Wait())
		r.runWith(t, r.a.access, r.b.access, "--log-level", "debug")
		// As long as the test may take: what is measured here is whose fault it is, not how long.
		deadline, bounded := t.Deadline()
		if !bounded {
			deadline = time.Now().Add(time.Hour)
		}
		ctx, cancel := context.WithDeadline(t.Context(), deadline.Add(-30*time.Second))
		defer cancel()
		mustBe(t, cluster.Eventually(ctx, "the first pass is done", func(context.Context) error {
			if !strings.Contains(r.xcc.Log(), `msg="first pass done" from=`+r.a.Name) {
				return errors.New("it is not")
			}
			return nil
		}))
		pointers, err := r.b.Clientset().CoreV1().Services(r.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "fair.com/cross-cluster=follower"})
		mustBe(t, err)
		slices, err := r.b.Clientset().DiscoveryV1().EndpointSlices(r.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "fair.com/cross-cluster=follower"})
		mustBe(t, err)
		if len(pointers.Items) != many || len(slices.Items) != many {
			t.Errorf("%d pointers with %d slices, not %d", len(pointers.Items), len(slices.Items), many)
		}
		if since := throttled(r.xcc.Log()); since != "" {
			t.Errorf("xcc holds itself back: %s", since)
		}
		if total := len(r.b.writes(t, r.b.start)); total != 3*many {
			t.Errorf("%d writes, not 3 for each of %d Services", total, many)
		}
	})
}
