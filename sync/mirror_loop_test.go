package sync

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// running lets a hub work in the background of a bubble until the test ends.
func running(t *testing.T, workers int, mirrors ...*Mirror) *Hub {
	t.Helper()
	hub := &Hub{Mirrors: mirrors, Workers: workers}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return hub
}

func TestFailingNameBacksOffAndDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(20)...)
		var tries []time.Time
		b.target.refuse = func(call string) error {
			if call == "create Service shop/web-3" {
				tries = append(tries, time.Now())
				return errors.New("quota")
			}
			return nil
		}
		began := time.Now()
		hub := running(t, 1, b.mirror)
		hub.EnqueueAll()
		synctest.Wait()
		if count := len(b.target.model.objects); count != 57 {
			t.Errorf("beside a failing one, 19 Services made %d objects, not 57", count)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the others waited %s for the failing one", waited)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := 2; i < len(tries); i++ {
			before, after := tries[i-1].Sub(tries[i-2]), tries[i].Sub(tries[i-1])
			if after < before || after > retryLast {
				t.Errorf("try %d came %s after the one before, that one %s", i, after, before)
			}
		}
		if last := tries[len(tries)-1].Sub(tries[len(tries)-2]); last != retryLast {
			t.Errorf("a name that fails for good is tried every %s, not %s", last, retryLast)
		}
		if diff := cmp.Diff(1, countOf(b, "Pending WriteFailed")); diff != "" {
			t.Errorf("log lines about the failure (-want +got):\n%s", diff)
		}
		b.target.set(func() { b.target.refuse = nil })
		time.Sleep(retryLast)
		synctest.Wait()
		if count := len(b.target.model.objects); count != 60 {
			t.Errorf("when the cause has gone, there are %d objects, not 60", count)
		}
	})
}

func TestConflictIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		b.target.model.put(theirs(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}}))
		running(t, 1, b.mirror).EnqueueAll()
		synctest.Wait()
		if verdict := b.mirror.Verdicts()[web]; verdict.Reason != Conflict {
			t.Errorf("verdict: %s", verdict)
		}
		b.target.set(func() { delete(b.target.model.objects, KindService.String()+"/shop/web") })
		time.Sleep(recheck)
		synctest.Wait()
		if verdict := b.mirror.Verdicts()[web]; verdict != (Verdict{State: Mirrored}) {
			t.Errorf("verdict after the name was freed: %s", verdict)
		}
	})
}

func TestNothingToDoAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(5)...)
		running(t, 2, b.mirror).EnqueueAll()
		synctest.Wait()
		b.take()
		time.Sleep(time.Hour)
		synctest.Wait()
		if calls := b.take(); len(calls) > 0 {
			t.Errorf("calls at rest: %q", calls)
		}
	})
}

func TestUnsyncedNamesComeBackWithTheSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		b.source.unsynced = true
		hub := running(t, 1, b.mirror)
		hub.Enqueue(web)
		hub.EnqueueAll()
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls := b.take(); len(calls) > 0 || b.mirror.pass.begun {
			t.Errorf("before the sync: calls %q, pass begun: %t", calls, b.mirror.pass.begun)
		}
		b.source.set(func() { b.source.unsynced = false })
		hub.EnqueueAll()
		synctest.Wait()
		if verdict := b.mirror.Verdicts()[web]; verdict != (Verdict{State: Mirrored}) {
			t.Errorf("verdict: %s", verdict)
		}
	})
}

func TestFirstPassEndsThoughANameVanishesWhileUnsynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		b.mirror.enqueueAll()
		b.source.set(func() { b.source.unsynced = true })
		hub := running(t, 1, b.mirror)
		synctest.Wait()
		if b.mirror.pass.isDone() {
			t.Error("the pass ended before its name was looked at")
		}
		b.source.set(func() {
			b.source.unsynced = false
			clear(b.source.cached)
		})
		hub.EnqueueAll()
		synctest.Wait()
		if !b.mirror.pass.isDone() {
			t.Error("the pass waits for a name that is gone")
		}
	})
}

func TestNamesOutOfScopeAreNotLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		b.mirror.InScope = func(namespace string) bool { return namespace != "shop" }
		hub := running(t, 1, b.mirror)
		hub.EnqueueAll()
		hub.Enqueue(web)
		hub.EnqueueNamespace("shop")
		synctest.Wait()
		if calls := b.take(); len(calls) > 0 {
			t.Errorf("calls: %q", calls)
		}
	})
}

func TestFlappingServiceEndsInItsLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := wholeWeb()
		b := newBench(t, source)
		hub := running(t, 4, b.mirror)
		hub.EnqueueAll()
		for i := range 101 {
			b.source.set(func() {
				delete(b.source.cached, web)
				if i%2 == 1 {
					b.source.cached[web] = source
				}
			})
			hub.Enqueue(web)
		}
		synctest.Wait()
		if left := sortedKeys(b.target.model.objects); len(left) > 0 {
			t.Errorf("of a Service that is gone there is left: %q", left)
		}
		if b.mirror.queue.Len() > 0 {
			t.Errorf("the queue still has %d names", b.mirror.queue.Len())
		}
	})
}

// countOf counts the log lines that begin so.
func countOf(b *bench, start string) int {
	return len(slices.DeleteFunc(messages(b.log.AllEntries()), func(line string) bool {
		return len(line) < len(start) || line[:len(start)] != start
	}))
}
