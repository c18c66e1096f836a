package sync

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// A name that both clusters export has no pointer. What a direction adds are slices alone, on the native Service: the
// Service, its own slices and its Endpoints are Kubernetes' and are never written.
//
//	             own ready addresses
//	             fewer than min-ready      enough             enough for recoverAfter
//	Standby      → FailedOver              Standby            Standby
//	FailedOver   FailedOver                FailedOver         → Standby
//
// Which of the two it is can be read off the target: ours stand there, or they don't. Where it is not known how many of its own
// are ready, nothing changes.

// planJoined decides a name that is to be joined. It looks at no objects in the target but slices.
func (r Rules) planJoined(source Source, target Target) Plan {
	standing := ofKind(target.Copies, KindEndpointSlice)
	switch {
	case r.pointerBeside(target):
		return Plan{Verdict: pending(PointerStands, "the pointer that had the name is still seen beside the Service that has it now")}
	case r.Drained:
		return Plan{Verdict: drainedVerdict(), Pointer: &Pointer{}, Changes: r.diff(&Pointer{}, standing)}
	case endpointsUnknown(source):
		return Plan{Verdict: endpointsUnknownVerdict()}
	}
	stance := r.stanceOf(target, standing)
	plan := Plan{Verdict: stance.verdict, Pointer: &Pointer{}, Recovers: stance.recovers, Yields: stance.yields}
	if stance.adds {
		pointer := r.projectJoined(source, target)
		plan.Pointer = &pointer
		if verdict := addressVerdict(source, pointer); verdict.State != Mirrored {
			plan.Verdict = verdict
		}
		if c := r.blocked(pointer, standing); c != nil {
			plan.Verdict = r.conflict(c)
		}
	}
	plan.Changes = r.diff(plan.Pointer, standing)
	plan.Empties = stance.adds && r.empties(plan.Changes, standing)
	return plan
}

// pointerBeside reports whether the watches still tell of a pointer's Service, though there is another of its name. One of
// the two is not there any more, and it is not known which.
func (r Rules) pointerBeside(target Target) bool {
	live := r.liveService(target.Copies)
	return live != nil && live.UID != target.Native.Service.UID
}

// stance is what the mode makes of the native Service's own readiness.
type stance struct {
	verdict Verdict
	// adds: the source's addresses are to stand.
	adds bool
	// recovers: they do, and have to go if the native Service keeps what it has.
	recovers bool
	// yields: they do, and are to go, because the native Service has enough of its own.
	yields bool
}

func (r Rules) stanceOf(target Target, standing []*Copy) stance {
	if ModeOf(target.Native.Service) == ModeJoin {
		return stance{verdict: Verdict{State: Mirrored, Reason: Joined}, adds: true}
	}
	minimum, valid := MinReady(target.Native.Service)
	own, known := ownReady(target.Native)
	decided := stance{adds: slices.ContainsFunc(standing, r.owns)}
	switch {
	case !known && decided.adds:
		decided.verdict = failover(FailedOver, "it is not known how many addresses of the other cluster's own Service are ready, so these stay")
	case !known:
		decided.verdict = failover(Standby, "it is not known yet how many addresses of the other cluster's own Service are ready")
	case own < minimum:
		decided.adds = true
		decided.verdict = failover(FailedOver, "too few addresses of the other cluster's own Service are ready; it needs %d", minimum)
	case decided.adds && !target.Recovered:
		decided.recovers = true
		decided.verdict = failover(FailedOver, "enough addresses of the other cluster's own Service are ready again; these go when that has lasted %s", RecoverAfter)
	default:
		decided.yields, decided.adds = decided.adds, false
		decided.verdict = failover(Standby, "enough addresses of the other cluster's own Service are ready; it needs %d", minimum)
	}
	if !valid {
		decided.verdict = refused(MinReadyInvalid, "in the other cluster the annotation %s is %q; give it a whole number from 1 on. It counts as %d until then",
			AnnotationMinReady, target.Native.Service.Annotations[AnnotationMinReady], minimum)
	}
	return decided
}

// projectJoined makes the slices that a native Service gets. Their owner is that Service, so they go with it.
func (r Rules) projectJoined(source Source, target Target) Pointer {
	target.Overlapping = append(slices.Clip(target.Overlapping), inBoth(source.Slices, target.Native.Slices)...)
	pointer := Pointer{contents: map[string]Fingerprint{}}
	r.projectAddresses(&pointer, source, target, target.familiesFor(source.Service), target.Native.Service.UID)
	return pointer
}

// inBoth gives the addresses of some slices that are in others as well. Traffic for one of those would be counted as the
// source's, and ends at a pod of the target.
func inBoth(some, others []*discoveryv1.EndpointSlice) []netip.Addr {
	known := sets.New[netip.Addr]()
	for address := range addressesIn(others) {
		known.Insert(address)
	}
	var both []netip.Addr
	for address := range addressesIn(some) {
		if known.Has(address) {
			both = append(both, address)
		}
	}
	return both
}

// addressesIn are those of slices that were not mirrored, as far as they can be read.
func addressesIn(all []*discoveryv1.EndpointSlice) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, slice := range all {
			if IsMirrored(slice) {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				for _, text := range endpoint.Addresses {
					if address, ok := canonical(text); ok && !yield(address) {
						return
					}
				}
			}
		}
	}
}

func failover(reason Reason, format string, arguments ...any) Verdict {
	return Verdict{State: Mirrored, Reason: reason, Message: fmt.Sprintf(format, arguments...)}
}
