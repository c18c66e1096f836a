package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// missing shows what a forged pointer does where the policies are not in force.
func (p *admissionPair) missing(t *testing.T) {
	ctx, north, south := t.Context(), p.north, p.south
	w := p.way(t, "shop", north, south)
	w.xcc = startDaemonWith(t, p.access[north], p.access[south])
	system := w.origin.cluster
	ledger := func(ctx context.Context) (map[string]string, error) {
		found, err := south.Clientset().CoreV1().ConfigMaps("xcc").Get(ctx, "xcc-brake-"+string(system), metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return found.Data, nil
	}
	tripped := func(t *testing.T, want string) {
		t.Helper()
		mustBe(t, cluster.Eventually(t.Context(), "the brake says tripped "+want, func(ctx context.Context) error {
			values, err := ledger(ctx)
			if err == nil && values["tripped"] != want {
				err = fmt.Errorf("%v", values)
			}
			return err
		}))
	}
	forge := func(t *testing.T, name string) {
		t.Helper()
		for _, object := range []metav1.Object{markedService(name), markedSlice(name), markedEndpoints(name)} {
			annotations := object.GetAnnotations()
			annotations["fair.com/origin-cluster"], annotations["fair.com/origin-uid"] = string(system), "of-nothing"
			mustBe(t, creating(object)(t.Context(), south.Clientset(), "shop"))
		}
	}

	const forged = 12
	pods := w.serving(t, "cart", 2)
	native, err := south.RunPods(ctx, cluster.PodOptions{Namespace: "shop", Name: "theirs", Count: 1, Labels: map[string]string{"app": "theirs"}})
	mustBe(t, err)
	createService(t, south, "shop", plainService("theirs"))
	settled(t, south, "shop", "theirs", native)
	before := contentsOf(t, south, "shop")

	t.Run("a forged pointer is withdrawn like an orphan, after a look at the source, on the brake's account, and nothing else is touched", func(t *testing.T) {
		here, err := north.AuditMark()
		mustBe(t, err)
		forge(t, "forged")
		w.gone(t, "forged")
		events, err := north.Audit(here)
		mustBe(t, err)
		if !slices.ContainsFunc(events, func(e cluster.AuditEvent) bool {
			return e.User == xccUser && e.Verb == "get" && e.Resource == "services" && e.Namespace == "shop" && e.Name == "forged"
		}) {
			t.Error("xcc has not looked for the Service in the source")
		}
		values, err := ledger(t.Context())
		mustBe(t, err)
		if diff := gocmp.Diff(map[string]string{"pointers": "2", "withdrawn": "1", "tripped": "false"}, values); diff != "" {
			t.Errorf("the brake's ledger (-want +got):\n%s", diff)
		}
		if diff := gocmp.Diff(before, contentsOf(t, south, "shop")); diff != "" {
			t.Errorf("what the target had has changed (-before +after):\n%s", diff)
		}
	})

	// Here a forger holds up the withdrawals of all others in this direction. Nothing but the policies prevents that.
	t.Run("more forged pointers than may be withdrawn trip the brake, and pointers still follow their Services", func(t *testing.T) {
		for i := range forged {
			forge(t, fmt.Sprintf("forged-%d", i))
		}
		tripped(t, "true")
		if diff := gocmp.Diff(before, contentsOf(t, south, "shop").without("forged-")); diff != "" {
			t.Errorf("what the target had has changed (-before +after):\n%s", diff)
		}
		mustBe(t, north.SetReady(t.Context(), "shop", pods[0].Name, false))
		w.mirrored(t, "cart", addresses(pods[1:]))
	})

	t.Run("the brake is released when the forged pointers are gone, but what went still counts, until an operator says otherwise", func(t *testing.T) {
		for i := range forged {
			err := south.Clientset().CoreV1().Services("shop").Delete(t.Context(), fmt.Sprintf("forged-%d", i), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		}
		tripped(t, "false")
		w.delete(t, "cart")
		tripped(t, "true")
		arguments := syncArguments(t, p.access[north], p.access[south], "--once", "--allow-mass-delete")
		if code, log := runXCC(t, nil, arguments...); code != 0 {
			t.Errorf("xcc sync --once --allow-mass-delete exited with %d:\n%s", code, log)
		}
		w.gone(t, "cart")
		tripped(t, "false")
	})
}
