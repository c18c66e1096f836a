package sync

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"pgregory.net/rapid"
)

func TestTurnsGoInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	turns := newTurns(2)
	for _, key := range []string{"a", "b", "a"} {
		if !turns.take(keyOf(key)) {
			t.Errorf("%s got none of two turns", key)
		}
	}
	for _, key := range []string{"c", "d", "c"} {
		if turns.take(keyOf(key)) {
			t.Errorf("%s got a turn where there was none", key)
		}
	}
	for _, step := range []struct{ done, next string }{{"a", "c"}, {"c", "d"}, {"b", ""}, {"d", ""}, {"never had one", ""}} {
		next, waited := turns.giveBack(keyOf(step.done))
		if waited != (step.next != "") || waited && next != keyOf(step.next) {
			t.Errorf("after %s came %v", step.done, next)
		}
	}
}

// TestNoTurnIsLost: whoever asks, in whatever order, there are never more turns out than there are, and never a name that
// waits while one is free.
func TestNoTurnIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const count = 2
		turns := newTurns(count)
		held, asking := sets.New[Key](), sets.New[Key]()
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			key := keyOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name"))
			if rapid.Bool().Draw(t, "takes") {
				if turns.take(key) {
					held.Insert(key)
				} else {
					asking.Insert(key)
				}
			} else if next, waited := turns.giveBack(key); waited {
				held.Delete(key)
				held.Insert(next)
				asking.Delete(next)
			} else {
				held.Delete(key)
			}
			if held.Len() > count || asking.Len() > 0 && held.Len() < count {
				t.Fatalf("%d hold a turn and %d wait", held.Len(), asking.Len())
			}
		}
	})
}

// TestSlicesDoNotWaitForEndpoints: while others update their Endpoints, a name's slices are written, and its Endpoints in
// their turn.
func TestSlicesDoNotWaitForEndpoints(t *testing.T) {
	before := sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1")))
	b := newBench(t, before)
	b.settle(t, web)
	b.source.set(func() { b.source.cached[web] = sourceOf(exported(), sliceOf("web-0", ready("10.0.0.2"))) })
	others := []Key{keyOf("other-1"), keyOf("other-2")}
	for _, other := range others {
		if !b.mirror.endpoints.take(other) {
			t.Fatalf("no turn for %s", other)
		}
	}
	verdict, err := b.reconcile(t, web)
	if !errors.Is(err, errAwaitsTurn) || verdict.State != Mirrored {
		t.Errorf("%s, %v", verdict, err)
	}
	if calls := b.take(); len(calls) != 1 || !strings.HasPrefix(calls[0], "update EndpointSlice ") {
		t.Errorf("written were %v", calls)
	}
	if next, waited := b.mirror.endpoints.giveBack(others[0]); !waited || next != web {
		t.Errorf("the next turn is that of %v", next)
	}
	if _, err := b.reconcile(t, web); err != nil {
		t.Error(err)
	}
	if calls := b.take(); len(calls) != 1 || calls[0] != "update Endpoints shop/web" {
		t.Errorf("written were %v", calls)
	}
}

// TestEmptiedEndpointsDoNotWait: what takes addresses away is done at once.
func TestEmptiedEndpointsDoNotWait(t *testing.T) {
	b := newBench(t, sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1"))))
	b.settle(t, web)
	emptied := sourceOf(exported(), sliceOf("web-0", notReady("10.0.0.1")))
	b.source.set(func() { b.source.cached[web], b.source.live[web] = emptied, emptied })
	b.mirror.endpoints.take(keyOf("other-1"))
	b.mirror.endpoints.take(keyOf("other-2"))
	b.settle(t, web)
	copies, err := b.target.Copies(web)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		if c.Kind == KindEndpoints && c.Ready > 0 {
			t.Errorf("the Endpoints have %d ready addresses", c.Ready)
		}
	}
}
