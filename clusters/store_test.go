package clusters

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// told is a store of slices and what it has told.
type told struct {
	*store[*packedSlice]
	changes []string
	fills   int
}

func newTold() *told {
	s := &told{store: newStore(keeping(Metadata{}.packSlice), (*packedSlice).serviceKey)}
	s.changed = func(key types.NamespacedName) { s.changes = append(s.changes, key.Name) }
	s.filled = func() { s.fills++ }
	return s
}

// slice is a version of the slice web-1 with this UID, of this Service.
func slice(service, uid, version string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-1", UID: types.UID(uid), ResourceVersion: version,
		Labels: map[string]string{discoveryv1.LabelServiceName: service},
	}}
}

func TestStore(t *testing.T) {
	add := func(object any) func(*told) {
		return func(s *told) { s.Add(object) }
	}
	remove := func(object any) func(*told) {
		return func(s *told) { s.Delete(object) }
	}
	replace := func(objects ...any) func(*told) {
		return func(s *told) {
			var list []any
			for _, object := range objects {
				list = append(list, s.item(object))
			}
			s.Replace(list, "")
		}
	}
	write := func(object *discoveryv1.EndpointSlice) func(*told) {
		return func(s *told) { s.observe(Metadata{}.packSlice(object)) }
	}
	drop := func(s *told) { s.forget(types.NamespacedName{Namespace: "shop", Name: "web-1"}, "u1") }
	begin := func(s *told) { s.beginWrite(types.NamespacedName{Namespace: "shop", Name: "web-1"}) }
	end := func(version string) func(*told) {
		return func(s *told) { s.endWrite(types.NamespacedName{Namespace: "shop", Name: "web-1"}, version) }
	}
	tests := []struct {
		name string
		do   []func(*told)
		// want is the version of web-1 in the end, of which Service; none where it is empty.
		want    string
		changes []string
	}{
		{"an event is told", []func(*told){add(slice("web", "u1", "5"))}, "web/u1/5", []string{"web"}},
		{"a newer event replaces the version", []func(*told){add(slice("web", "u1", "5")), add(slice("web", "u1", "6"))}, "web/u1/6", []string{"web", "web"}},
		{"versions are numbers", []func(*told){add(slice("web", "u1", "9")), add(slice("web", "u1", "10"))}, "web/u1/10", []string{"web", "web"}},
		{"an older event is ignored", []func(*told){add(slice("web", "u1", "6")), add(slice("web", "u1", "5"))}, "web/u1/6", []string{"web"}},
		{"the same event is ignored", []func(*told){add(slice("web", "u1", "6")), add(slice("web", "u1", "6"))}, "web/u1/6", []string{"web"}},
		{"a write of our own is seen at once and not told", []func(*told){write(slice("web", "u1", "5"))}, "web/u1/5", nil},
		{"its event, which comes later, is not news", []func(*told){write(slice("web", "u1", "5")), add(slice("web", "u1", "5"))}, "web/u1/5", nil},
		{"its event, which comes before its answer, is not news either", []func(*told){begin, add(slice("web", "u1", "5")), write(slice("web", "u1", "5")), end("5")}, "web/u1/5", nil},
		{"somebody else's write meanwhile is", []func(*told){begin, add(slice("web", "u1", "5")), add(slice("web", "u1", "6")), write(slice("web", "u1", "5")), end("5")}, "web/u1/6", []string{"web"}},
		{"all is where the write failed", []func(*told){begin, add(slice("web", "u1", "5")), end("")}, "web/u1/5", []string{"web"}},
		{"what comes after a write is told again", []func(*told){begin, write(slice("web", "u1", "5")), end("5"), add(slice("web", "u1", "6"))}, "web/u1/6", []string{"web"}},
		{"an event from before it is ignored", []func(*told){write(slice("web", "u1", "5")), add(slice("web", "u1", "4"))}, "web/u1/5", nil},
		{"a deletion is told", []func(*told){add(slice("web", "u1", "5")), remove(slice("web", "u1", "6"))}, "", []string{"web", "web"}},
		{"a deletion that was only found is told", []func(*told){add(slice("web", "u1", "5")), remove(cache.DeletedFinalStateUnknown{Obj: slice("web", "u1", "5")})}, "", []string{"web", "web"}},
		{"a deletion of what was not there is not told", []func(*told){remove(slice("web", "u1", "5"))}, "", nil},
		{"the deletion of its predecessor leaves an object alone", []func(*told){write(slice("web", "u2", "9")), remove(slice("web", "u1", "8"))}, "web/u2/9", nil},
		{"a delete of our own is seen at once", []func(*told){write(slice("web", "u1", "5")), drop}, "", nil},
		{"late events of what we deleted are ignored", []func(*told){write(slice("web", "u1", "5")), drop, add(slice("web", "u1", "4")), add(slice("web", "u1", "5"))}, "", nil},
		{"its successor is taken", []func(*told){write(slice("web", "u1", "5")), drop, add(slice("web", "u2", "7"))}, "web/u2/7", []string{"web"}},
		{"so it is after the event of the deletion", []func(*told){write(slice("web", "u1", "5")), drop, remove(slice("web", "u1", "6")), add(slice("web", "u2", "7"))}, "web/u2/7", []string{"web"}},
		{"a delete of another UID is ignored", []func(*told){write(slice("web", "u2", "5")), drop}, "web/u2/5", nil},
		{"a move between Services is told to both", []func(*told){add(slice("web", "u1", "5")), add(slice("api", "u1", "6"))}, "api/u1/6", []string{"web", "web", "api"}},
		{"the first list is not told by name", []func(*told){replace(slice("web", "u1", "5"))}, "web/u1/5", nil},
		{"a second list that says the same is not told", []func(*told){replace(slice("web", "u1", "5")), replace(slice("web", "u1", "5"))}, "web/u1/5", nil},
		{"a second list tells what changed", []func(*told){replace(slice("web", "u1", "5")), replace(slice("web", "u1", "6"))}, "web/u1/6", []string{"web"}},
		{"a second list tells what is gone", []func(*told){replace(slice("web", "u1", "5")), replace()}, "", []string{"web"}},
		{"a list is taken for what it is, also where it is older", []func(*told){replace(slice("web", "u1", "6")), replace(slice("web", "u1", "5"))}, "web/u1/5", []string{"web"}},
		{"what we deleted and a list still has, is there", []func(*told){replace(slice("web", "u1", "5")), drop, replace(slice("web", "u1", "5"))}, "web/u1/5", []string{"web"}},
		{"a late answer does not bring back what the watch has seen go", []func(*told){add(slice("web", "u1", "5")), remove(slice("web", "u1", "7")), write(slice("web", "u1", "6"))}, "", []string{"web", "web"}},
		{"nor take the place of its successor", []func(*told){add(slice("web", "u1", "5")), remove(slice("web", "u1", "7")), add(slice("web", "u2", "8")), write(slice("web", "u1", "6"))}, "web/u2/8", []string{"web", "web", "web"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newTold()
			for _, do := range test.do {
				do(s)
			}
			got := ""
			for _, service := range []string{"web", "api"} {
				for _, object := range s.of(types.NamespacedName{Namespace: "shop", Name: service}) {
					got += service + "/" + string(object.GetUID()) + "/" + object.GetResourceVersion()
				}
			}
			if got != test.want {
				t.Errorf("the store has %q, want %q", got, test.want)
			}
			changes := slices.Clone(s.changes)
			if diff := cmp.Diff(test.changes, changes); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStoreIsFilledOncePerBeginning(t *testing.T) {
	s := newTold()
	if s.isSynced() {
		t.Error("a new store is synced")
	}
	s.Replace(nil, "")
	s.Replace(nil, "")
	if !s.isSynced() || s.fills != 1 {
		t.Errorf("synced: %t, told %d times", s.isSynced(), s.fills)
	}
	s.begin()
	if s.isSynced() {
		t.Error("a store that begins anew is synced")
	}
	s.Replace(nil, "")
	if !s.isSynced() || s.fills != 2 {
		t.Errorf("synced: %t, told %d times", s.isSynced(), s.fills)
	}
}

func TestSlicesOfEndpoints(t *testing.T) {
	many := make([]corev1.EndpointAddress, 150)
	for i := range many {
		many[i].IP = "10.0." + string(rune('0'+i/100)) + "." + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
	}
	tests := []struct {
		name    string
		subsets []corev1.EndpointSubset
		want    map[discoveryv1.AddressType][]int // endpoints per slice
	}{
		{"nothing is one empty slice", nil, map[discoveryv1.AddressType][]int{"IPv4": {0}}},
		{"a subset is a slice", []corev1.EndpointSubset{{Addresses: many[:3]}}, map[discoveryv1.AddressType][]int{"IPv4": {3}}},
		{"a subset of both families is two", []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}, {IP: "fd00::1"}}}}, map[discoveryv1.AddressType][]int{"IPv4": {1}, "IPv6": {1}}},
		{"ready and not ready share a slice", []corev1.EndpointSubset{{Addresses: many[:2], NotReadyAddresses: many[2:3]}}, map[discoveryv1.AddressType][]int{"IPv4": {3}}},
		{"150 addresses are two slices", []corev1.EndpointSubset{{Addresses: many}}, map[discoveryv1.AddressType][]int{"IPv4": {100, 50}}},
		{"two subsets are two slices", []corev1.EndpointSubset{{Addresses: many[:1]}, {Addresses: many[1:3]}}, map[discoveryv1.AddressType][]int{"IPv4": {1, 2}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, names := map[discoveryv1.AddressType][]int{}, map[string]bool{}
			endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Subsets: test.subsets}
			for _, slice := range slicesOf(endpoints) {
				got[slice.AddressType] = append(got[slice.AddressType], len(slice.Endpoints))
				names[string(slice.AddressType)+slice.Name] = true
				if slice.Labels[discoveryv1.LabelServiceName] != "web" || slice.Namespace != "shop" {
					t.Errorf("slice %s belongs to %s/%s", slice.Name, slice.Namespace, slice.Labels[discoveryv1.LabelServiceName])
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
			if want := len(slices.Concat(got["IPv4"], got["IPv6"])); len(names) != want {
				t.Errorf("%d slices have %d names", want, len(names))
			}
			if diff := cmp.Diff(slicesOf(endpoints), slicesOf(endpoints)); diff != "" {
				t.Errorf("twice the same gives two results:\n%s", diff)
			}
		})
	}
}
