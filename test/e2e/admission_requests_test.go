package e2e

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"xcc/test/cluster"
)

// The annotations that say where a pointer is from. With the label they are the marks.
var originAnnotations = []string{"fair.com/origin-cluster", "fair.com/origin-name", "fair.com/origin-uid"}

// withMarks adds all marks to metadata.
func withMarks(meta metav1.ObjectMeta) metav1.ObjectMeta {
	labels, annotations := maps.Clone(meta.Labels), maps.Clone(meta.Annotations)
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels["fair.com/cross-cluster"] = "follower"
	for _, key := range originAnnotations {
		annotations[key] = "nowhere"
	}
	meta.Labels, meta.Annotations = labels, annotations
	return meta
}

// plainService is a Service as anybody makes it.
func plainService(name string) *corev1.Service {
	service := exported(name)
	service.Labels = nil
	return service
}

// markedService, markedSlice and markedEndpoints are the parts of a pointer.
func markedService(name string, changes ...func(*corev1.Service)) *corev1.Service {
	service := plainService(name)
	service.ObjectMeta = withMarks(service.ObjectMeta)
	service.Spec.Selector = nil
	return changed(service, changes)
}

func markedSlice(service string, changes ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	return changed(&discoveryv1.EndpointSlice{
		ObjectMeta: withMarks(metav1.ObjectMeta{Name: service + "-0123456789abcdef", Labels: map[string]string{
			"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "xcc.fair.com",
		}}),
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.77.9.1"}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(80))}},
	}, changes)
}

func markedEndpoints(name string, changes ...func(*corev1.Endpoints)) *corev1.Endpoints {
	return changed(&corev1.Endpoints{
		ObjectMeta: withMarks(metav1.ObjectMeta{Name: name, Labels: map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"}}),
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: "10.77.9.1"}}, Ports: []corev1.EndpointPort{{Name: "http", Port: 80}},
		}},
	}, changes)
}

func changed[T any](object T, changes []func(T)) T {
	for _, change := range changes {
		change(object)
	}
	return object
}

func selecting(app string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": app} }
}

func ofType(kind corev1.ServiceType) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Type = kind }
}

// creating is the request to create a Service, EndpointSlice or Endpoints.
func creating(object metav1.Object) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) (err error) {
		switch object := object.(type) {
		case *corev1.Service:
			_, err = client.CoreV1().Services(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *discoveryv1.EndpointSlice:
			_, err = client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *corev1.Endpoints:
			_, err = client.CoreV1().Endpoints(namespace).Create(ctx, object, metav1.CreateOptions{})
		}
		return err
	}
}

// changing is the request to change a Service.
func changing(name string, change func(*corev1.Service)) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) error {
		return try(ctx, client.CoreV1().Services(namespace), name, change)
	}
}

// patching is the request to patch a Service.
func patching(name string, kind types.PatchType, patch string, subresources ...string) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) error {
		_, err := client.CoreV1().Services(namespace).Patch(ctx, name, kind, []byte(patch), metav1.PatchOptions{FieldManager: "test"}, subresources...)
		return err
	}
}

// try changes an object as it is, once.
func try[T any](ctx context.Context, objects cluster.Objects[T], name string, change func(T)) error {
	object, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	change(object)
	_, err = objects.Update(ctx, object, metav1.UpdateOptions{})
	return err
}
