package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
)

// Look is what one look at a name found, and what the direction makes of it.
type Look struct {
	Key    Key
	Source Source
	Target Target
	Plan   Plan
}

// Step is one demand on a name, and whether it is met.
type Step struct {
	Demand string
	Met    bool
}

// WaitSynced waits until the watches of each direction have told all there is.
func (h *Hub) WaitSynced(ctx context.Context) error {
	for _, mirror := range h.Mirrors {
		select {
		case <-mirror.pass.begins:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), mirror.unsynced())
		}
	}
	return nil
}

// unsynced says what the watches have yet to tell; nil where they have told all there is.
func (m *Mirror) unsynced() error {
	_, _, err := m.read(Key{})
	return err
}

// Names are those that the direction looks at: of exported Services, and of pointers. They are sorted.
func (m *Mirror) Names() []Key {
	return slices.SortedFunc(maps.Keys(m.names()), compareKeys)
}

func (m *Mirror) names() sets.Set[Key] {
	return m.scoped(sets.New(m.Source.Keys()...).Insert(m.Target.Keys()...))
}

// scoped leaves out the names that the direction is not to look at.
func (m *Mirror) scoped(keys sets.Set[Key]) sets.Set[Key] {
	maps.DeleteFunc(keys, func(key Key, _ sets.Empty) bool { return !m.InScope(key.Namespace) })
	return keys
}

func compareKeys(a, b Key) int {
	return strings.Compare(a.String(), b.String())
}

// Inspect looks at names as the daemon does, some at a time, and writes nothing. The looks are in the order of the names.
// An error says that a name could not be looked at, or is not proven to be as it looks; its verdict says the same.
func (m *Mirror) Inspect(ctx context.Context, keys []Key, workers int) ([]Look, []error) {
	looks, errs := make([]Look, len(keys)), make([]error, len(keys))
	holds, err := m.Brake.Standing(ctx)
	if err != nil {
		m.Log.WithError(err).Debug("can't read the delete brake")
	}
	// When ctx ends, each name that is left is to have an error.
	workqueue.ParallelizeUntil(context.WithoutCancel(ctx), workers, len(keys), func(i int) {
		looks[i], errs[i] = m.inspect(ctx, keys[i])
		if holds && looks[i].Plan.Withdraws {
			looks[i].Plan = Plan{Verdict: heldVerdict(looks[i].Plan.Verdict)}
		}
	})
	return looks, slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func (m *Mirror) inspect(ctx context.Context, key Key) (Look, error) {
	rules, err := m.provenRules(ctx)
	if err == nil {
		err = m.refreshForeign(ctx, rules, key)
	}
	if err != nil {
		return Look{Key: key, Plan: Plan{Verdict: unproven(err)}}, fmt.Errorf("%s: %w", key, err)
	}
	var look Look
	for range maxRounds {
		if look, err = m.look(ctx, rules, key); err != nil {
			return look, fmt.Errorf("%s: %w", key, err)
		}
		surprised, err := m.surprises(ctx, rules, look)
		if err != nil {
			look.Plan = Plan{Verdict: pending(WriteFailed, "%v", err)}
			return look, fmt.Errorf("%s: %w", key, err)
		}
		if !surprised {
			return look, nil
		}
	}
	return look, nil
}

// surprises looks where the plan would create something: what stands there without our marks is outside all watches. The
// daemon learns of it from the write that fails.
func (m *Mirror) surprises(ctx context.Context, rules Rules, look Look) (bool, error) {
	for _, change := range look.Plan.Changes {
		if change.Operation != Create || kindOf(change.Object) == KindNamespace {
			continue
		}
		places := []Object{change.Object}
		if isBirth(change) {
			places = append(places, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: look.Key.Namespace, Name: look.Key.Name}})
		}
		for _, place := range places {
			found, err := m.lookUp(ctx, rules, look.Key, place)
			if err != nil {
				return false, fmt.Errorf("look for %s %s: %w", kindOf(place), place.GetName(), err)
			}
			if found != nil && !look.Target.knows(found) {
				return true, nil
			}
		}
	}
	return false, nil
}

func (t Target) knows(found *Copy) bool {
	return slices.ContainsFunc(t.Copies, func(c *Copy) bool { return c.Kind == found.Kind && c.UID == found.UID })
}

// Pointer gives the pointer's Service as it stands, nil where there is none, and counts its addresses; or those that were
// added to a Service of the target's own.
func (m *Mirror) Pointer(target Target) (service *Copy, ready, total int) {
	rules, kind := m.Rules, KindEndpointSlice
	rules.Cluster = m.Heartbeat.UID()
	if service = rules.liveService(target.Copies); service != nil && rules.EndpointsAPI == EndpointsOnly {
		kind = KindEndpoints
	}
	for _, c := range target.Copies {
		if c.Kind == kind && rules.owns(c) {
			ready, total = ready+int(c.Ready), total+int(c.Total)
		}
	}
	return service, ready, total
}

// laterDemands are those on a name that is mirrored, in their order.
var laterDemands = []struct {
	reason Reason
	says   string
	of     subject
}{
	{PointerStands, "the pointer that had its name before is gone", joinedNames},
	{SlicesStand, "its pointer stands, or the target has no EndpointSlices left of another Service of its name", pointerNames},
	{EndpointsUnknown, "Kubernetes has made its EndpointSlices", everyName},
	{Conflict, "nothing that is not xcc's stands where its EndpointSlices and Endpoints go", everyName},
	{AddressDenied, "all of its addresses may be mirrored", everyName},
	{NoEndpointsLabelled, "its EndpointSlices carry its label", pointerNames},
	{MinReadyInvalid, "the Service that the target exports says how many ready addresses it needs", joinedNames},
}

// Steps gives the demands on a name in their order, up to the one that is not met.
func (m *Mirror) Steps(look Look) []Step {
	verdict := look.Plan.Verdict
	proven := Step{Demand: "the source can be read, and is proven to be the cluster that it was", Met: verdict.Reason != SourceUnproven}
	steps := []Step{proven}
	if !proven.Met {
		return steps
	}
	rules := m.Rules
	rules.Cluster = m.Heartbeat.UID()
	for _, demand := range demands {
		if !demand.of.includes(look.Source, look.Target) {
			continue
		}
		unmet := demand.unmet(rules, look.Source, look.Target)
		steps = append(steps, Step{demand.says, !unmet})
		if unmet && verdict.Reason == Held {
			return append(steps, Step{"the delete brake lets its pointer go", false})
		}
		if unmet {
			return steps
		}
	}
	for _, demand := range laterDemands {
		if !demand.of.includes(look.Source, look.Target) {
			continue
		}
		unmet := verdict.Reason == demand.reason
		steps = append(steps, Step{demand.says, !unmet})
		if unmet {
			break
		}
	}
	return steps
}
