package clusters

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is never mirrored is not kept. The objects are the Reflector's own, so they are stripped in place.

func stripMeta(meta *metav1.ObjectMeta) {
	meta.ManagedFields = nil
	meta.OwnerReferences = nil
	meta.Finalizers = nil
	delete(meta.Annotations, corev1.LastAppliedConfigAnnotation)
}

func stripService(object any) *corev1.Service {
	service := object.(*corev1.Service)
	stripMeta(&service.ObjectMeta)
	service.Status = corev1.ServiceStatus{}
	return service
}

// conditions are shared by all endpoints: each would else hold three words of its own for them.
var yes, no = true, false

func shared(condition *bool) *bool {
	switch {
	case condition == nil:
		return nil
	case *condition:
		return &yes
	default:
		return &no
	}
}

func stripSlice(object any) *discoveryv1.EndpointSlice {
	slice := object.(*discoveryv1.EndpointSlice)
	stripMeta(&slice.ObjectMeta)
	for i := range slice.Endpoints {
		endpoint := &slice.Endpoints[i]
		endpoint.Conditions.Ready = shared(endpoint.Conditions.Ready)
		endpoint.Conditions.Serving = shared(endpoint.Conditions.Serving)
		endpoint.Conditions.Terminating = shared(endpoint.Conditions.Terminating)
		endpoint.TargetRef, endpoint.NodeName, endpoint.Zone, endpoint.Hints, endpoint.DeprecatedTopology = nil, nil, nil, nil, nil
	}
	return slice
}

func stripEndpoints(object any) *corev1.Endpoints {
	endpoints := object.(*corev1.Endpoints)
	stripMeta(&endpoints.ObjectMeta)
	return endpoints
}

func stripNamespace(object any) *corev1.Namespace {
	namespace := object.(*corev1.Namespace)
	stripMeta(&namespace.ObjectMeta)
	namespace.Annotations = nil
	return namespace
}
