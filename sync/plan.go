// Package sync decides what one cluster's exported Services make of another cluster, and carries it out.
//
// Reading order: a [Hub] runs two directions, each a [Mirror] that takes keys from its queue, reads both sides, asks
// [Rules.Plan] for a verdict and the writes, and applies them. Plan and all that it calls are pure: values in, values
// out. The package knows the types of the Kubernetes API, but no client.
package sync

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Plan is what a direction makes of one reading of both clusters for one name.
type Plan struct {
	Verdict Verdict
	// Changes are the writes that carry the verdict out, in their order. None: the target is as it should be.
	Changes []Change
	// Pointer is what the plan leads to; nil where there is to be none.
	Pointer *Pointer
	// Withdraws: it deletes the pointer's Service, not to make it anew; or, of a name that both clusters export, the
	// slices, for another cause than that the target has enough addresses of its own.
	Withdraws bool
	// Empties: a slice of the pointer, or its Endpoints, has ready addresses before it and none after it.
	Empties bool
	// Recovers: what was added to the target's own Service stands as long as that has not kept enough addresses for some time.
	Recovers bool
	// Yields: it has, and what was added goes.
	Yields bool
	// Evacuates: it takes the addresses of a silent source away and nothing else, so it says nothing about what the delete
	// brake holds.
	Evacuates bool
}

// Destroys reports whether the plan takes something away that the target's clients may be using, because of the source.
// Such a plan may only be carried out if it was made from a live reading of the source.
func (p Plan) Destroys() bool {
	return p.Withdraws || p.Empties || p.deletes()
}

// restsOnNative reports whether the plan takes something away from a Service of the target's own, which may be because of
// that Service. Such a plan may only be carried out if it was made from a live reading of it.
func (p Plan) restsOnNative(target Target) bool {
	return p.Yields || p.Withdraws && target.exports()
}

func (p Plan) deletes() bool {
	for _, change := range p.Changes {
		if _, isService := change.Object.(*corev1.Service); isService && change.Operation == Delete {
			return true
		}
	}
	return false
}

// Plan decides one name. Its arguments are read only.
func (r Rules) Plan(source Source, target Target) Plan {
	verdict := r.judge(source, target)
	if verdict.State != Mirrored {
		plan := Plan{Verdict: verdict}
		if verdict.Reason != NamespaceTerminating {
			plan.Changes = r.diff(nil, target.Copies)
		}
		plan.Withdraws = plan.deletes() || target.exports() && len(plan.Changes) > 0
		plan.Empties = r.empties(plan.Changes, target.Copies)
		return plan
	}
	if target.exports() {
		return r.planJoined(source, target)
	}
	if r.inherits(target) {
		return Plan{Verdict: pending(SlicesStand, "EndpointSlices of a Service of its name that is gone still stand in the other cluster, and its pointer would use them; Kubernetes deletes those that it made")}
	}
	pointer := r.project(source, target)
	plan := Plan{Pointer: &pointer, Verdict: verdict}
	switch {
	case r.Drained:
		// An operator's order takes the addresses away, so no proof of the source is asked for: the plan empties nothing.
		plan.Verdict = drainedVerdict()
		pointer.Slices, pointer.Endpoints, pointer.Ready, pointer.Total = nil, nil, 0, 0
		plan.Changes = r.diff(&pointer, target.Copies)
	case endpointsUnknown(source):
		// The Service alone is brought up to date: what its endpoints are is not known, and unknown is not none.
		plan.Verdict = endpointsUnknownVerdict()
		pointer.Slices, pointer.Endpoints = nil, nil
		plan.Changes = r.diff(&pointer, services(target.Copies))
	default:
		plan.Verdict = addressVerdict(source, pointer)
		if c := r.blocked(pointer, target.Copies); c != nil {
			plan.Verdict = r.conflict(c)
		}
		plan.Changes = r.diff(&pointer, target.Copies)
		plan.Empties = r.empties(plan.Changes, target.Copies)
	}
	if target.Namespace == nil {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: source.Service.Namespace}}
		plan.Changes = append([]Change{{Create, namespace}}, plan.Changes...)
	}
	return plan
}

// inherits reports whether a new pointer's Service would get the slices of one of the target's own that is gone: kube-proxy
// goes by the name alone. Kubernetes deletes them, but not for certain once a Service stands there again: a watch that was
// down meanwhile gives the garbage collector the two as one that changed, and it never learns that the first is gone
// (client-go, tools/cache: processDeltas compares no UIDs; k8s.io/kubernetes, pkg/controller/garbagecollector:
// processGraphChanges).
func (r Rules) inherits(target Target) bool {
	return len(target.Native.Slices) > 0 && r.liveService(target.Copies) == nil
}

// planSilent decides a name of a source that is silent for too long, from what was last known of it. Addresses go, as if it
// were drained. A Service stays: where a plan would delete one, also to make it anew, it takes the addresses away instead.
func (r Rules) planSilent(source Source, target Target) Plan {
	drained := r
	drained.Drained = true
	plan := drained.Plan(source, target)
	switch {
	case plan.Withdraws || plan.deletes():
		return Plan{Verdict: silentVerdict(), Changes: r.evacuation(target.Copies), Evacuates: true}
	case !r.Drained && plan.Verdict.State != Withdrawn:
		plan.Verdict = silentVerdict()
	}
	return plan
}

func silentVerdict() Verdict {
	return refused(SourceUnproven, "the source was silent for too long, so its addresses are withdrawn until it answers")
}

// endpointsUnknown reports whether Kubernetes has yet to say what the Service's endpoints are. For a Service with a
// selector it always makes a slice, an empty one where no pod matches
// (k8s.io/endpointslice, Reconciler.reconcileByAddressType: placeholder slice).
func endpointsUnknown(source Source) bool {
	return len(source.Service.Spec.Selector) > 0 && len(source.Slices) == 0
}

func endpointsUnknownVerdict() Verdict {
	return pending(EndpointsUnknown, "Kubernetes has made no EndpointSlice for it yet")
}

func drainedVerdict() Verdict {
	return refused(Drained, "its cluster is drained, so none of its addresses is mirrored; put them back with `xcc undrain`")
}

// addressVerdict is the verdict of a pointer that exists, but perhaps not with all of its addresses.
func addressVerdict(source Source, pointer Pointer) Verdict {
	switch {
	case len(pointer.Denied) > 0:
		// Without their names, which change with the pods: the verdict is told as often as it changes.
		return refused(AddressDenied, "%d of %d addresses may not be mirrored; the others are", len(pointer.Denied), len(pointer.Denied)+pointer.Total)
	case len(source.Slices) == 0:
		return refused(NoEndpointsLabelled, "it has no selector, and none of its EndpointSlices carries its label; label them as the Service")
	}
	return Verdict{State: Mirrored}
}

// empties reports whether changes take the last ready address out of an object that is ours. That others of the pointer keep
// theirs does not count: each write is held to one object's version, and somebody else may be taking those at the moment.
func (r Rules) empties(changes []Change, copies []*Copy) bool {
	return slices.ContainsFunc(changes, func(change Change) bool {
		return readyOf(change.Object) == 0 && slices.ContainsFunc(copies, func(c *Copy) bool {
			return c.Kind == kindOf(change.Object) && c.Name == change.Object.GetName() && c.Ready > 0 && r.owns(c)
		})
	})
}

// blocked gives an object of these that is not ours, or no longer, and stands under a name that the pointer needs.
func (r Rules) blocked(pointer Pointer, copies []*Copy) *Copy {
	var others []*Copy
	for _, c := range copies {
		needed := func(slice *discoveryv1.EndpointSlice) bool { return slice.Name == c.Name }
		if !r.owns(c) && (c.Kind != KindEndpointSlice || slices.ContainsFunc(pointer.Slices, needed)) {
			others = append(others, c)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return sorted(others)[0]
}

func services(copies []*Copy) []*Copy {
	var found []*Copy
	for _, c := range copies {
		if c.Kind == KindService {
			found = append(found, c)
		}
	}
	return found
}
