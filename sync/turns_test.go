package sync

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"pgregory.net/rapid"
)

func TestTurnsGoInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	turns := newTurns()
	if !turns.take(keyOf("a")) {
		t.Error("nobody has the turn, and it is not given")
	}
	if !turns.take(keyOf("a")) {
		t.Error("who has the turn does not keep it")
	}
	for _, key := range []string{"b", "c", "b"} {
		if turns.take(keyOf(key)) {
			t.Errorf("%s got a second turn", key)
		}
	}
	for _, step := range []struct{ done, next string }{{"c", ""}, {"a", "b"}, {"b", "c"}, {"c", ""}, {"c", ""}} {
		next, given := turns.giveBack(keyOf(step.done))
		if given != (step.next != "") || given && next != keyOf(step.next) {
			t.Errorf("after %s came %v", step.done, next)
		}
	}
}

func TestATurnComesAfterTheLastSlice(t *testing.T) {
	turns := newTurns()
	turns.beginSlice()
	turns.beginSlice()
	if turns.take(web) {
		t.Error("Endpoints go while slices are written")
	}
	if _, given := turns.endSlice(); given {
		t.Error("Endpoints go while one more slice is written")
	}
	if next, given := turns.endSlice(); !given || next != web {
		t.Error("Endpoints don't go after the last slice")
	}
}

func TestATurnComesInTheEndWhileSlicesAreAlwaysWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		turns.beginSlice()
		if turns.take(web) {
			t.Error("Endpoints go while a slice is written")
		}
		time.Sleep(turnPatience)
		turns.beginSlice()
		if next, given := turns.endSlice(); !given || next != web {
			t.Error("Endpoints have to wait for ever")
		}
	})
}

func TestATurnThatIsHeldForTooLongIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		turns.take(keyOf("hangs"))
		if turns.take(web) {
			t.Error("two have the turn")
		}
		time.Sleep(turnPatience)
		if !turns.take(web) {
			t.Error("one write that hangs holds up all others")
		}
		if _, given := turns.giveBack(keyOf("hangs")); given {
			t.Error("who was overtaken gives the turn of another away")
		}
	})
}

// TestNoTurnIsLost: whoever asks, in whatever order, there is never more than one turn out, and never a name that waits
// while it could go.
func TestNoTurnIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := newTurns()
		holder, asking, slices := "", sets.New[string](), 0
		give := func(next Key, given bool) {
			if !given {
				return
			}
			if holder != "" {
				t.Fatalf("%s gets a turn while %s has it", next, holder)
			}
			holder = next.Name
			asking.Delete(holder)
		}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				mine := turns.take(keyOf(key))
				if mine && holder == "" {
					holder = key
					asking.Delete(key)
				}
				if mine != (holder == key) {
					t.Fatalf("%s has a turn: %t, but it is that of %q", key, mine, holder)
				}
				if !mine {
					asking.Insert(key)
				}
			case 1:
				if holder == key {
					holder = ""
				}
				give(turns.giveBack(keyOf(key)))
			case 2:
				turns.beginSlice()
				slices++
			case 3:
				if slices > 0 {
					slices--
					give(turns.endSlice())
				}
			}
			if asking.Len() > 0 && holder == "" && slices == 0 {
				t.Fatalf("%v wait, and nobody has the turn", asking)
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
	other := keyOf("other")
	if !b.mirror.endpoints.take(other) {
		t.Fatal("no turn for another")
	}
	verdict, err := b.mirror.reconcile(t.Context(), web)
	if !errors.Is(err, errAwaitsTurn) || verdict.State != Mirrored {
		t.Errorf("%s, %v", verdict, err)
	}
	if calls := b.take(); len(calls) != 1 || !strings.HasPrefix(calls[0], "update EndpointSlice ") {
		t.Errorf("written were %v", calls)
	}
	if verdict, err := b.mirror.reconcile(t.Context(), web); !errors.Is(err, errAwaitsTurn) || len(b.take()) > 0 {
		t.Errorf("%s, %v", verdict, err)
	}
	if next, given := b.mirror.endpoints.giveBack(other); !given || next != web {
		t.Errorf("the next turn is that of %v", next)
	}
	if _, err := b.mirror.reconcile(t.Context(), web); err != nil {
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
	b.mirror.endpoints.take(keyOf("other"))
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
