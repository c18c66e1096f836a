package clusters

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// requestTimeout bounds one request, with all the retries that client-go makes on a server's word.
const requestTimeout = 30 * time.Second

// fieldManager is the name under which the API server notes who wrote a field.
const fieldManager = "xcc"

// Each write and read below goes to the cluster whose identity was proven, or nowhere. An answer is at once in the view.

// Create writes an object that is not there yet.
func (t *Target[K]) Create(ctx context.Context, object Object) (K, error) {
	return t.write(ctx, object, create)
}

// Update writes an object over the one that has its UID and resourceVersion.
func (t *Target[K]) Update(ctx context.Context, object Object) (K, error) {
	return t.write(ctx, object, update)
}

func (t *Target[K]) write(ctx context.Context, object Object, write func(context.Context, kubernetes.Interface, Object) (Object, error)) (kept K, err error) {
	version := ""
	if store := t.storeOf(object); store != nil {
		store.beginWrite(nameOf(object))
		defer func() { store.endWrite(nameOf(object), version) }()
	}
	err = t.cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		written, err := write(ctx, client, object)
		if err == nil {
			version = written.GetResourceVersion()
		}
		kept = t.observe(written, err)
		return err
	})
	return kept, err
}

// Delete deletes the object that has the UID and resourceVersion of the one given. It is done, too, where there is no
// object of the name any more: Kubernetes deletes the Endpoints of a Service with it.
func (t *Target[K]) Delete(ctx context.Context, object Object) error {
	return t.cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		err := remove(ctx, client, object)
		if err != nil && !isAbsent(err) {
			return err
		}
		t.forget(object)
		return nil
	})
}

// Lookup reads the object of the kind and name of the one given, as of now; the zero K where there is none.
func (t *Target[K]) Lookup(ctx context.Context, object Object) (kept K, err error) {
	err = t.cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		found, err := get(ctx, client, object)
		if isAbsent(err) {
			t.forget(object)
			return nil
		}
		kept = t.observe(found, err)
		return err
	})
	return kept, err
}

// observe puts an answer into the view, where it belongs there. Namespaces are left to their watch.
func (t *Target[K]) observe(object Object, err error) (kept K) {
	if err != nil {
		return kept
	}
	store := t.storeOf(object)
	if store == nil {
		return kept
	}
	kept = t.keep(object)
	if t.selector.Matches(labels.Set(object.GetLabels())) {
		store.observe(kept)
	} else {
		store.forget(nameOf(object), object.GetUID())
	}
	return kept
}

func (t *Target[K]) forget(object Object) {
	if store := t.storeOf(object); store != nil && object.GetUID() != "" {
		store.forget(nameOf(object), object.GetUID())
	}
}

func (t *Target[K]) storeOf(object Object) *store[K] {
	switch object.(type) {
	case *corev1.Service:
		return t.services
	case *discoveryv1.EndpointSlice:
		return t.slices
	case *corev1.Endpoints:
		return t.endpoints
	}
	return nil
}

func create(ctx context.Context, client kubernetes.Interface, object Object) (Object, error) {
	options := metav1.CreateOptions{FieldManager: fieldManager}
	switch object := object.(type) {
	case *corev1.Namespace:
		return client.CoreV1().Namespaces().Create(ctx, object, options)
	case *corev1.Service:
		return client.CoreV1().Services(object.Namespace).Create(ctx, object, options)
	case *discoveryv1.EndpointSlice:
		return client.DiscoveryV1().EndpointSlices(object.Namespace).Create(ctx, object, options)
	case *corev1.Endpoints:
		return client.CoreV1().Endpoints(object.Namespace).Create(ctx, object, options)
	}
	return nil, unknownKind(object)
}

// update leaves no account of who wrote which field: one empty entry clears it, and where there is none the API server
// makes none (apimachinery, managedfields: skipNonAppliedManager). To compare the fields of two versions is a good part
// of what an update costs it, and every watch that tells of the object is spared the list. The annotations say whose it is.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
func update(ctx context.Context, client kubernetes.Interface, object Object) (Object, error) {
	options := metav1.UpdateOptions{FieldManager: fieldManager}
	object.SetManagedFields([]metav1.ManagedFieldsEntry{{}})
	switch object := object.(type) {
	case *corev1.Service:
		return client.CoreV1().Services(object.Namespace).Update(ctx, object, options)
	case *discoveryv1.EndpointSlice:
		return client.DiscoveryV1().EndpointSlices(object.Namespace).Update(ctx, object, options)
	case *corev1.Endpoints:
		return client.CoreV1().Endpoints(object.Namespace).Update(ctx, object, options)
	}
	return nil, unknownKind(object)
}

func get(ctx context.Context, client kubernetes.Interface, object Object) (Object, error) {
	options := metav1.GetOptions{}
	switch object.(type) {
	case *corev1.Service:
		return client.CoreV1().Services(object.GetNamespace()).Get(ctx, object.GetName(), options)
	case *discoveryv1.EndpointSlice:
		return client.DiscoveryV1().EndpointSlices(object.GetNamespace()).Get(ctx, object.GetName(), options)
	case *corev1.Endpoints:
		return client.CoreV1().Endpoints(object.GetNamespace()).Get(ctx, object.GetName(), options)
	}
	return nil, unknownKind(object)
}

func remove(ctx context.Context, client kubernetes.Interface, object Object) error {
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: ptr.To(object.GetUID()), ResourceVersion: ptr.To(object.GetResourceVersion())},
		PropagationPolicy: ptr.To(metav1.DeletePropagationBackground),
	}
	switch object.(type) {
	case *corev1.Service:
		return client.CoreV1().Services(object.GetNamespace()).Delete(ctx, object.GetName(), options)
	case *discoveryv1.EndpointSlice:
		return client.DiscoveryV1().EndpointSlices(object.GetNamespace()).Delete(ctx, object.GetName(), options)
	case *corev1.Endpoints:
		return client.CoreV1().Endpoints(object.GetNamespace()).Delete(ctx, object.GetName(), options)
	}
	return unknownKind(object)
}

func unknownKind(object Object) error {
	return fmt.Errorf("%T is no part of a pointer", object)
}
