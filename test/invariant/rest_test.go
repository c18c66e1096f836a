package invariant

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatStandsAtRestIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		want string
		edit func(a, b Scene, source, pointer *State)
	}{
		"a pointer as it should be":     {"", func(Scene, Scene, *State, *State) {}},
		"no pointer":                    {"I7", func(_, _ Scene, _, pointer *State) { *pointer = State{} }},
		"a pointer without its Service": {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service = nil }},
		"no pointer yet, for Endpoints of a Service that is gone": {"I7", func(_, _ Scene, _, pointer *State) {
			*pointer = State{Endpoints: pointer.Endpoints}
			pointer.Endpoints.Labels = nil
		}},
		"a pointer of nothing":            {"I7", func(_, _ Scene, source, _ *State) { *source = State{} }},
		"a pointer of what is unlabelled": {"I7", func(_, _ Scene, source, _ *State) { source.Service.Labels = nil }},
		"a pointer where it is not wanted": {"I7", func(_, b Scene, _, _ *State) {
			b.Namespaces["shop"].Labels = map[string]string{exportLabel: "false"}
		}},
		"a pointer of what both export": {"I7", func(a, b Scene, source, pointer *State) {
			pointer.Service = exported("cart")
		}},
		"a slice left under somebody's name": {"I7", func(_, _ Scene, _, pointer *State) {
			pointer.Service.Annotations = nil
			pointer.Endpoints = nil
		}},
		"an address too many": {"I7", func(_, _ Scene, _, pointer *State) {
			pointer.Slices[0].Endpoints = append(pointer.Slices[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.1.0.9"}})
		}},
		"an address too few":       {"I7", func(_, _ Scene, _, pointer *State) { pointer.Slices[0].Endpoints = nil }},
		"other Endpoints":          {"I7", func(_, _ Scene, _, pointer *State) { pointer.Endpoints.Subsets = nil }},
		"no Endpoints":             {"I7", func(_, _ Scene, _, pointer *State) { pointer.Endpoints = nil }},
		"Endpoints to be mirrored": {"I7", func(_, _ Scene, _, pointer *State) { delete(pointer.Endpoints.Labels, discoveryv1.LabelSkipMirror) }},
		"another port":             {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Spec.Ports[0].Port = 81 }},
		"a selector":               {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Spec.Selector = map[string]string{"app": "x"} }},
		"an external IP":           {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Spec.ExternalIPs = []string{"192.0.2.1"} }},
		"another type":             {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Spec.Type = corev1.ServiceTypeNodePort }},
		"a finalizer":              {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Finalizers = []string{"example.com/x"} }},
		"another origin":           {"I7", func(_, _ Scene, _, pointer *State) { pointer.Service.Annotations[originUID] = "older" }},
		"a label of somebody else": {"", func(_, _ Scene, _, pointer *State) { pointer.Service.Labels["team"] = "x" }},
		"a slice of another owner": {"I10", func(_, _ Scene, _, pointer *State) { pointer.Slices[0].OwnerReferences[0].UID = "older" }},
		"a slice of another name":  {"I10", func(_, _ Scene, _, pointer *State) { pointer.Slices[0].Name = "cart-by-hand" }},
		"the same address in two slices": {"I10", func(_, _ Scene, _, pointer *State) {
			twin := pointer.Slices[0].DeepCopy()
			twin.Name = "cart-ffffffffffffffff"
			pointer.Slices = append(pointer.Slices, twin)
		}},
		"a slice that Kubernetes mirrored": {"I10", func(_, _ Scene, _, pointer *State) {
			mirror := pointer.Slices[0].DeepCopy()
			mirror.Name, mirror.OwnerReferences[0].Kind = "cart-mirror", "Endpoints"
			mirror.Labels[discoveryv1.LabelManagedBy] = "endpointslicemirroring-controller.k8s.io"
			pointer.Slices = append(pointer.Slices, mirror)
		}},
		"a follower of its own cluster": {"I3", func(a, _ Scene, _, pointer *State) {
			a.States[Key{Namespace: "shop", Name: "echo"}] = State{Service: withName(pointer.Service.DeepCopy(), "echo")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			source := State{Service: exported("cart"), Slices: []*discoveryv1.EndpointSlice{endpoints("cart", "10.1.0.1", true)}}
			pointer := mirrored(source)
			key := Key{Namespace: "shop", Name: "cart"}
			a, b := scene(), scene()
			test.edit(a, b, &source, &pointer)
			a.States[key], b.States[key] = source, pointer
			var found []string
			violations := forge(t).world().Rest(a, b)
			for _, violation := range violations {
				found = append(found, violation.Invariant)
			}
			if test.want == "" && len(found) > 0 || test.want != "" && !slices.Contains(found, test.want) {
				t.Errorf("found %v, want %q:\n%v", found, test.want, violations)
			}
		})
	}
}

func scene() Scene {
	return Scene{
		Namespaces: map[string]*corev1.Namespace{"shop": {ObjectMeta: metav1.ObjectMeta{Name: "shop"}}},
		States:     map[Key]State{},
	}
}

func TestAWriteAtRestIsFound(t *testing.T) {
	f := forge(t)
	f.born("fence")
	except := Key{Namespace: "shop", Name: "fence"}
	if found := f.world().Quiet(f.requests[east], f.requests[west], except); len(found) > 0 {
		t.Errorf("the fence is to be left out: %v", found)
	}
	f.born("cart")
	if found := f.world().Quiet(f.requests[east], f.requests[west], except); len(found) != 3 {
		t.Errorf("found %d writes, want 3: %v", len(found), found)
	}
}
