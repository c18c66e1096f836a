package clusters

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

func pruned(message []byte) (*discoveryv1.EndpointSlice, error) {
	slice := &discoveryv1.EndpointSlice{}
	message, err := place.prune(message)
	if err == nil {
		err = slice.Unmarshal(message)
	}
	return slice, err
}

func TestPrune(t *testing.T) {
	slice := sliceOfPods(1, 40)
	for i := range slice.Endpoints {
		endpoint := &slice.Endpoints[i]
		endpoint.Hostname = ptr.To("web-0")
		endpoint.DeprecatedTopology = map[string]string{"rack": "7"}
		endpoint.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "eu-central-1a"}}}
	}
	data, err := slice.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := pruned(data)
	if err != nil {
		t.Fatal(err)
	}
	want := slice.DeepCopy()
	want.ManagedFields = nil
	for i, endpoint := range want.Endpoints {
		want.Endpoints[i] = discoveryv1.Endpoint{Addresses: endpoint.Addresses, Conditions: endpoint.Conditions, Hostname: endpoint.Hostname}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without its place (-want +got):\n%s", diff)
	}
	if data, err = slice.Marshal(); err != nil {
		t.Fatal(err)
	}
	for end := range data {
		whole, cut := &discoveryv1.EndpointSlice{}, slices.Clone(data[:end])
		if whole.Unmarshal(cut) == nil {
			continue
		}
		if _, err := pruned(cut); err == nil {
			t.Errorf("the first %d of %d bytes are taken for an EndpointSlice", end, len(data))
		}
	}
}

// FuzzPrune checks that an EndpointSlice loses nothing but its place, however it is written.
func FuzzPrune(f *testing.F) {
	for _, pods := range []int{0, 1, 3} {
		data, err := sliceOfPods(1, pods).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := &discoveryv1.EndpointSlice{}
		if whole.Unmarshal(data) != nil {
			return
		}
		got, err := pruned(slices.Clone(data))
		if err != nil {
			t.Fatalf("an EndpointSlice is refused: %v", err)
		}
		whole.ManagedFields = nil
		leavePlace(whole.Endpoints)
		leavePlace(got.Endpoints)
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("without its place (-want +got):\n%s", diff)
		}
	})
}
