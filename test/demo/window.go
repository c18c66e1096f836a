package main

import (
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	discoveryv1listers "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"xcc/sync"
)

// window shows one namespace of one cluster as its watches tell it, so that what arrives is seen when it does.
type window struct {
	services  corev1listers.ServiceNamespaceLister
	slices    discoveryv1listers.EndpointSliceNamespaceLister
	endpoints corev1listers.EndpointsNamespaceLister

	close func() // ends the watches

	mu      stdsync.Mutex
	changed chan struct{} // closed by the next change
}

// openWindow returns when all that is in the namespace can be seen.
func openWindow(ctx context.Context, client kubernetes.Interface, namespace string) (*window, error) {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	services, endpoints := factory.Core().V1().Services(), factory.Core().V1().Endpoints()
	endpointSlices := factory.Discovery().V1().EndpointSlices()
	w := &window{
		services:  services.Lister().Services(namespace),
		slices:    endpointSlices.Lister().EndpointSlices(namespace),
		endpoints: endpoints.Lister().Endpoints(namespace),
		changed:   make(chan struct{}),
		close: func() {
			cancel()
			factory.Shutdown()
		},
	}
	for _, informer := range []cache.SharedIndexInformer{services.Informer(), endpoints.Informer(), endpointSlices.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { w.wake() },
			UpdateFunc: func(any, any) { w.wake() },
			DeleteFunc: func(any) { w.wake() },
		})
		if err != nil {
			w.close()
			return nil, fmt.Errorf("watch namespace %s: %w", namespace, err)
		}
	}
	factory.StartWithContext(ctx)
	for resource, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			w.close()
			return nil, fmt.Errorf("watch %s in namespace %s: %w", resource, namespace, context.Cause(ctx))
		}
	}
	return w, nil
}

func (w *window) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *window) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// patience is how long anything may take to arrive before the demo has failed.
const patience = 30 * time.Second

// await returns when the condition holds, and says when that was. It fails with what was still missing.
func (w *window) await(ctx context.Context, condition func() error) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		next := w.next()
		err := condition()
		if err == nil {
			return time.Now(), nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return time.Time{}, fmt.Errorf("%w while this was missing: %w", cause, err)
			}
			return time.Time{}, fmt.Errorf("not within %s: %w", patience, err)
		}
	}
}

func (w *window) slicesOf(name string) ([]*discoveryv1.EndpointSlice, error) {
	return w.slices.List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name}))
}

// showsExported reports what a Service and its EndpointSlices lack to be as wanted, where it is exported.
func (w *window) showsExported(name string, want shape) error {
	service, err := w.services.Get(name)
	if err != nil {
		return err
	}
	if service.Labels[sync.LabelExport] != sync.Exported {
		return errors.New("the Service is not labelled")
	}
	all, err := w.slicesOf(name)
	if err != nil {
		return err
	}
	if got := shapeOfSlices(service, all); !got.equal(want) {
		return fmt.Errorf("the EndpointSlices have %s", got.details())
	}
	return nil
}

// showsPointer reports what a pointer lacks to be whole and as wanted: its Service, EndpointSlices and Endpoints, each
// with the origin that is given. A Service that has the UID that is not wanted is not the one.
func (w *window) showsPointer(name string, want shape, origin sync.Origin, notUID string) error {
	service, err := w.services.Get(name)
	if err != nil {
		return err
	}
	if string(service.UID) == notUID {
		return errors.New("the Service is still the old one")
	}
	all, err := w.slicesOf(name)
	if err != nil {
		return err
	}
	endpoints, err := w.endpoints.Get(name)
	if err != nil {
		return err
	}
	objects := []metav1.Object{service, endpoints}
	for _, slice := range all {
		objects = append(objects, slice)
	}
	for _, object := range objects {
		if got := sync.OriginOf(object); got != origin {
			return fmt.Errorf("%T %s has the origin %+v", object, object.GetName(), got)
		}
	}
	if got := shapeOfSlices(service, all); !got.equal(want) {
		return fmt.Errorf("the EndpointSlices have %s", got.details())
	}
	if got := shapeOfEndpoints(service, endpoints); !got.equal(want) {
		return fmt.Errorf("the Endpoints have %s", got.details())
	}
	return nil
}

// showsNothing reports what is still there of a Service.
func (w *window) showsNothing(name string) error {
	var left []string
	if _, err := w.services.Get(name); err == nil {
		left = append(left, "Service")
	}
	if _, err := w.endpoints.Get(name); err == nil {
		left = append(left, "Endpoints")
	}
	all, err := w.slicesOf(name)
	if err != nil {
		return err
	}
	for range all {
		left = append(left, "EndpointSlice")
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %v", left)
	}
	return nil
}

// showsNoExport reports a Service that is still labelled.
func (w *window) showsNoExport(name string) error {
	service, err := w.services.Get(name)
	if err == nil && service.Labels[sync.LabelExport] == sync.Exported {
		return errors.New("the Service is still labelled")
	}
	return nil
}
