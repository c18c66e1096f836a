package invariant

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestALossNeedsAProof(t *testing.T) {
	for name, test := range map[string]struct {
		want  string
		story func(f *forgery, source, pointer State)
	}{
		"deleted though nobody asked": {"I4", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.withdraw(west, pointer.Service)
		}},
		"deleted after a question to a cache": {"I4", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "cart", 404, "?resourceVersion=0")
			f.withdraw(west, pointer.Service)
		}},
		"deleted after the answer that it is there": {"I4", func(f *forgery, source, pointer State) {
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted after a 404 that can't be true, as of a lagging server": {"I4", func(f *forgery, source, pointer State) {
			f.get(east, "cart", 404, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted after a question about another Service": {"I4", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "card", 404, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted after an error": {"I4", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "cart", 503, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted on a proof from before it was written again": {"I4", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "cart", 404, "")
			f.put(east, "alice", "create", withUID(exported("cart"), "second"))
			again := pointer.Service.DeepCopy()
			again.Annotations[originUID] = "second"
			written := f.update(west, pointer.Service, again)
			f.withdraw(west, written)
		}},
		"deleted when it is not exported any more": {"", func(f *forgery, source, pointer State) {
			source.Service.Labels = nil
			f.put(east, "alice", "update", source.Service)
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted when it became an alias": {"", func(f *forgery, source, pointer State) {
			source.Service.Spec.Type = corev1.ServiceTypeExternalName
			f.put(east, "alice", "update", source.Service)
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted when it was replaced": {"", func(f *forgery, source, pointer State) {
			f.remove(east, "alice", source.Service, nil)
			f.put(east, "alice", "create", withUID(exported("cart"), "second"))
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted while the source is changing, so that either may have been read": {"", func(f *forgery, source, pointer State) {
			f.get(east, "cart", 404, "")
			asked := &f.requests[east][len(f.requests[east])-1]
			f.remove(east, "alice", source.Service, nil)
			asked.Completed = f.tick()
			f.withdraw(west, pointer.Service)
		}},
		"deleted where the namespace was opted out": {"", func(f *forgery, source, pointer State) {
			f.put(west, "bob", "create", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{exportLabel: "false"}}})
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"deleted where the namespace was opted in again before the question": {"I4", func(f *forgery, source, pointer State) {
			f.put(west, "bob", "update", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{exportLabel: "false"}}})
			f.put(west, "bob", "update", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
			f.tick()
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Service)
		}},
		"emptied though an address is ready": {"I4", func(f *forgery, source, pointer State) {
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"emptied when none is ready": {"", func(f *forgery, source, pointer State) {
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"emptied when none is ready, on the word of a cache": {"I4", func(f *forgery, source, pointer State) {
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "&resourceVersion=0")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"emptied when nobody asked for the endpoints": {"I4", func(f *forgery, source, pointer State) {
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"its slice is deleted, and its Service is there": {"I4", func(f *forgery, source, pointer State) {
			f.withdraw(west, pointer.Slices[0])
		}},
		"its Endpoints lose their address": {"I4", func(f *forgery, source, pointer State) {
			none := pointer.Endpoints.DeepCopy()
			none.Subsets = nil
			f.update(west, pointer.Endpoints, none)
		}},
		"an address is exchanged for another": {"", func(f *forgery, source, pointer State) {
			other := pointer.Slices[0].DeepCopy()
			other.Endpoints[0].Addresses = []string{"10.1.0.2"}
			f.update(west, pointer.Slices[0], other)
		}},
		"one of two slices is emptied when its address is not ready": {"", func(f *forgery, source, pointer State) {
			f.second(pointer)
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"one of two slices is emptied though its address is ready": {"I4", func(f *forgery, source, pointer State) {
			f.second(pointer)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"one of two slices is emptied when nobody asked for the endpoints": {"I4", func(f *forgery, source, pointer State) {
			f.second(pointer)
			f.notReady(source)
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"one of two slices is emptied just after somebody deleted the other": {"", func(f *forgery, source, pointer State) {
			second := f.second(pointer)
			f.notReady(source)
			f.get(east, "cart", 200, "")
			f.list(east, "cart", "")
			f.remove(west, "bob", second, nil)
			f.update(west, pointer.Slices[0], emptied(pointer.Slices[0]))
		}},
		"emptied when the name was taken by somebody else": {"", func(f *forgery, source, pointer State) {
			taken := pointer.Service.DeepCopy()
			taken.Labels = map[string]string{exportLabel: "true"}
			f.put(west, "bob", "update", taken)
			f.get(east, "cart", 200, "")
			f.withdraw(west, pointer.Slices[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			source, pointer := f.born("cart")
			test.story(f, source, pointer)
			report := f.world().Writes()
			wantInvariant(t, report, test.want)
			if report.Destructions == 0 && name != "an address is exchanged for another" {
				t.Error("nothing was taken for a loss")
			}
		})
	}
}

func (f *forgery) notReady(source State) {
	slice := endpoints("cart", "10.1.0.1", false)
	slice.UID = source.Slices[0].UID
	f.put(east, "kcm", "update", slice)
}

// second adds another slice with a ready address to a Service and its pointer.
func (f *forgery) second(pointer State) Object {
	slice := endpoints("cart", "10.1.0.2", true)
	slice.Name, slice.UID = "cart-fghij", "second slice"
	f.put(east, "kcm", "create", slice)
	copied := pointer.Slices[0].DeepCopy()
	copied.Name, copied.UID = "cart-00000000000000ff", "second copy"
	copied.Endpoints[0].Addresses = []string{"10.1.0.2"}
	return f.put(west, XCC, "create", copied)
}

func emptied(slice *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	slice = slice.DeepCopy()
	slice.Endpoints = nil
	return slice
}

func TestAWriteThatTheLogLostIsStillPlacedInTime(t *testing.T) {
	f := forge(t)
	source, pointer := f.born("cart")
	f.remove(east, "alice", source.Service, nil)
	f.requests[east] = f.requests[east][:len(f.requests[east])-1] // the API server was killed before it wrote the line
	f.get(east, "cart", 404, "")
	f.withdraw(west, pointer.Service)
	wantInvariant(t, f.world().Writes(), "")
}
