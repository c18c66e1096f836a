package sync

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"pgregory.net/rapid"
)

// turnsCalling makes turns, and a function that gives who was called since it was last asked.
func turnsCalling() (*turns, func() string) {
	var called []string
	turns := newTurns(func(key Key) { called = append(called, key.Name) })
	return turns, func() string {
		synctest.Wait()
		turns.mu.Lock()
		defer turns.mu.Unlock()
		names := strings.Join(called, " ")
		called = nil
		return names
	}
}

func TestTurnsGoInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, called := turnsCalling()
		for _, key := range []string{"a", "b", "c", "b"} {
			turns.ask(keyOf(key))
		}
		if names := called(); names != "" {
			t.Errorf("%s goes at once, before the slices can have arrived", names)
		}
		time.Sleep(turnDelay)
		for _, step := range []struct{ holder, done, next string }{
			{"a", "", "a"}, {"a", "c", ""}, {"a", "a", "b"}, {"b", "b", "c"}, {"c", "c", ""},
		} {
			turns.giveBack(keyOf(step.done))
			if names := called(); names != step.next {
				t.Errorf("after %q came %q, not %q", step.done, names, step.next)
			}
		}
		if turns.has(keyOf("c")) {
			t.Error("who gave the turn back still has it")
		}
	})
}

func TestATurnComesAfterTheLastSlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, called := turnsCalling()
		turns.beginSlice()
		turns.beginSlice()
		turns.ask(web)
		time.Sleep(turnDelay)
		if called() != "" {
			t.Error("Endpoints go while slices are written")
		}
		turns.endSlice()
		if called() != "" {
			t.Error("Endpoints go while one more slice is written")
		}
		turns.endSlice()
		if called() != "web" || !turns.has(web) {
			t.Error("Endpoints don't go after the last slice")
		}
	})
}

func TestATurnComesInTheEndWhileSlicesAreAlwaysWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, called := turnsCalling()
		turns.beginSlice()
		turns.ask(web)
		time.Sleep(turnPatience)
		if called() != "web" {
			t.Error("Endpoints have to wait for ever")
		}
	})
}

func TestATurnThatIsHeldForTooLongIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, called := turnsCalling()
		turns.ask(keyOf("hangs"))
		turns.ask(web)
		time.Sleep(turnDelay + turnPatience)
		if names := called(); names != "hangs web" {
			t.Errorf("%q had a turn: one write that hangs holds up all others", names)
		}
		turns.giveBack(keyOf("hangs"))
		if !turns.has(web) {
			t.Error("who was overtaken gives the turn of another away")
		}
	})
}

// TestNoTurnIsLost: whoever asks, in whatever order, nobody is called while another has the turn or a slice is written, and
// whoever waits is called in the end, once.
func TestNoTurnIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) turnStep {
			return turnStep{rapid.IntRange(0, 4).Draw(r, "what"), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(r, "name")}
		}), 1, 50).Draw(r, "steps")
		wrong := ""
		synctest.Test(t, func(*testing.T) { wrong = playTurns(steps) })
		if wrong != "" {
			r.Fatal(wrong)
		}
	})
}

type turnStep struct {
	what int
	name string
}

// playTurns says what went wrong; nothing as a rule.
func playTurns(steps []turnStep) string {
	turns, called := turnsCalling()
	holder, asking, slices := "", sets.New[string](), 0
	for _, step := range steps {
		switch step.what {
		case 0:
			turns.ask(keyOf(step.name))
			asking.Insert(step.name)
		case 1:
			turns.giveBack(keyOf(step.name))
			if holder == step.name {
				holder = ""
			}
		case 2:
			turns.beginSlice()
			slices++
		case 3:
			if slices > 0 {
				turns.endSlice()
				slices--
			}
		case 4:
			time.Sleep(turnDelay)
		}
		if next := called(); next != "" {
			if holder != "" || slices > 0 || !asking.Has(next) {
				return fmt.Sprintf("%q is called while %q has the turn, %d slices are written and %v wait", next, holder, slices, asking)
			}
			holder = next
			asking.Delete(next)
		}
	}
	time.Sleep(turnPatience * time.Duration(1+asking.Len()))
	if late := strings.Fields(called()); !asking.Equal(sets.New(late...)) || len(late) != asking.Len() {
		return fmt.Sprintf("%v waited, and %v were called", asking, late)
	}
	return ""
}

// TestSlicesDoNotWaitForEndpoints: while others update their Endpoints, a name's slices are written, and its Endpoints in
// their turn.
func TestSlicesDoNotWaitForEndpoints(t *testing.T) {
	before := sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1")))
	b := newBench(t, before)
	b.settle(t, web)
	b.source.set(func() { b.source.cached[web] = sourceOf(exported(), sliceOf("web-0", ready("10.0.0.2"))) })
	other := keyOf("other")
	b.mirror.endpoints.ask(other)
	b.awaitTurn(t, other)
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
	b.mirror.endpoints.giveBack(other)
	b.awaitTurn(t, web)
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
	other := keyOf("other")
	b.mirror.endpoints.ask(other)
	b.awaitTurn(t, other)
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

func TestATurnThatComesDuringALookIsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		b.settle(t, web)
		b.source.cached[web] = sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2")))
		b.mirror.endpoints.ask(web)
		b.target.refuse = func(string) error {
			time.Sleep(2 * turnPatience)
			return nil
		}
		if _, err := b.mirror.reconcile(t.Context(), web); !errors.Is(err, errAwaitsTurn) {
			t.Errorf("%v", err)
		}
		if !b.mirror.endpoints.has(web) {
			t.Error("it is given back before it is used")
		}
		b.mirror.queue.ShutDown()
		b.mirror.endpoints.stop()
	})
}
