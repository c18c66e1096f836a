package clusters

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestOverlap(t *testing.T) {
	slice := func(managedBy string, addresses ...string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: "web-1", Labels: map[string]string{discoveryv1.LabelManagedBy: managedBy}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: addresses}},
		}
	}
	const byHand = "somebody"
	tests := []struct {
		name string
		a, b *discoveryv1.EndpointSlice
		want []string
	}{
		{"an address that is a pod on both sides is one of both", slice(endpointSliceController, "10.0.0.1", "10.0.0.2"), slice(endpointSliceController, "10.0.0.2"), []string{"10.0.0.2"}},
		{"one in two ways of writing is one", slice(endpointSliceController, "fd00::1"), slice(endpointSliceController, "fd00:0::1"), []string{"fd00::1"}},
		{"what was written by hand on one side need not be a pod", slice(endpointSliceController, "10.0.0.1"), slice(byHand, "10.0.0.1"), nil},
		{"addresses that differ are not of both", slice(endpointSliceController, "10.0.0.1"), slice(endpointSliceController, "10.0.0.2"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := (&Cluster{}).Source(labels.Everything(), Metadata{}, Unheard), (&Cluster{}).Source(labels.Everything(), Metadata{}, Unheard)
				changes := 0
				overlap := NewOverlap(a, b, func() { changes++ })
				fill := func(view *Source, list ...any) {
					if err := view.slices.Replace(list, "1"); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				fill(a, test.a)
				fill(b, test.b)
				among := func() (found []string) {
					for _, address := range overlap.Among([]*discoveryv1.EndpointSlice{test.a}) {
						found = append(found, address.String())
					}
					return found
				}
				if diff := cmp.Diff(test.want, among(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				fill(b)
				if found := among(); len(found) > 0 || changes != 2*len(test.want) {
					t.Errorf("when one side has none: %v, after %d changes", found, changes)
				}
			})
		})
	}
}
