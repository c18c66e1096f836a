package clusters

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keeping makes of a function that takes an object one that takes any.
func keeping[O Object, T any](keep func(O) T) func(any) T {
	return func(object any) T { return keep(object.(O)) }
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

// The objects of these two kinds are few.

func (m Metadata) stripEndpoints(object any) *corev1.Endpoints {
	endpoints := object.(*corev1.Endpoints)
	return &corev1.Endpoints{ObjectMeta: m.of(&endpoints.ObjectMeta), Subsets: endpoints.Subsets}
}

func stripNamespace(object any) *corev1.Namespace {
	namespace := object.(*corev1.Namespace)
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace.Name, UID: namespace.UID, ResourceVersion: namespace.ResourceVersion,
		Labels: maps.Clone(namespace.Labels), DeletionTimestamp: namespace.DeletionTimestamp,
	}}
}
