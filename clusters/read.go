package clusters

import (
	"context"

	"k8s.io/client-go/kubernetes"
)

// Read gives the object of the kind and name of the one given, whole and as of now; nil where there is none.
func (t *Target[K]) Read(ctx context.Context, object Object) (found Object, err error) {
	err = t.cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		object, err := get(ctx, client, object)
		if isAbsent(err) {
			return nil
		}
		if err == nil {
			found = object
		}
		return err
	})
	return found, err
}
