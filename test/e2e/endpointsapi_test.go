package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"xcc/test/cluster"
)

func TestEndpointsAPI(t *testing.T) {
	t.Run("a pointer changes between the two APIs as it is told", func(t *testing.T) {
		t.Parallel()
		ways := newWays(t)
		pods := map[*way][]corev1.Pod{}
		for _, w := range ways {
			w.create(t, exported("cart"))
			pods[w] = w.run(t, "cart", 0, 3)
		}
		for _, api := range []string{"both", "slices", "endpoints", "both", "endpoints", "slices", "both"} {
			xcc := startDaemon(t, only(ways, "--endpoints-api", api)...)
			for _, w := range ways {
				w.xcc = xcc
				w.wantIn(t, api, pods[w])
				w.fenceIn(t, api)
			}
			terminate(t, xcc)
		}
	})
}

// wantIn waits until the pointer "cart" is there, in the form that --endpoints-api says.
func (w *way) wantIn(t *testing.T, api string, pods []corev1.Pod) {
	t.Helper()
	switch api {
	case "both":
		w.mirrored(t, "cart", addresses(pods))
	case "slices":
		w.eventually(t, "cart", addresses(pods), func(want *pointer) { want.Endpoints = nil })
	case "endpoints":
		w.mirroredByKubernetes(t, "cart", pods)
	}
}

// mirroredByKubernetes waits until the target has the pointer's Endpoints, and of slices only those that Kubernetes makes
// of them.
func (w *way) mirroredByKubernetes(t *testing.T, name string, pods []corev1.Pod) {
	t.Helper()
	what := fmt.Sprintf("%s has the Endpoints of %s/%s", w.into.Name, w.namespace, name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
		got, err := find(ctx, w.into, w.namespace, name)
		if err != nil {
			return err
		}
		if len(got.Slices) != 1 || got.Slices[0].Labels[discoveryv1.LabelManagedBy] != "endpointslicemirroring-controller.k8s.io" {
			return fmt.Errorf("slices: %v", got.Slices)
		}
		if err := equal(addresses(pods), got.readyAddresses()); err != nil {
			return err
		}
		if got.Service == nil || got.Endpoints == nil {
			return errors.New("no Service or no Endpoints")
		}
		_, err = w.isMirrored(ctx, name, got.readyAddresses(), func(want *pointer) {
			want.Slices = normal(got).Slices
			delete(want.Endpoints.Labels, discoveryv1.LabelSkipMirror)
		})
		return err
	}))
}

// fenceIn is fence for every --endpoints-api.
func (w *way) fenceIn(t *testing.T, api string) {
	t.Helper()
	name := fmt.Sprintf("fence-%d", lastNamespace.Add(1))
	w.create(t, exported(name))
	what := fmt.Sprintf("%s has the Service %s/%s", w.into.Name, w.namespace, name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
		got, err := find(ctx, w.into, w.namespace, name)
		if err != nil {
			return err
		}
		if got.Service == nil || api != "endpoints" && len(got.Slices) == 0 || api != "slices" && got.Endpoints == nil {
			return errors.New("not all of it")
		}
		return nil
	}))
}
