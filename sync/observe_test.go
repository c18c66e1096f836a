package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// counter counts what it is told.
type counter struct {
	unobserved
	lags, writes int
}

func (c *counter) Propagated(time.Duration) { c.lags++ }
func (c *counter) Wrote(Change, error)      { c.writes++ }

// dated is a slice that says when its pods changed.
func dated(slice *discoveryv1.EndpointSlice, changed time.Time) *discoveryv1.EndpointSlice {
	slice.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: changed.Format(time.RFC3339Nano)}
	return slice
}

func TestTheLagOfEachChangeIsToldOnce(t *testing.T) {
	changed := time.Now().Add(-time.Minute)
	b := newBench(t, sourceOf(exported(), dated(sliceOf("web-1", ready("10.0.0.1")), changed)))
	seen := &counter{}
	b.mirror.Observer = seen
	b.settle(t, web)
	if seen.lags != 0 || seen.writes != 3 {
		t.Errorf("what had changed before the daemon came: told of %d lags and %d writes", seen.lags, seen.writes)
	}
	b.mirror.pass.begin(nil)
	step := func(t *testing.T, sentence string, change time.Time, address string, want int) {
		t.Helper()
		b.source.set(func() {
			b.source.cached[web] = sourceOf(exported(), dated(sliceOf("web-1", ready(address)), change))
		})
		b.settle(t, web)
		if seen.lags != want {
			t.Errorf("%s: told of %d lags, not %d", sentence, seen.lags, want)
		}
	}
	step(t, "a change", changed.Add(time.Second), "10.0.0.2", 1)
	step(t, "nothing new", changed.Add(time.Second), "10.0.0.2", 1)
	step(t, "a write for another reason", changed.Add(time.Second), "10.0.0.3", 1)
	step(t, "another change", changed.Add(2*time.Second), "10.0.0.4", 2)
}

// events notes those that it is given.
type events []string

func (e *events) Event(about runtime.Object, eventType, reason, _ string) {
	*e = append(*e, eventType+" "+reason+" "+string(about.(*corev1.ObjectReference).UID))
}

func TestEventsTellWhatBecameOfAService(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	var here, there events
	b.mirror.SourceEvents, b.mirror.TargetEvents = &here, &there
	look := func() {
		verdict, err := b.reconcile(t, web)
		if err != nil {
			t.Fatal(err)
		}
		b.mirror.record(web, verdict)
	}
	look()
	pointer := string(b.target.model.get(theirs(&corev1.Service{})).GetUID())
	look()
	source.Service.Spec.Type = corev1.ServiceTypeExternalName
	look()
	look()
	if diff := cmp.Diff(events{"Normal Mirrored uid-of-web", "Warning ExternalName uid-of-web"}, here); diff != "" {
		t.Errorf("of the Service (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(events{"Normal Mirrored " + pointer}, there); diff != "" {
		t.Errorf("of the pointer (-want +got):\n%s", diff)
	}
}
