package sync

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// joinedWorld is a name that both clusters export in the same mode.
type joinedWorld struct {
	r       Rules
	network Network
	source  Source
	green   *model
}

func drawJoined(t *rapid.T) joinedWorld {
	mode := rapid.SampledFrom([]Mode{ModeJoin, ModeFailover}).Draw(t, "mode")
	w := joinedWorld{r: drawRules(t), network: dualStack, source: drawJoinable(t, mode)}
	w.green = newModel(w.network)
	w.green.recovered = rapid.Bool().Draw(t, "has recovered")
	w.drawNative(t, mode)
	if rapid.Bool().Draw(t, "ours stand") {
		before := drawJoinable(t, mode)
		for _, slice := range w.r.projectJoined(before, w.target()).Slices {
			switch rapid.IntRange(0, 4).Draw(t, "what happened to "+slice.Name) {
			case 0:
			case 1:
				w.green.put(edited(t, slice))
			default:
				w.green.put(slice)
			}
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "there are objects of others") == 0 {
		for _, object := range foreignObjects(w.r) {
			if kindOf(object) == KindEndpointSlice && w.green.get(object) == nil && rapid.Bool().Draw(t, "there is "+id(object)) {
				w.green.put(object)
			}
		}
	}
	return w
}

func drawFamilies(t *rapid.T, whose string) func(*corev1.Service) {
	return families(rapid.SampledFrom([][]corev1.IPFamily{
		{corev1.IPv4Protocol}, {corev1.IPv4Protocol}, {corev1.IPv4Protocol, corev1.IPv6Protocol}, {corev1.IPv6Protocol, corev1.IPv4Protocol},
	}).Draw(t, "families of "+whose)...)
}

func drawJoinable(t *rapid.T, wanted Mode) Source {
	source := Source{Service: exported(mode(wanted), drawFamilies(t, "the source"))}
	for i := range rapid.IntRange(0, 3).Draw(t, "slices") {
		source.Slices = append(source.Slices, drawSlice(t, fmt.Sprintf("web-%d", i)))
	}
	return source
}

// drawNative puts a Service of green's own and its slices, some of whose addresses may be the source's, too.
func (w *joinedWorld) drawNative(t *rapid.T, wanted Mode) {
	service := native(mode(wanted), drawFamilies(t, "the target"))
	if wanted == ModeFailover {
		minReady(rapid.SampledFrom([]string{"1", "2", "3", "many"}).Draw(t, "min ready"))(service)
	}
	w.green.put(service)
	for i := range rapid.IntRange(0, 2).Draw(t, "native slices") {
		slice := sliceOf(fmt.Sprintf("web-n%d", i))
		slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: KindService.String(), Name: web.Name, UID: service.UID, Controller: ptr.To(true)}}
		for range rapid.IntRange(0, 3).Draw(t, "native endpoints") {
			slice.Endpoints = append(slice.Endpoints, drawEndpoint(t, []string{"10.9.0.1", "10.9.0.2", "10.9.0.3", "10.0.0.1"}))
		}
		w.green.put(slice)
	}
}

func (w joinedWorld) target() Target {
	return w.green.target(w.r, web, w.network)
}

func (w joinedWorld) converge(t failer) Plan {
	t.Helper()
	return converge(t, w.green, w.r, w.network, w.source)
}

// active reports whether anything of ours stands.
func (w joinedWorld) active() bool {
	return slices.ContainsFunc(w.green.copies(w.r, web), w.r.owns)
}

func TestAppliedJoinLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		w.converge(t)
	})
}

func TestJoinWritesNoNativeObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		others := func() map[string]Object {
			return maps.Collect(func(yield func(string, Object) bool) {
				for name, object := range w.green.objects {
					if !w.r.owns(w.r.Observe(object)) && !yield(name, object) {
						return
					}
				}
			})
		}
		before := others()
		for _, change := range w.r.Plan(w.source, w.target()).Changes {
			if err := guard(change); err != nil || kindOf(change.Object) != KindEndpointSlice {
				t.Fatalf("%s: %v", change, err)
			}
			if stored := w.green.get(change.Object); stored != nil && !w.r.owns(w.r.Observe(stored)) {
				t.Fatalf("%s: not ours", change)
			}
		}
		w.converge(t)
		if diff := cmp.Diff(before, others()); diff != "" {
			t.Fatalf("what is not ours was changed (-before +after):\n%s", diff)
		}
	})
}

func TestKillInAJoinConvergesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		changes := w.r.Plan(w.source, w.target()).Changes
		whole, killed := w, w
		whole.green, killed.green = w.green.clone(), w.green.clone()
		whole.converge(t)
		kill := rapid.IntRange(0, len(changes)).Draw(t, "killed after")
		if err := carryOut(killed.green, changes[:kill]); err != nil {
			return
		}
		killed.converge(t)
		if diff := cmp.Diff(contents(w.r, whole.green), contents(w.r, killed.green)); diff != "" {
			t.Fatalf("after a kill behind %s (-uninterrupted +killed):\n%s", describe(changes[:kill]), diff)
		}
	})
}

// TestJoinHasTheAddressesThatItsModeWants: join all that may be written, failover all or none.
func TestJoinHasTheAddressesThatItsModeWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		target, active := w.target(), w.active()
		minimum, _ := MinReady(target.Native.Service)
		own, known := ownReady(target.Native)
		wanted := ModeOf(target.Native.Service) == ModeJoin || known && own < minimum || active && !(known && target.Recovered)
		if first := w.r.Plan(w.source, target).Verdict; first.State == Pending || first.Reason == Conflict {
			return
		}
		plan := w.converge(t)
		want := sets.New[string]()
		rule := AddressRule{Allowed: w.r.Allowed, ServiceCIDRs: w.network.ServiceCIDRs, Overlapping: inBoth(w.source.Slices, target.Native.Slices)}
		for _, slice := range w.source.Slices {
			family := corev1.IPFamily(slice.AddressType)
			if !wanted || !slices.Contains(target.familiesFor(w.source.Service), family) {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				for _, text := range endpoint.Addresses {
					if address, ok := canonical(text); ok && familyOf(address) == slice.AddressType && rule.permits(address) {
						want.Insert(address.String())
					}
				}
			}
		}
		got := sets.New[string]()
		for _, object := range w.green.objects {
			if slice, ok := object.(*discoveryv1.EndpointSlice); ok && w.r.owns(w.r.Observe(slice)) {
				got.Insert(addressesOf(slice)...)
			}
		}
		if diff := cmp.Diff(sets.List(want), sets.List(got)); diff != "" {
			t.Fatalf("%s, with %d of its own ready of %d (known: %t), active before: %t, recovered: %t (-want +got):\n%s",
				plan.Verdict, own, minimum, known, active, target.Recovered, diff)
		}
	})
}

// TestJoinedAddressesDoNotComeBack: what green exports is the same with the slices that it has from blue, also where
// somebody labels those.
func TestJoinedAddressesDoNotComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		back := Rules{Cluster: green, Name: "green", EndpointsAPI: Both}
		there := Target{Namespace: shop, Network: w.network, Native: w.source}
		before := back.projectJoined(w.green.native(web), there)
		w.converge(t)
		for _, name := range sortedKeys(w.green.objects) {
			object := w.green.objects[name]
			if w.r.owns(w.r.Observe(object)) && rapid.Bool().Draw(t, "somebody labels "+name) {
				object = deepCopy(object)
				object.GetLabels()[LabelExport] = Exported
				w.green.put(object)
			}
		}
		if diff := cmp.Diff(before.Slices, back.projectJoined(w.green.native(web), there).Slices); diff != "" {
			t.Fatalf("what goes back (-before +after):\n%s", diff)
		}
	})
}

func TestShuffledInputOfAJoinGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		target := w.target()
		reordered := target
		reordered.Copies, reordered.Native = permuted(t, target.Copies), shuffled(t, target.Native)
		if diff := cmp.Diff(marshal(t, w.r.Plan(w.source, target)), marshal(t, w.r.Plan(shuffled(t, w.source), reordered))); diff != "" {
			t.Fatalf("another order of the input gives another plan:\n%s", diff)
		}
	})
}

func TestJoinLeavesItsInputAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawJoined(t)
		target := w.target()
		sourceBefore, targetBefore := copyOfSource(w.source), copyOfTarget(target)
		targetBefore.Native = copyOfSource(target.Native)
		w.r.Plan(w.source, target)
		if diff := cmp.Diff(sourceBefore, w.source); diff != "" {
			t.Fatalf("the source was changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(targetBefore, target, cmp.Comparer(equalNetworks)); diff != "" {
			t.Fatalf("the target was changed (-before +after):\n%s", diff)
		}
	})
}
