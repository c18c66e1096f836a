package invariant

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func inMode(service *corev1.Service, mode string) *corev1.Service {
	service.Annotations = map[string]string{modeAnnotation: mode}
	return service
}

// own is what the west has under a name itself.
func own(mode string, ready bool) State {
	slice := endpoints("cart", "10.2.0.1", ready)
	slice.Name, slice.UID = "cart-fghij", "own slice"
	return State{Service: withUID(inMode(exported("cart"), mode), "own"), Slices: []*discoveryv1.EndpointSlice{slice}}
}

// joined is a Service of the east with one address, one of its name in the west, and what was added to that.
func (f *forgery) joined(mode string, ready bool) (source, native State, added *discoveryv1.EndpointSlice) {
	source.Service = f.put(east, "alice", "create", inMode(exported("cart"), mode)).(*corev1.Service)
	source.Slices = []*discoveryv1.EndpointSlice{f.put(east, "kcm", "create", endpoints("cart", "10.1.0.1", true)).(*discoveryv1.EndpointSlice)}
	native = own(mode, ready)
	native.Service = f.put(west, "bob", "create", native.Service).(*corev1.Service)
	native.Slices = []*discoveryv1.EndpointSlice{f.put(west, "kcm", "create", native.Slices[0]).(*discoveryv1.EndpointSlice)}
	return source, native, f.put(west, XCC, "create", addedTo(native, source)).(*discoveryv1.EndpointSlice)
}

func addedTo(native, source State) *discoveryv1.EndpointSlice {
	slice := WantPointer(Origin{east, east}, source, native.Service.UID, nil).Slices[0]
	slice.Name, slice.UID = "cart-0123456789abcdef", "added"
	return slice
}

func TestALossOfAJoinNeedsAProof(t *testing.T) {
	up := func(f *forgery, native State) {
		slice := own("failover", true).Slices[0]
		slice.ResourceVersion = native.Slices[0].ResourceVersion
		f.put(west, "kcm", "update", slice)
	}
	for name, test := range map[string]struct {
		want  string
		story func(f *forgery, source, native State, added *discoveryv1.EndpointSlice)
	}{
		"gone though nobody asked": {"I4", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			up(f, native)
			f.withdraw(west, added)
		}},
		"gone when the target has enough": {"", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			up(f, native)
			f.get(west, "cart", 200, "")
			f.list(west, "cart", "")
			f.withdraw(west, added)
		}},
		"gone when it has not": {"I4", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.get(west, "cart", 200, "")
			f.list(west, "cart", "")
			f.withdraw(west, added)
		}},
		"gone when it has enough, on the word of a cache": {"I4", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			up(f, native)
			f.get(west, "cart", 200, "")
			f.list(west, "cart", "&resourceVersion=0")
			f.withdraw(west, added)
		}},
		"gone though the source is there": {"I4", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.get(east, "cart", 200, "")
			f.withdraw(west, added)
		}},
		"gone with the source": {"", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "cart", 404, "")
			f.withdraw(west, added)
		}},
		"gone when the modes are read, and differ": {"", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.put(west, "bob", "update", inMode(native.Service, "join"))
			f.get(east, "cart", 200, "")
			f.get(west, "cart", 200, "")
			f.withdraw(west, added)
		}},
		"gone when the modes differ, and one is not read": {"I4", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.put(west, "bob", "update", inMode(native.Service, "join"))
			f.get(east, "cart", 200, "")
			f.withdraw(west, added)
		}},
		"emptied when no address of the source is ready": {"", func(f *forgery, source, native State, added *discoveryv1.EndpointSlice) {
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.update(west, added, emptied(added))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			source, native, added := f.joined("failover", false)
			test.story(f, source, native, added)
			report := f.world().Writes()
			wantInvariant(t, report, test.want)
			if report.Destructions == 0 {
				t.Error("nothing was taken for a loss")
			}
		})
	}
}

func TestWhatIsJoinedAtRestIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		want  string
		mode  string
		ready bool
		edit  func(source, native *State, added *discoveryv1.EndpointSlice)
		adds  bool
	}{
		"joined":                           {"", "join", true, nil, true},
		"joined, and nothing added":        {"I7", "join", true, nil, false},
		"joined, with other addresses":     {"I7", "join", true, func(_, _ *State, added *discoveryv1.EndpointSlice) { added.Endpoints = nil }, true},
		"failed over":                      {"", "failover", false, nil, true},
		"failed, and not over":             {"I7", "failover", false, nil, false},
		"standing by":                      {"", "failover", true, nil, false},
		"failed over though it has enough": {"I7", "failover", true, nil, true},
		"failed over as one is too few": {"", "failover", true, func(_, native *State, _ *discoveryv1.EndpointSlice) {
			native.Service.Annotations[minReadyAnnotation] = "2"
		}, true},
		"joined though the modes differ":         {"I7", "join", true, func(source, _ *State, _ *discoveryv1.EndpointSlice) { inMode(source.Service, "failover") }, true},
		"joined though nobody asked":             {"I7", "pointer", true, nil, true},
		"joined though the ports differ":         {"I7", "join", true, func(source, _ *State, _ *discoveryv1.EndpointSlice) { source.Service.Spec.Ports[0].Name = "x" }, true},
		"joined though one is headless":          {"I7", "join", true, func(source, _ *State, _ *discoveryv1.EndpointSlice) { source.Service.Spec.ClusterIP = "None" }, true},
		"joined, with the owner of an older one": {"I7", "join", true, func(_, _ *State, added *discoveryv1.EndpointSlice) { added.OwnerReferences[0].UID = "older" }, true},
		"joined, and the Endpoints are a pointer's": {"I7", "join", true, func(source, native *State, _ *discoveryv1.EndpointSlice) {
			native.Endpoints = mirrored(*source).Endpoints
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			source := State{Service: inMode(exported("cart"), test.mode), Slices: []*discoveryv1.EndpointSlice{endpoints("cart", "10.1.0.1", true)}}
			native := own(test.mode, test.ready)
			added := addedTo(native, source)
			if test.edit != nil {
				test.edit(&source, &native, added)
			}
			if test.adds {
				native.Slices = append(native.Slices, added)
			}
			key := Key{Namespace: "shop", Name: "cart"}
			a, b := scene(), scene()
			a.States[key], b.States[key] = source, native
			var found []string
			// The other direction has its own share, which is not there: only this one counts.
			violations := slices.DeleteFunc(forge(t).world().Rest(a, b), func(v Violation) bool { return !strings.HasPrefix(v.Sentence, east+"→"+west) })
			for _, violation := range violations {
				found = append(found, violation.Invariant)
			}
			if test.want == "" && len(found) > 0 || test.want != "" && !slices.Contains(found, test.want) {
				t.Errorf("found %v, want %q:\n%v", found, test.want, violations)
			}
		})
	}
}
