package sync

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"pgregory.net/rapid"
)

// maxPlans bounds how many plans it may take to bring a target in line: the first meets strangers and what Kubernetes
// collects meanwhile, the second what an update let go.
const maxPlans = 4

// failer is what both [testing.T] and [rapid.T] are.
type failer interface {
	Helper()
	Fatalf(format string, arguments ...any)
}

func sortedKeys[V any](objects map[string]V) []string {
	return slices.Sorted(maps.Keys(objects))
}

// converge plans and writes until a plan has no changes.
func converge(t failer, green *model, r Rules, network Network, source Source) Plan {
	t.Helper()
	for range maxPlans {
		plan := r.Plan(source, green.target(r, web, network))
		if len(plan.Changes) == 0 {
			// Kubernetes ends what it had begun, also where there is nothing to write.
			green.collect()
			plan = r.Plan(source, green.target(r, web, network))
		}
		if len(plan.Changes) == 0 {
			return plan
		}
		if err := carryOut(green, plan.Changes); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("carry out %s: %v", Summary(plan.Changes), err)
		}
		green.collect()
	}
	plan := r.Plan(source, green.target(r, web, network))
	if len(plan.Changes) > 0 {
		t.Fatalf("after %d plans there still is: %s", maxPlans, describe(plan.Changes))
	}
	return plan
}

// carryOut writes as the mirror does: in order, until the first failure, slices owned by the Service just written.
func carryOut(green *model, changes []Change) error {
	return carryOutAnd(green, changes, func(int) {})
}

// carryOutAnd calls after behind each write.
func carryOutAnd(green *model, changes []Change, after func(int)) error {
	var owner Object
	for i, change := range changes {
		if owner != nil {
			change.Object = deepCopy(change.Object)
			setOwner(change.Object, owner.GetUID())
		}
		written, err := green.write(change)
		if err != nil {
			return err
		}
		if written != nil && kindOf(written) == KindService {
			owner = written
		}
		after(i)
	}
	return nil
}

func (m *model) write(change Change) (Object, error) {
	switch change.Operation {
	case Create:
		return m.create(change.Object)
	case Update:
		return m.update(change.Object)
	case Delete:
		return nil, m.remove(change.Object)
	}
	return nil, errors.New("no such operation")
}

func describe(changes []Change) []string {
	var all []string
	for _, change := range changes {
		all = append(all, change.String())
	}
	return all
}

func TestAppliedPlanLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network := drawRules(t), drawNetwork(t)
		green := drawTarget(t, r, network)
		converge(t, green, r, network, drawSource(t))
	})
}

func TestKillAfterAnyWriteConvergesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		green := drawTarget(t, r, network)
		changes := r.Plan(source, green.target(r, web, network)).Changes
		whole := green.clone()
		converge(t, whole, r, network, source)
		killed := green.clone()
		killed.serial += 1000
		kill := rapid.IntRange(0, len(changes)).Draw(t, "killed after")
		if err := carryOut(killed, changes[:kill]); err != nil {
			return
		}
		// Somebody's Endpoints, which stand in the pointer's way, would be collected with the Service in one case only.
		endpoints := green.objects[KindEndpoints.String()+"/shop/web"]
		if (endpoints == nil || r.owns(r.Observe(endpoints))) && rapid.Bool().Draw(t, "Kubernetes collects meanwhile") {
			killed.collect()
		}
		converge(t, killed, r, network, source)
		want, got := contents(r, whole), contents(r, killed)
		if source.Service != nil && endpointsUnknown(source) {
			// What is collected with a Service that was made anew is not put back as long as nobody knows what was in it.
			onlyServices(want)
			onlyServices(got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("after a kill behind %s (-uninterrupted +killed):\n%s", describe(changes[:kill]), diff)
		}
	})
}

func onlyServices(contents map[string]any) {
	maps.DeleteFunc(contents, func(name string, _ any) bool { return !strings.HasPrefix(name, KindService.String()+"/") })
}

// contents is what is ours in all objects that are, without what depends on when and in how many steps they were written.
func contents(r Rules, m *model) map[string]any {
	all := map[string]any{}
	for name, object := range m.objects {
		if !r.owns(r.Observe(object)) {
			continue
		}
		object = deepCopy(object)
		object.SetUID("")
		object.SetResourceVersion("")
		object.SetLabels(only(object.GetLabels(), r.ownedLabels()))
		object.SetAnnotations(only(object.GetAnnotations(), r.ownedAnnotations()))
		switch object := object.(type) {
		case *corev1.Service:
			if !isHeadless(object) {
				object.Spec.ClusterIP, object.Spec.ClusterIPs = "", nil
			}
		case *discoveryv1.EndpointSlice:
			setOwner(object, "owner")
		}
		all[name] = object
	}
	return all
}

func TestPlanTouchesOnlyWhatIsOwnedAndProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		green := drawTarget(t, r, network)
		target := green.target(r, web, network)
		for _, change := range r.Plan(source, target).Changes {
			if err := guard(change); err != nil {
				t.Fatalf("the guard would stop it: %v", err)
			}
			stored := green.get(change.Object)
			if change.Operation == Create {
				if stored != nil && !deletedBefore(r, stored) {
					t.Fatalf("%s: there is one already", change)
				}
				continue
			}
			c := r.Observe(stored)
			if c.UID != change.Object.GetUID() || c.ResourceVersion != change.Object.GetResourceVersion() {
				t.Fatalf("%s: not held to UID %q and resourceVersion %q", change, c.UID, c.ResourceVersion)
			}
			if live := r.liveService(target.Copies); !r.owns(c) && !(change.Operation == Delete && live != nil && c.Owner == live.UID) {
				t.Fatalf("%s: not ours", change)
			}
		}
	})
}

// deletedBefore: a rebirth deletes our own Service before it creates the other.
func deletedBefore(r Rules, stored Object) bool {
	return kindOf(stored) == KindService && r.owns(r.Observe(stored))
}

func TestPlanLeavesItsInputAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		target := drawTarget(t, r, network).target(r, web, network)
		sourceBefore, targetBefore := copyOfSource(source), copyOfTarget(target)
		plan := r.Plan(source, target)
		for _, change := range plan.Changes {
			// What the mirror and the API client do to an object must not reach the input either.
			change.Object.SetLabels(map[string]string{"scribbled": "on"})
			change.Object.SetAnnotations(nil)
			change.Object.SetUID("scribbled")
			change.Object.SetResourceVersion("scribbled")
			setOwner(change.Object, "scribbled")
		}
		if diff := cmp.Diff(sourceBefore, source); diff != "" {
			t.Fatalf("the source was changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(targetBefore, target, cmp.Comparer(equalNetworks)); diff != "" {
			t.Fatalf("the target was changed (-before +after):\n%s", diff)
		}
	})
}

func equalNetworks(a, b Network) bool {
	return slices.Equal(a.Families, b.Families) && slices.Equal(a.ServiceCIDRs, b.ServiceCIDRs)
}

func copyOfSource(source Source) Source {
	clone := Source{Service: source.Service.DeepCopy()}
	for _, slice := range source.Slices {
		clone.Slices = append(clone.Slices, slice.DeepCopy())
	}
	return clone
}

func copyOfTarget(target Target) Target {
	clone := target
	clone.Namespace = target.Namespace.DeepCopy()
	clone.Copies = nil
	for _, c := range target.Copies {
		one := *c
		one.ForeignLabels, one.ForeignAnnotations = maps.Clone(c.ForeignLabels), maps.Clone(c.ForeignAnnotations)
		clone.Copies = append(clone.Copies, &one)
	}
	clone.Network.Families = slices.Clone(target.Network.Families)
	return clone
}
