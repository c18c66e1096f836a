package sync

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestDestructionNeedsALiveReading(t *testing.T) {
	slice := sliceOf("web-1", ready("10.0.0.1"))
	whole := sourceOf(exported(), slice)
	projected := rules().sliceName(web.Name, slice)
	emptied := sourceOf(exported(), sliceOf("web-1", notReady("10.0.0.1")))
	death := []string{"live shop/web", "delete Service shop/web", "delete EndpointSlice shop/" + projected}
	tests := []struct {
		name string
		// cached is what the watches tell of the name now, live what the API server says.
		cached, live Source
		liveErr      error
		want         []string
		verdict      Verdict
		fails        bool
	}{
		{
			name: "a Service that both say is gone is withdrawn",
			want: death, verdict: Verdict{State: Withdrawn},
		},
		{
			name: "a Service that is still there is kept",
			live: whole,
			want: []string{"live shop/web"}, verdict: Verdict{State: Mirrored},
		},
		{
			name: "a Service of which the source can't say anything is kept", liveErr: errors.New("no route to host"),
			want: []string{"live shop/web"}, verdict: Verdict{State: Refused, Reason: SourceUnproven}, fails: true,
		},
		{
			name:   "the last ready address goes when the source says so itself",
			cached: emptied, live: emptied,
			want: []string{"live shop/web", "update EndpointSlice shop/" + projected, "update Endpoints shop/web"}, verdict: Verdict{State: Mirrored},
		},
		{
			name:   "the last ready address stays when it is still ready",
			cached: emptied, live: whole,
			want: []string{"live shop/web"}, verdict: Verdict{State: Mirrored},
		},
		{
			name:   "the last ready address stays when the source can't say",
			cached: emptied, liveErr: errors.New("no route to host"),
			want: []string{"live shop/web"}, verdict: Verdict{State: Refused, Reason: SourceUnproven}, fails: true,
		},
		{
			name:   "a rebirth needs a live reading too",
			cached: sourceOf(exported(headless), slice), live: whole,
			want: []string{"live shop/web"}, verdict: Verdict{State: Mirrored},
		},
		{
			name:   "an address that is added needs none",
			cached: sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2"))), liveErr: errors.New("no route to host"),
			want: []string{"update EndpointSlice shop/" + projected, "update Endpoints shop/web"}, verdict: Verdict{State: Mirrored},
		},
		{
			name:   "nothing to do asks nobody",
			cached: whole, liveErr: errors.New("no route to host"),
			verdict: Verdict{State: Mirrored},
		},
		{
			name:   "a slice list that is empty takes nothing away",
			cached: sourceOf(exported()), live: sourceOf(exported()),
			verdict: Verdict{State: Pending, Reason: EndpointsUnknown},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, whole)
			b.settle(t, web)
			b.source.cached[web], b.source.live[web], b.source.liveErr = test.cached, test.live, test.liveErr
			verdict, err := b.reconcile(t, web)
			if diff := cmp.Diff(test.want, b.take()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.verdict, verdict, cmpopts.IgnoreFields(Verdict{}, "Message")); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if (err != nil) != test.fails {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// TestASliceThatAWatchHasLostIsKept: that the pointer keeps other addresses is no reason to believe a cache.
func TestASliceThatAWatchHasLostIsKept(t *testing.T) {
	whole := sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")), sliceOf("web-2", ready("10.0.0.2")))
	b := newBench(t, whole)
	b.settle(t, web)
	b.source.cached[web], b.source.live[web] = sourceOf(whole.Service, whole.Slices[1]), whole
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"live shop/web"}, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestUnprovenOrUnsyncedReadsWriteNothing(t *testing.T) {
	whole := sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")))
	tests := []struct {
		name string
		edit func(*bench)
	}{
		{"the source has yet to tell all", func(b *bench) { b.source.unsynced = true }},
		{"the target has yet to tell all", func(b *bench) { b.target.unsynced = true }},
		{"what the target itself exports is not known", func(b *bench) { b.exports.unsynced = true }},
		{"the source may be another cluster", func(b *bench) { b.source.verifyErr = errors.New("it leads to another cluster") }},
	}
	for _, test := range tests {
		t.Run(test.name+", a pointer is to be born", func(t *testing.T) {
			b := newBench(t, whole)
			test.edit(b)
			if verdict, err := b.reconcile(t, web); err == nil {
				t.Errorf("no error, but %s", verdict)
			}
			if calls := b.take(); len(calls) > 0 {
				t.Errorf("calls: %q", calls)
			}
		})
		t.Run(test.name+", a pointer is to die", func(t *testing.T) {
			b := newBench(t, whole)
			b.settle(t, web)
			delete(b.source.cached, web)
			test.edit(b)
			if verdict, err := b.reconcile(t, web); err == nil {
				t.Errorf("no error, but %s", verdict)
			}
			if calls := b.take(); len(calls) > 0 {
				t.Errorf("calls: %q", calls)
			}
		})
	}
}

func TestBirthIsWrittenInOrderAndOwned(t *testing.T) {
	slice := sliceOf("web-1", ready("10.0.0.1"))
	b := newBench(t, sourceOf(exported(), slice))
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	name := rules().sliceName(web.Name, slice)
	want := []string{"look up Endpoints shop/web", "create Service shop/web", "create EndpointSlice shop/" + name, "create Endpoints shop/web"}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	service := b.target.model.objects[KindService.String()+"/shop/web"]
	written := b.target.model.objects[KindEndpointSlice.String()+"/shop/"+name].(*discoveryv1.EndpointSlice)
	if owner := written.OwnerReferences[0].UID; owner != service.GetUID() {
		t.Errorf("the slice is owned by %q, the Service is %q", owner, service.GetUID())
	}
	if verdict, err := b.reconcile(t, web); err != nil || len(b.take()) > 0 {
		t.Errorf("a second look has something to do: %s, %v", verdict, err)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	b := newBench(t, sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"))))
	b.mirror.DryRun = true
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	if calls := b.take(); len(calls) > 0 {
		t.Errorf("calls: %q", calls)
	}
	want := []string{"would create Service, create EndpointSlice, create Endpoints"}
	if diff := cmp.Diff(want, messages(b.log.AllEntries())); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestDryRunKnowsTheBrake(t *testing.T) {
	tests := []struct {
		name string
		open bool
		want string
	}{
		{"what the daemon holds is held", false, "Refused Held"},
		{"an operator would let it go", true, "would delete Service, delete EndpointSlice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := wholeWeb()
			b := newBench(t, source)
			b.settle(t, web)
			b.source.set(func() { delete(b.source.cached, web) })
			b.ledger.values, b.ledger.version = brakeState{pointers: 30, withdrawn: 15, tripped: true}.values(), 1
			b.mirror.DryRun, b.mirror.Brake.Open = true, test.open
			b.log.Reset()
			verdict, err := b.reconcile(t, web)
			if err != nil {
				t.Fatal(err)
			}
			b.mirror.record(web, verdict)
			if lines := messages(b.log.AllEntries()); len(lines) != 1 || !strings.HasPrefix(lines[0], test.want) {
				t.Errorf("log: %q, want %q", lines, test.want)
			}
			if err := b.mirror.tendBrake(t.Context()); err != nil || b.ledger.stores > 0 {
				t.Errorf("%v, and the ledger was written %d times", err, b.ledger.stores)
			}
		})
	}
}

func TestDryRunSeesThatTheBrakeIsReleased(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	b.source.set(func() { delete(b.source.cached, web) })
	b.ledger.values, b.ledger.version = brakeState{pointers: 30, withdrawn: 15, tripped: true}.values(), 1
	b.mirror.DryRun = true
	if verdict, err := b.reconcile(t, web); err != nil || verdict.Reason != Held {
		t.Fatalf("%s, %v", verdict, err)
	}
	b.ledger.values, b.ledger.version = brakeState{}.values(), 2
	if err := b.mirror.tendBrake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if key, _ := b.mirror.queue.Get(); key != web {
		t.Errorf("%s is looked at again", key)
	}
}
