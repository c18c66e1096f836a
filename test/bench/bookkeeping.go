package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// bookkeeping is what an API server keeps of who wrote which field, of each object in its storage, by its key.
type bookkeeping map[string][]metav1.ManagedFieldsEntry

// fieldManager is xcc's. The floor writes under it what xcc has created, as a client does that has created it itself.
const fieldManager = "xcc"

// bookkeeping reads it from the slices and the Endpoints.
func (s storage) bookkeeping(ctx context.Context) (bookkeeping, error) {
	all := bookkeeping{}
	err := s.each(ctx, func(key string, object metav1.Object) bool {
		all[key] = object.GetManagedFields()
		return false
	})
	return all, err
}

// putBack gives the objects that have no bookkeeping any more what they had.
func (s storage) putBack(ctx context.Context, all bookkeeping) error {
	return s.each(ctx, func(key string, object metav1.Object) bool {
		if len(object.GetManagedFields()) > 0 {
			return false
		}
		object.SetManagedFields(all[key])
		return true
	})
}

// each calls a function with each slice and each Endpoints object, and stores those that it reports to have changed.
func (s storage) each(ctx context.Context, change func(key string, object metav1.Object) bool) error {
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	all, err := s.dump(ctx, storedPrefixes()[1:]...)
	if err != nil {
		return err
	}
	var changed []stored
	for _, one := range all {
		object, _, err := serializer.Decode([]byte(one.value), nil, nil)
		if err != nil {
			return fmt.Errorf("read %s from etcd: %w", one.key, err)
		}
		if !change(one.key, object.(metav1.Object)) {
			continue
		}
		again, err := asStored(one.key, object)
		if err != nil {
			return fmt.Errorf("write %s to etcd: %w", one.key, err)
		}
		changed = append(changed, again)
	}
	return s.restore(ctx, changed)
}
