package sync

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"pgregory.net/rapid"
)

// ready counts the ready addresses of a pointer in objects of one kind.
func (r Rules) ready(kind Kind, copies []*Copy) int {
	count := 0
	for _, c := range copies {
		if c.Kind == kind && r.owns(c) {
			count += int(c.Ready)
		}
	}
	return count
}

// readyIn counts those that the pointer has in slices, which kube-proxy reads.
func readyIn(m *model, r Rules) int {
	return r.ready(KindEndpointSlice, m.copies(r, web))
}

// TestMovingAddressesStayReachable: the source moves its endpoints between slices, and makes and drops slices as it does.
func TestMovingAddressesStayReachable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rules()
		endpoints := []discoveryv1.Endpoint{ready("10.0.0.1"), ready("10.0.0.2"), notReady("10.0.0.3"), ready("10.0.0.4")}
		spread := func() Source {
			source := sourceOf(exported(), sliceOf("web-0"), sliceOf("web-1"), sliceOf("web-2"))
			for _, endpoint := range endpoints {
				slice := source.Slices[rapid.IntRange(0, 2).Draw(t, "slice")]
				slice.Endpoints = append(slice.Endpoints, endpoint)
			}
			source.Slices = slices.DeleteFunc(source.Slices, func(slice *discoveryv1.EndpointSlice) bool { return len(slice.Endpoints) == 0 })
			return source
		}
		green := newModel(dualStack)
		converge(t, green, r, dualStack, spread())
		neverWithout(t, green, r, dualStack, spread())
	})
}

// TestReadyAddressesAreNeverAllAbsent: whatever else changes, a plan passes through no state in which a pointer that had
// ready addresses has none, unless it leads to one, or deletes the Service: then it is made from a live reading of the source.
// It may change from one endpoints API to another in between.
func TestReadyAddressesAreNeverAllAbsent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network := drawRules(t), drawNetwork(t)
		green := newModel(network)
		before := r
		before.EndpointsAPI = rapid.SampledFrom([]EndpointsAPI{r.EndpointsAPI, r.EndpointsAPI, Both, SlicesOnly, EndpointsOnly}).Draw(t, "endpoints API before")
		converge(t, green, before, network, drawSource(t))
		neverWithout(t, green, r, network, drawSource(t))
	})
}

func neverWithout(t *rapid.T, green *model, r Rules, network Network, source Source) {
	t.Helper()
	plan := r.Plan(source, green.target(r, web, network))
	if plan.deletes() {
		return
	}
	type count struct{ slices, all int }
	now := func() count {
		inSlices := readyIn(green, r)
		return count{inSlices, inSlices + r.ready(KindEndpoints, green.copies(r, web))}
	}
	before := now()
	var passed []count
	if err := carryOutAnd(green, plan.Changes, func(int) { passed = append(passed, now()) }); err != nil {
		t.Fatalf("carry out %v: %v", describe(plan.Changes), err)
	}
	after := now()
	if (before.all > 0 && after.all == 0 || before.slices > 0 && after.slices == 0) && !plan.Destroys() {
		t.Fatalf("%v takes the last ready address away, and would be carried out without a live reading", describe(plan.Changes))
	}
	for i, step := range passed {
		if before.all > 0 && after.all > 0 && step.all == 0 {
			t.Fatalf("the pointer has no ready address after %v of %v", describe(plan.Changes[:i+1]), describe(plan.Changes))
		}
		if before.slices > 0 && after.slices > 0 && step.slices == 0 {
			t.Fatalf("no slice has a ready address after %v of %v", describe(plan.Changes[:i+1]), describe(plan.Changes))
		}
	}
}

// TestFlippedReadinessIsNoGap: one pod gets ready in the moment in which the only other one no longer is.
func TestFlippedReadinessIsNoGap(t *testing.T) {
	r := rules()
	for _, order := range [][2]string{{"web-0", "web-1"}, {"web-1", "web-0"}} {
		green := newModel(dualStack)
		converge(t, green, r, dualStack, sourceOf(exported(), sliceOf(order[0], ready("10.0.0.1")), sliceOf(order[1], notReady("10.0.0.2"))))
		plan := r.Plan(sourceOf(exported(), sliceOf(order[0], notReady("10.0.0.1")), sliceOf(order[1], ready("10.0.0.2"))), green.target(r, web, dualStack))
		err := carryOutAnd(green, plan.Changes, func(i int) {
			if readyIn(green, r) == 0 {
				t.Errorf("no ready address after %v of %v", describe(plan.Changes[:i+1]), describe(plan.Changes))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestEmptyPrimaryFamilyIsEmptiedFromALiveReadingOnly: Endpoints hold the primary family alone. Where that has no ready
// address left, they are emptied, whatever the other family has.
func TestEmptyPrimaryFamilyIsEmptiedFromALiveReadingOnly(t *testing.T) {
	r := rules(func(r *Rules) { r.EndpointsAPI = EndpointsOnly })
	both := families(corev1.IPv4Protocol, corev1.IPv6Protocol)
	green := newModel(dualStack)
	converge(t, green, r, dualStack, sourceOf(exported(both), sliceOf("web-0", ready("10.0.0.1")), sliceOf6("web-1", ready("fd00:1::1"))))
	plan := r.Plan(sourceOf(exported(both), sliceOf("web-0", notReady("10.0.0.1")), sliceOf6("web-1", ready("fd00:1::1"))), green.target(r, web, dualStack))
	if !plan.Destroys() {
		t.Errorf("%v takes the last ready address out of the Endpoints, and would be carried out without a live reading", describe(plan.Changes))
	}
}

// TestSlicesGoFromALiveReadingOnly: a pointer may have ready addresses in its slices alone, as Endpoints hold the primary
// family only. It loses them where only Endpoints are to be written from now on.
func TestSlicesGoFromALiveReadingOnly(t *testing.T) {
	both := families(corev1.IPv6Protocol, corev1.IPv4Protocol)
	source := sourceOf(exported(both), sliceOf("web-0", ready("10.0.0.1")))
	green := newModel(dualStack)
	converge(t, green, rules(), dualStack, source)
	r := rules(func(r *Rules) { r.EndpointsAPI = EndpointsOnly })
	plan := r.Plan(source, green.target(r, web, dualStack))
	if !plan.Destroys() {
		t.Errorf("%v takes the last ready address away, and would be carried out without a live reading", describe(plan.Changes))
	}
}

// TestEachSliceIsEmptiedFromALiveReadingOnly: that another slice keeps an address is known from a cache, too.
func TestEachSliceIsEmptiedFromALiveReadingOnly(t *testing.T) {
	r := rules(func(r *Rules) { r.EndpointsAPI = SlicesOnly })
	stays, goes, endpoint := sliceOf("web-0", ready("10.0.0.1")), "web-1", ready("10.0.0.2")
	tests := []struct {
		name   string
		slices []*discoveryv1.EndpointSlice
		want   bool
	}{
		{"its last ready address is not ready any more", []*discoveryv1.EndpointSlice{stays, sliceOf(goes, notReady("10.0.0.2"))}, true},
		{"it goes", []*discoveryv1.EndpointSlice{stays}, true},
		{"its address is exchanged for another", []*discoveryv1.EndpointSlice{stays, sliceOf(goes, ready("10.0.0.3"))}, false},
		{"a third one comes", []*discoveryv1.EndpointSlice{stays, sliceOf(goes, endpoint), sliceOf("web-2", notReady("10.0.0.3"))}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			green := newModel(dualStack)
			converge(t, green, r, dualStack, sourceOf(exported(), stays, sliceOf(goes, endpoint)))
			plan := r.Plan(sourceOf(exported(), test.slices...), green.target(r, web, dualStack))
			if len(plan.Changes) == 0 || plan.Destroys() != test.want {
				t.Errorf("%v asks for a live reading: %t", describe(plan.Changes), plan.Destroys())
			}
		})
	}
}
