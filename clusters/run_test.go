package clusters

import (
	"context"
	"net/http"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestRunEndsWhileItsWatchesHang: TestMain tells what it leaves behind.
func TestRunEndsWhileItsWatchesHang(t *testing.T) {
	f := newFakeAPI(t, "blue")
	watching := make(chan struct{}, 10)
	f.handle = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "true" {
			watching <- struct{}{}
			<-r.Context().Done()
			return
		}
		answer(w, &discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}})
	}
	c, _ := f.open(t)
	c.Source(labels.Everything(), Metadata{}, Notify{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, false) }()
	for range 2 {
		<-watching
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
