package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPointerIsNotBornOntoSlicesOfAnotherService(t *testing.T) {
	source, slice := wholeWeb()
	leftBehind := sourceOf(nil, sliceOf("web-n", ready("10.9.0.1")))
	pointer := standing(rules(), source)
	grown := sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2")))
	tests := []struct {
		name   string
		rules  Rules
		source Source
		target Target
		want   []string
		reason Reason
	}{
		{"it waits until they are gone", rules(), source, joinedTarget(leftBehind), nil, SlicesStand},
		{"what stands of it waits, too", rules(), grown, joinedTarget(leftBehind, pointer[1:]...), nil, SlicesStand},
		{"so does one without addresses", rules(func(r *Rules) { r.Drained = true }), source, joinedTarget(leftBehind), nil, SlicesStand},
		{"one that lives goes on", rules(), grown, joinedTarget(leftBehind, pointer...), []string{"update EndpointSlice shop/" + slice, "update Endpoints shop/web"}, ""},
		{"one that is to go does", rules(), Source{}, joinedTarget(leftBehind, pointer[1:]...), []string{"delete EndpointSlice shop/" + slice, "delete Endpoints shop/web"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			plan := test.rules.Plan(test.source, test.target)
			if diff := cmp.Diff(test.want, describe(plan.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if plan.Verdict.Reason != test.reason {
				t.Errorf("verdict: %s", plan.Verdict)
			}
		})
	}
}

// TestANativeServiceThatIsGoneLeavesItsSlices: a live reading that finds it gone says nothing about them.
func TestANativeServiceThatIsGoneLeavesItsSlices(t *testing.T) {
	b := newJoinBench(t, ModeFailover, notReady("10.9.0.1"))
	b.settle(t, web)
	b.own(ModeFailover, ready("10.9.0.1"))
	b.mirror.recovery.after = 0
	b.exports.live = map[Key]Source{web: {}}
	if verdict, err := b.reconcile(t, web); verdict.Reason != SlicesStand || err != nil {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string(nil), b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestSlicesWithoutAServiceExportNothing: those that are left in the source of a Service that is gone.
func TestSlicesWithoutAServiceExportNothing(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	source.Service = nil
	b.source.set(func() { b.source.cached[web], b.source.live[web] = source, Source{} })
	look := inspect(t, b)
	if diff := cmp.Diff(Source{}, look.Source); diff != "" {
		t.Errorf("the source (-want +got):\n%s", diff)
	}
	if _, known := LastChange(look.Source.Slices); known || !look.Plan.Withdraws {
		t.Errorf("%s", look.Plan.Verdict)
	}
}
