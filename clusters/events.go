package clusters

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
)

// Events writes Kubernetes Events into a cluster: equal ones as one with a count, and of one object not too many. A token
// that may not write them is not asked to again. Nothing waits for them.
type Events struct {
	record.EventRecorder
	broadcaster record.EventBroadcaster
	sink        *eventSink
}

// NewEvents begins to take Events, until Close.
func (c *Cluster) NewEvents() *Events {
	broadcaster, sink := record.NewBroadcaster(), &eventSink{cluster: c, flushed: make(chan struct{})}
	broadcaster.StartRecordingToSink(sink)
	return &Events{
		EventRecorder: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: fieldManager}),
		broadcaster:   broadcaster,
		sink:          sink,
	}
}

// Close is called once. It takes no more Events, and waits that long at the most until those that it took are written. The
// broadcaster's own end drops what it has not written yet, so a last Event goes through it, which is not written and marks
// the end: it keeps their order.
func (e *Events) Close(patience time.Duration) {
	e.Event(&corev1.ObjectReference{Name: lastEvent}, corev1.EventTypeNormal, lastEvent, "")
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-e.sink.flushed:
	case <-timer.C:
	}
	e.broadcaster.Shutdown()
}

// lastEvent is the reason of an Event that is not to be written.
const lastEvent = "xcc-last-event"

// eventSink writes Events through whatever session the cluster has.
type eventSink struct {
	cluster *Cluster
	// forbidden is the session whose token may not write Events.
	forbidden atomic.Pointer[session]
	// flushed is closed when the last Event has come.
	flushed chan struct{}
}

// write makes a request, unless the session's token is known not to be allowed to. What fails is lost: an Event is not
// worth that others wait for it.
func (s *eventSink) write(event *corev1.Event, do func(context.Context, kubernetes.Interface) (*corev1.Event, error)) (*corev1.Event, error) {
	current, err := s.cluster.session()
	if err != nil || s.forbidden.Load() == current {
		return event, nil
	}
	written := event
	err = s.cluster.request(context.Background(), func(ctx context.Context, client kubernetes.Interface) error {
		answer, err := do(ctx, client)
		if err == nil {
			written = answer
		}
		return err
	})
	var status *apierrors.StatusError
	switch {
	case errors.As(err, &status) && isAbsent(status):
		// The recorder makes an Event anew that is gone; it knows this by the bare error only.
		return nil, status
	case apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		s.forbidden.Store(current)
		s.cluster.log.WithError(err).Debug("no Events: the token may not write them")
	case err != nil:
		s.cluster.log.WithError(err).Debug("an Event is lost")
	}
	return written, nil
}

// Create implements [record.EventSink].
func (s *eventSink) Create(event *corev1.Event) (*corev1.Event, error) {
	if event.Reason == lastEvent {
		close(s.flushed)
		return event, nil
	}
	return s.write(event, func(ctx context.Context, client kubernetes.Interface) (*corev1.Event, error) {
		return client.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{FieldManager: fieldManager})
	})
}

// Update implements [record.EventSink]; the recorder patches.
func (s *eventSink) Update(event *corev1.Event) (*corev1.Event, error) {
	return event, nil
}

// Patch implements [record.EventSink].
func (s *eventSink) Patch(event *corev1.Event, patch []byte) (*corev1.Event, error) {
	return s.write(event, func(ctx context.Context, client kubernetes.Interface) (*corev1.Event, error) {
		return client.CoreV1().Events(event.Namespace).Patch(ctx, event.Name, types.StrategicMergePatchType, patch,
			metav1.PatchOptions{FieldManager: fieldManager})
	})
}

var _ record.EventSink = &eventSink{}
