package cluster

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// Objects reads and writes one kind of object, as client-go's typed clients do.
type Objects[T any] interface {
	Get(context.Context, string, metav1.GetOptions) (T, error)
	Update(context.Context, T, metav1.UpdateOptions) (T, error)
}

// Edit changes an object, whoever else may be changing it.
func Edit[T any](ctx context.Context, objects Objects[T], name string, change func(T)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		object, err := objects.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(object)
		_, err = objects.Update(ctx, object, metav1.UpdateOptions{})
		return err
	})
}
