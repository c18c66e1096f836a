package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

func TestDrain(t *testing.T) {
	p := newLinkedPair(t)
	p.link(t)
	for _, c := range p.clusters() {
		mustBe(t, c.CreateNamespace(t.Context(), "shop", nil))
	}
	w, back := p.way(t, "shop", p.north, p.south), p.way(t, "shop", p.south, p.north)
	// A daemon that a subtest starts goes on in the next.
	start := func() *daemon.Daemon {
		t.Helper()
		d, err := daemon.Start(context.Background(), daemon.Options{Binary: binary, Arguments: []string{
			"sync", "--kubeconfig", p.linked, "--context-a", "north", "--context-b", "south",
		}})
		mustBe(t, err)
		endWith(t, d)
		w.xcc, back.xcc = d, d
		return d
	}
	// evacuated waits until the pointer is there and has no address.
	evacuated := func(t *testing.T, name string) {
		t.Helper()
		mustBe(t, cluster.Eventually(t.Context(), "no address of "+name+" is left", func(ctx context.Context) error {
			found, err := find(ctx, w.into, w.namespace, name)
			if err != nil {
				return err
			}
			if found.Service == nil {
				return errors.New("its Service is gone")
			}
			if len(found.Slices) > 0 || found.Endpoints != nil {
				return fmt.Errorf("%v are", found.readyAddresses())
			}
			return nil
		}))
	}
	joined := &pair{one: w, other: back, pods: map[*way][]corev1.Pod{}}
	for _, w := range joined.ways() {
		service := exported("both")
		service.Annotations = map[string]string{modeAnnotation: "join"}
		w.create(t, service)
		joined.pods[w] = w.run(t, "both", 0, 1)
	}
	d := start()
	pods := w.serving(t, "cart", 2)
	for _, w := range joined.ways() {
		w.added(t, "both", joined.pods[w])
	}
	others := back.serving(t, "search", 1)

	t.Run("a running daemon withdraws the addresses, and keeps the Services", func(t *testing.T) {
		output := p.does(t, p.linked, "drain", "A")
		if !strings.Contains(output, "south: north is drained") || !strings.Contains(output, "xcc undrain A") {
			t.Error(output)
		}
		evacuated(t, "cart")
		back.mirrored(t, "search", addresses(others))
		w.added(t, "both", nil)
		back.added(t, "both", joined.pods[back])
		w.create(t, exported("later"))
		evacuated(t, "later")
		w.says(t, "cart", "Refused Drained")
		p.does(t, p.linked, "drain", "a")
	})

	t.Run("so does one that is started later", func(t *testing.T) {
		terminate(t, d)
		d = start()
		w.says(t, "cart", "Refused Drained")
		evacuated(t, "cart")
	})

	t.Run("all comes back when it is drained no more", func(t *testing.T) {
		p.does(t, p.linked, "undrain", "A")
		w.mirrored(t, "cart", addresses(pods))
		w.mirrored(t, "later", []string{})
		w.added(t, "both", joined.pods[w])
		if output := p.does(t, p.linked, "undrain", "A"); !strings.Contains(output, "was not drained") {
			t.Error(output)
		}
	})

	t.Run("without a daemon, and while the side is down, the command withdraws them itself", func(t *testing.T) {
		terminate(t, d)
		down := writeKubeconfig(t, unreachable(p.north.Admin()), p.south.Admin())
		p.does(t, down, "drain", "A")
		evacuated(t, "cart")
		d = start()
		w.says(t, "cart", "Refused Drained")
		evacuated(t, "cart")
		p.does(t, down, "undrain", "A")
		w.mirrored(t, "cart", addresses(pods))
	})

	t.Run("a daemon that loses its source withdraws them", func(t *testing.T) {
		// As a machine that has lost its network: what is sent to it is not answered.
		mustBe(t, p.north.APIServer.Pause())
		t.Cleanup(func() { mustBe(t, p.north.APIServer.Resume()) })
		p.does(t, p.linked, "drain", "A")
		evacuated(t, "cart")
		mustBe(t, p.north.APIServer.Resume())
		p.does(t, p.linked, "undrain", "A")
		w.mirrored(t, "cart", addresses(pods))
	})

	t.Run("it takes one side", func(t *testing.T) {
		for _, arguments := range [][]string{nil, {"C"}, {"A", "B"}} {
			code, output := p.run(t, p.linked, "drain", arguments...)
			wantOneLine(t, code, output, "A or B")
		}
	})
}
