package sync

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// look decides on a name from what the watches told. A plan that takes something away is made again from a live reading
// of the source: nothing is deleted or emptied on the word of a cache. Of a source that is silent for too long there is none,
// and an operator has chosen no addresses over addresses that nobody can vouch for.
func (m *Mirror) look(ctx context.Context, rules Rules, key Key) (Look, error) {
	source, target, err := m.read(key)
	if err != nil {
		return Look{Key: key}, err
	}
	if m.stale.Load() {
		return Look{Key: key, Source: source, Target: target, Plan: rules.planSilent(source, target)}, nil
	}
	return m.prove(ctx, rules, Look{Key: key, Source: source, Target: target, Plan: rules.Plan(source, target)})
}

// prove makes a plan that takes something away again, from live readings of all that it rests on.
func (m *Mirror) prove(ctx context.Context, rules Rules, look Look) (Look, error) {
	var sourceRead, nativeRead bool
	for {
		switch {
		case look.Plan.Destroys() && !sourceRead:
			service, slices, err := m.Source.Live(ctx, look.Key)
			if err != nil {
				look.Plan = Plan{Verdict: unproven(err)}
				return look, err
			}
			look.Source, sourceRead = Source{Service: service, Slices: slices}, true
		case look.Plan.restsOnNative(look.Target) && !nativeRead:
			service, slices, err := m.Exports.Live(ctx, look.Key)
			if err != nil {
				look.Plan = Plan{Verdict: pending(WriteFailed, "nothing is taken away until the other cluster can be read: %v", err)}
				return look, err
			}
			if service == nil {
				// Of a Service that is gone no slices are read, and what the watches tell of them may be there still.
				slices = look.Target.Native.Slices
			}
			look.Target.Native, nativeRead = nativeOf(service, slices), true
		default:
			return look, nil
		}
		look.Plan = rules.Plan(look.Source, look.Target)
	}
}

// targetExports reports whether the target itself exports a Service of the name, as far as the watches have told.
func (m *Mirror) targetExports(key Key) bool {
	service, _, err := m.Exports.Exported(key)
	return err == nil && nativeOf(service, nil).Service != nil
}

// nativeOf is what a cluster exports under a name, where that was not mirrored into it.
func nativeOf(service *corev1.Service, slices []*discoveryv1.EndpointSlice) Source {
	if service != nil && IsMirrored(service) {
		return Source{}
	}
	return Source{Service: service, Slices: slices}
}

func (m *Mirror) read(key Key) (Source, Target, error) {
	service, slices, sourceErr := m.Source.Exported(key)
	copies, targetErr := m.Target.Copies(key)
	native, nativeSlices, exportsErr := m.Exports.Exported(key)
	if err := errors.Join(sourceErr, targetErr, exportsErr); err != nil {
		return Source{}, Target{}, fmt.Errorf("%w: %w", errUnsynced, err)
	}
	m.mu.Lock()
	copies = append(copies, m.foreign[key]...)
	m.mu.Unlock()
	if service == nil {
		slices = nil
	}
	families, cidrs := m.Target.Network()
	return Source{Service: service, Slices: slices}, Target{
		Namespace:   m.Target.Namespace(key.Namespace),
		Copies:      copies,
		Native:      nativeOf(native, nativeSlices),
		Recovered:   m.recovery.isOver(key),
		Network:     Network{Families: families, ServiceCIDRs: cidrs},
		Overlapping: m.Overlap.Among(slices),
	}, nil
}
