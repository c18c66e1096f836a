package clusters

import (
	"context"
	"net/http"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestRunEndsWhileItsRequestsHang: TestMain tells what it leaves behind.
func TestRunEndsWhileItsRequestsHang(t *testing.T) {
	for _, hangs := range []string{"", "true"} {
		t.Run("watch="+hangs, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			hanging := make(chan struct{}, 10)
			f.handle = func(w http.ResponseWriter, r *http.Request) {
				// prepare asks for one slice by its name, to see whether it may.
				if r.URL.Query().Get("watch") == hangs && r.URL.Query().Get("fieldSelector") == "" {
					hanging <- struct{}{}
					<-r.Context().Done()
					return
				}
				answer(w, &discoveryv1.EndpointSliceList{
					TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"},
					ListMeta: metav1.ListMeta{ResourceVersion: "7"},
				})
			}
			c, _ := f.open(t)
			c.Source(labels.Everything(), Metadata{}, Unheard)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx, false) }()
			for range 2 {
				<-hanging
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
