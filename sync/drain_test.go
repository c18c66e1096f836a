package sync

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// drains are an operator's orders by the UID of the source.
type drains map[types.UID]bool

func (d drains) Drained(source types.UID) bool { return d[source] }

func TestDrainedSource(t *testing.T) {
	source := sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1"), notReady("10.0.0.2")))
	const objects = 2
	tests := []struct {
		name   string
		before func(b *bench)
		// reason is that of the verdict, fails whether the name is to be looked at again.
		reason Reason
		fails  bool
	}{
		{"loses its addresses without being asked, and keeps its Services", func(*bench) {}, Drained, false},
		{"does so while it is out of reach", func(b *bench) { b.source.verifyErr = errors.New("no route to host") }, SourceUnproven, true},
		{"does so where it can't be read", func(b *bench) { b.source.unsynced = true }, "", true},
		{"does so for a Service that is gone, and of which nobody can prove it", func(b *bench) {
			b.source.cached, b.source.liveErr = map[Key]Source{}, errors.New("no route to host")
		}, SourceUnproven, true},
		{"does so for a Service that the delete brake holds", func(b *bench) {
			b.source.cached = map[Key]Source{}
			b.mirror.Brake.state.tripped = true
		}, Held, false},
		{"does so where Kubernetes has lost its EndpointSlices", func(b *bench) {
			b.source.cached[web] = sourceOf(exported())
		}, Drained, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, source)
			b.settle(t, web)
			names := endpointNames(t, b)
			b.mirror.Orders = drains{blue: true}
			test.before(b)
			verdict, err := b.reconcile(t, web)
			if verdict.Reason != test.reason || (err != nil) != test.fails {
				t.Errorf("%s, %v", verdict, err)
			}
			calls := slices.DeleteFunc(b.take(), func(call string) bool { return call == "live shop/web" })
			if len(names) != objects {
				t.Fatalf("the pointer had %v", names)
			}
			if diff := cmp.Diff(names, calls); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}

	t.Run("gets a pointer without addresses for a new Service, and all of them when it is drained no more", func(t *testing.T) {
		b := newBench(t, source)
		b.mirror.Orders = drains{blue: true}
		b.settle(t, web)
		if names := endpointNames(t, b); len(names) > 0 {
			t.Errorf("it has %v", names)
		}
		if _, err := b.reconcile(t, web); err != nil || len(b.take()) > 0 {
			t.Errorf("it is not at rest: %v", err)
		}
		b.mirror.Orders = drains{}
		b.settle(t, web)
		if names := endpointNames(t, b); len(names) != 2 {
			t.Errorf("it has %v", names)
		}
	})

	t.Run("is told from another", func(t *testing.T) {
		b := newBench(t, source)
		b.mirror.Orders = drains{green: true}
		b.settle(t, web)
		if names := endpointNames(t, b); len(names) != 2 {
			t.Errorf("it has %v", names)
		}
	})
}

// endpointNames are the deletions that would empty the pointer.
func endpointNames(t *testing.T, b *bench) []string {
	t.Helper()
	copies, err := b.target.Copies(web)
	if err != nil {
		t.Fatal(err)
	}
	rules := b.mirror.Rules
	rules.Cluster = blue
	if rules.liveService(copies) == nil {
		t.Error("there is no Service")
	}
	var names []string
	for _, change := range rules.evacuation(copies) {
		names = append(names, change.String())
	}
	return names
}

func TestOrder(t *testing.T) {
	source := sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1")))
	order := func(b *bench, source types.UID) Order {
		return Order{Source: source, Target: b.target, Writer: b.target, Log: b.mirror.Log}
	}
	t.Run("an evacuation takes the addresses and leaves the Service, once", func(t *testing.T) {
		b := newBench(t, source)
		b.settle(t, web)
		for _, want := range []int{1, 0} {
			if did, err := order(b, blue).Evacuate(t.Context()); did != want || err != nil {
				t.Errorf("%d names, %v", did, err)
			}
		}
		if names := endpointNames(t, b); len(names) > 0 {
			t.Errorf("it left %v", names)
		}
	})
	t.Run("a withdrawal takes all, whatever the brake says", func(t *testing.T) {
		b := newBench(t, source)
		b.settle(t, web)
		b.mirror.Brake.state.tripped = true
		if did, err := order(b, blue).Withdraw(t.Context()); did != 1 || err != nil {
			t.Errorf("%d names, %v", did, err)
		}
		if copies, _ := b.target.Copies(web); len(copies) > 0 {
			t.Errorf("it left %v", copies)
		}
	})
	t.Run("what comes from elsewhere is counted and left alone", func(t *testing.T) {
		b := newBench(t, source)
		b.settle(t, web)
		if did, err := order(b, "uid-of-red").Withdraw(t.Context()); did != 0 || err != nil {
			t.Errorf("%d names, %v", did, err)
		}
		origins, err := OriginsOf(b.target)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Origins{{Cluster: blue, Name: "blue", Count: 1}}, origins); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if rest := origins.Except(blue); len(rest) > 0 {
			t.Errorf("%v", rest)
		}
	})
}
