package sync

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// The marks that say whose an object is. They are the only memory that xcc has: a restarted daemon finds its pointers by
// them, and nothing without them is ever written or deleted.
const (
	// LabelExport selects exported Services. On every object of a pointer it has the value [Follower] instead, so that no
	// pointer can match the default selector, and so that one label selector finds all pointers of a cluster.
	LabelExport = "fair.com/cross-cluster"
	// Exported is the value by which a user exports a Service.
	Exported = "true"
	// Follower is the value on every object of a pointer.
	Follower = "follower"
	// OptedOut is the value on a Namespace that wants no pointers.
	OptedOut = "false"

	// AnnotationOriginCluster holds the source cluster's UID: that of its kube-system Namespace.
	AnnotationOriginCluster = "fair.com/origin-cluster"
	// AnnotationOriginName holds the source cluster's display name. It is for people: nothing is decided by it.
	AnnotationOriginName = "fair.com/origin-name"
	// AnnotationOriginUID holds the UID of the exported Service.
	AnnotationOriginUID = "fair.com/origin-uid"

	// ManagedBy is the value of endpointslice.kubernetes.io/managed-by on a pointer's EndpointSlices. The EndpointSlice
	// controllers of Kubernetes leave slices alone that are managed by another name than theirs.
	ManagedBy = "xcc.fair.com"
)

// Key names a Service, in the cluster that exports it and in the other alike.
type Key = types.NamespacedName

// Object is any Kubernetes object that a pointer is made of, or the Namespace that holds it.
type Object = interface {
	runtime.Object
	metav1.Object
}

// Origin says which Service of which cluster an object was mirrored from.
type Origin struct {
	Cluster types.UID
	Name    string
	Service types.UID
}

// OriginOf reads the origin annotations of an object. It is the zero Origin where there are none.
func OriginOf(object metav1.Object) Origin {
	annotations := object.GetAnnotations()
	return Origin{
		Cluster: types.UID(annotations[AnnotationOriginCluster]),
		Name:    annotations[AnnotationOriginName],
		Service: types.UID(annotations[AnnotationOriginUID]),
	}
}

// IsMirrored reports whether an object carries any origin annotation, complete or not. This is the echo guard: what is
// mirrored is never exported again, whatever labels somebody gives it.
func IsMirrored(object metav1.Object) bool {
	for _, key := range originAnnotations {
		if _, found := object.GetAnnotations()[key]; found {
			return true
		}
	}
	return false
}

var originAnnotations = []string{AnnotationOriginCluster, AnnotationOriginName, AnnotationOriginUID}

func (o Origin) annotations() map[string]string {
	return map[string]string{
		AnnotationOriginCluster: string(o.Cluster),
		AnnotationOriginName:    o.Name,
		AnnotationOriginUID:     string(o.Service),
	}
}
