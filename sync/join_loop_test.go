package sync

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// newJoinBench makes a mirror of a Service that green exports as well, in the same mode. Both have one pod, and blue's is
// ready.
func newJoinBench(t testing.TB, wanted Mode, own discoveryv1.Endpoint) *bench {
	t.Helper()
	b := newBench(t, sourceOf(exported(mode(wanted)), sliceOf("web-1", ready("10.0.0.1"))))
	b.mirror.RecoverAfter = RecoverAfter
	b.mirror.recovery.after = RecoverAfter
	b.target.model.put(native(mode(wanted)))
	b.own(wanted, own)
	return b
}

// own says what green has under the name.
func (b *bench) own(wanted Mode, endpoints ...discoveryv1.Endpoint) {
	b.exports.set(func() { b.exports.cached[web] = sourceOf(native(mode(wanted)), sliceOf("web-n", endpoints...)) })
}

var joinedSlice = "EndpointSlice shop/" + rules().sliceName(web.Name, sliceOf("web-1"))

func TestWhatIsTakenFromANativeServiceIsReadLive(t *testing.T) {
	up, down := ready("10.9.0.1"), notReady("10.9.0.1")
	unreachable := errors.New("no route to host")
	tests := []struct {
		name string
		edit func(b *bench)
		// source and target are the calls to both clusters.
		source, target []string
		reason         Reason
		fails          bool
	}{
		{
			"failover's way back reads the target, and not the source", func(b *bench) { b.own(ModeFailover, up); b.source.liveErr = unreachable },
			[]string{"delete " + joinedSlice}, []string{"live shop/web"}, Standby, false,
		},
		{
			"it does not happen where the target says otherwise",
			func(b *bench) {
				b.own(ModeFailover, up)
				b.exports.live[web] = sourceOf(native(mode(ModeFailover)), sliceOf("web-n", down))
			},
			nil, []string{"live shop/web"}, FailedOver, false,
		},
		{
			"it does not happen where the target can't say", func(b *bench) { b.own(ModeFailover, up); b.exports.liveErr = unreachable },
			nil, []string{"live shop/web"}, WriteFailed, true,
		},
		{
			"a source whose Service is gone is asked, and so is the target", func(b *bench) { delete(b.source.cached, web) },
			[]string{"live shop/web", "delete " + joinedSlice}, []string{"live shop/web"}, "", false,
		},
		{
			"a Service that is still there keeps its addresses", func(b *bench) {
				b.source.live[web] = b.source.cached[web]
				delete(b.source.cached, web)
			},
			[]string{"live shop/web"}, nil, FailedOver, false,
		},
		{
			"a mode that the target has no more is read there", func(b *bench) { b.own(ModePointer, down) },
			[]string{"live shop/web", "delete " + joinedSlice}, []string{"live shop/web"}, ModesDisagree, false,
		},
		{
			"a mode that it still has keeps the addresses", func(b *bench) {
				b.exports.live[web] = b.exports.cached[web]
				b.own(ModePointer, down)
			},
			[]string{"live shop/web"}, []string{"live shop/web"}, FailedOver, false,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newJoinBench(t, ModeFailover, down)
			b.mirror.recovery.after = 0
			b.settle(t, web)
			b.exports.live = map[Key]Source{}
			b.exports.take()
			test.edit(b)
			verdict, err := b.reconcile(t, web)
			if verdict.Reason != test.reason || (err != nil) != test.fails {
				t.Errorf("%s, %v", verdict, err)
			}
			if diff := cmp.Diff(test.source, b.take()); diff != "" {
				t.Errorf("reads of the source and writes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.target, b.exports.take()); diff != "" {
				t.Errorf("reads of the target (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAddedSlicesWithNothingReadyAreWithdrawnFromLiveReadings: what is not ready now may be in a moment.
func TestAddedSlicesWithNothingReadyAreWithdrawnFromLiveReadings(t *testing.T) {
	b := newJoinBench(t, ModeJoin, ready("10.9.0.1"))
	b.source.cached[web] = sourceOf(exported(mode(ModeJoin)), sliceOf("web-1", notReady("10.0.0.1")))
	b.settle(t, web)
	b.source.live[web] = b.source.cached[web]
	delete(b.source.cached, web)
	if verdict, err := b.reconcile(t, web); verdict.Reason != Joined || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"live shop/web"}, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestFailoverGoesOutAtOnceAndBackWhenThatHasLasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newJoinBench(t, ModeFailover, ready("10.9.0.1"))
		hub := running(t, 1, b.mirror)
		hub.EnqueueAll()
		at := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, b.take()); diff != "" {
				t.Errorf("%s: calls (-want +got):\n%s", what, diff)
			}
		}
		change := func(own discoveryv1.Endpoint) {
			b.own(ModeFailover, own)
			hub.Enqueue(web)
		}
		up, down := ready("10.9.0.1"), notReady("10.9.0.1")
		at("while its own pod is ready")
		change(down)
		at("when it is not", "create "+joinedSlice)
		change(up)
		at("when it is again")
		time.Sleep(RecoverAfter - time.Second)
		at("shortly before that has lasted")
		change(down)
		at("when it fails again, with the others still there")
		change(up)
		at("when it has come back")
		time.Sleep(RecoverAfter - time.Second)
		at("shortly before that has lasted")
		time.Sleep(time.Second)
		at("when it has", "delete "+joinedSlice)
		change(down)
		at("when it fails at once", "create "+joinedSlice)
		if got := countOf(b, "Mirrored FailedOver"); got != 2 {
			t.Errorf("%d log lines about a failover, not 2", got)
		}
	})
}

func TestRestartAndAnUnknownSourceBeginTheTimeAnew(t *testing.T) {
	for name, interrupt := range map[string]func(b *bench){
		"a restart": func(b *bench) { b.mirror.recovery.since = nil },
		"a source that could not be proven": func(b *bench) {
			b.source.set(func() { b.source.verifyErr = errors.New("it leads to another cluster") })
			if _, err := b.mirror.reconcile(context.Background(), web); err == nil {
				panic("it was proven")
			}
			b.source.set(func() { b.source.verifyErr = nil })
		},
		"a target that could not be read": func(b *bench) {
			b.exports.set(func() { b.exports.liveErr = errors.New("no route to host") })
			if _, err := b.mirror.reconcile(context.Background(), web); err == nil {
				panic("it was read")
			}
			b.exports.set(func() { b.exports.liveErr = nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newJoinBench(t, ModeFailover, notReady("10.9.0.1"))
				b.settle(t, web)
				b.own(ModeFailover, ready("10.9.0.1"))
				b.settle(t, web)
				time.Sleep(RecoverAfter)
				interrupt(b)
				b.settle(t, web)
				if !b.mirror.recovery.isOver(web) && len(b.target.model.copies(rules(), web)) > 1 {
					return
				}
				t.Error("it went on as if nothing had been")
			})
		})
	}
}

func TestBrakeHoldsWithdrawalsFromNativeServicesAndNoFailover(t *testing.T) {
	const count = 30
	key := func(i int) Key { return Key{Namespace: web.Namespace, Name: fmt.Sprintf("web-%d", i)} }
	fill := func(t *testing.T) *bench {
		t.Helper()
		b := newBench(t)
		for i := range count {
			k := key(i)
			slice, own := sliceOf(k.Name+"-1", ready("10.0.0.1")), sliceOf(k.Name+"-n", notReady("10.9.0.1"))
			slice.Labels["kubernetes.io/service-name"], own.Labels["kubernetes.io/service-name"] = k.Name, k.Name
			b.source.cached[k] = sourceOf(exported(mode(ModeFailover), named(k.Namespace, k.Name)), slice)
			b.exports.cached[k] = sourceOf(native(mode(ModeFailover), named(k.Namespace, k.Name)), own)
			b.settle(t, k)
		}
		return b
	}
	left := func(b *bench) int { return len(b.target.Keys()) }

	t.Run("withdrawals", func(t *testing.T) {
		b := fill(t)
		for i := range count {
			delete(b.source.cached, key(i))
			if verdict, err := b.reconcile(t, key(i)); err != nil {
				t.Fatal(verdict, err)
			}
		}
		if got := left(b); got != count/2 {
			t.Errorf("%d of %d names are left, not half of them", got, count)
		}
	})
	t.Run("failover's way back", func(t *testing.T) {
		b := fill(t)
		for i := range count {
			b.exports.cached[key(i)].Slices[0].Endpoints[0] = ready("10.9.0.1")
			if verdict, err := b.reconcile(t, key(i)); err != nil {
				t.Fatal(verdict, err)
			}
		}
		if got := left(b); got != 0 {
			t.Errorf("%d names are left", got)
		}
	})
}

func TestNativeServiceThatIsUnlabelledLosesWhatWasAdded(t *testing.T) {
	b := newJoinBench(t, ModeJoin, ready("10.9.0.1"))
	b.settle(t, web)
	delete(b.exports.cached, web)
	verdict, err := b.reconcile(t, web)
	if verdict.Reason != Conflict || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	want := []string{"look up Endpoints shop/web", "create Service shop/web", "look up Service shop/web", "live shop/web", "delete " + joinedSlice}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}

	// Labelled again it is no longer in the way, and not asked for any more.
	b.own(ModeJoin, ready("10.9.0.1"))
	b.settle(t, web)
	b.settle(t, web)
	if b.mirror.isForeign(web) {
		t.Error("it is still taken for an object that is in the way")
	}
}

func TestEventsOfAFailover(t *testing.T) {
	b := newJoinBench(t, ModeFailover, ready("10.9.0.1"))
	b.mirror.recovery.after = 0
	var source, target events
	b.mirror.SourceEvents, b.mirror.TargetEvents = &source, &target
	for _, own := range []discoveryv1.Endpoint{ready("10.9.0.1"), notReady("10.9.0.1"), notReady("10.9.0.2"), ready("10.9.0.1")} {
		b.own(ModeFailover, own)
		b.settle(t, web)
	}
	if diff := cmp.Diff(events{"Normal FailedOver uid-of-web", "Normal Standby uid-of-web"}, source); diff != "" {
		t.Errorf("in the source (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(events{"Normal FailedOver uid-of-native", "Normal Standby uid-of-native"}, target); diff != "" {
		t.Errorf("in the target (-want +got):\n%s", diff)
	}
}

func TestSilentSourceLosesItsAddressesInANativeService(t *testing.T) {
	b := newJoinBench(t, ModeFailover, notReady("10.9.0.1"))
	b.settle(t, web)
	b.mirror.WithdrawAfter, b.mirror.Heartbeat = time.Minute, silence(time.Hour)
	b.source.verifyErr, b.source.liveErr = errors.New("no route to host"), errors.New("no route to host")
	b.mirror.tend(t.Context())
	if verdict, err := b.reconcile(t, web); verdict.Reason != SourceUnproven || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"delete " + joinedSlice}, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	r := rules()
	if got := r.ready(KindEndpointSlice, b.target.model.copies(r, web)); got != 0 {
		t.Errorf("%d ready addresses", got)
	}
}

func TestDrainTakesAddressesFromANativeService(t *testing.T) {
	b := newJoinBench(t, ModeJoin, ready("10.9.0.1"))
	b.settle(t, web)
	b.mirror.Orders = drains{blue: true}
	if verdict, err := b.reconcile(t, web); verdict.Reason != Drained || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"delete " + joinedSlice}, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	b.source.verifyErr = errors.New("no route to host")
	b.target.model.put(b.target.model.objects["Service/shop/web"])
	if _, err := b.reconcile(t, web); err == nil || len(b.take()) > 0 {
		t.Error("a second time it has something to do")
	}
}
