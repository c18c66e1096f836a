package clusters

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
)

// happen tells of as many things, each about a Service of its own: of one there would not be many Events.
func happen(events record.EventRecorder, count int) {
	for i := range count {
		about := &corev1.ObjectReference{Kind: "Service", Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}
		events.Event(about, corev1.EventTypeNormal, "Mirrored", "has a pointer")
	}
}

func TestEventsInHandAreWrittenAtTheEnd(t *testing.T) {
	f := newFakeAPI(t, "blue")
	f.handle = func(w http.ResponseWriter, r *http.Request) { answer(w, &corev1.Event{}) }
	c, _ := f.connected(t)
	f.take()
	events := c.NewEvents()
	const count = 20
	happen(events, count)
	events.Close(time.Minute)
	written := 0
	for _, request := range f.take() {
		if request == "POST /api/v1/namespaces/shop/events" {
			written++
		}
	}
	if written != count {
		t.Errorf("%d of %d were written", written, count)
	}
}

func TestTheEndDoesNotWaitForAClusterThatDoesNotAnswer(t *testing.T) {
	f := newFakeAPI(t, "blue")
	asked, end := context.WithCancel(t.Context())
	hangs, answers := context.WithCancel(context.Background())
	t.Cleanup(answers)
	f.handle = func(http.ResponseWriter, *http.Request) {
		end()
		<-hangs.Done()
	}
	c, _ := f.connected(t)
	events := c.NewEvents()
	happen(events, 2)
	<-asked.Done()
	events.Close(time.Millisecond)
	if hangs.Err() != nil {
		t.Error("it has waited for the answer")
	}
}
