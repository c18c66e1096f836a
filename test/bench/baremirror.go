package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"golang.org/x/sync/errgroup"
)

// mirror watches the exported slices, and PUTs each that has changed straight over its pointer's: no queue, no cache, no
// comparison. It learns at its start what the pointers look like, and then reads nothing but the watch.
func (b *bare) mirror(ctx context.Context) error {
	pointers, err := b.pointers(ctx)
	if err != nil {
		return err
	}
	exportedOnes := metav1.ListOptions{LabelSelector: labelExport + "=" + exported}
	list, err := b.source.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).List(ctx, exportedOnes)
	if err != nil {
		return err
	}
	exportedOnes.ResourceVersion = list.ResourceVersion
	events, err := b.source.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).Watch(ctx, exportedOnes)
	if err != nil {
		return err
	}
	defer events.Stop()
	if err := b.say(ready); err != nil {
		return err
	}
	group, writing := errgroup.WithContext(context.WithoutCancel(ctx))
	group.SetLimit(writers)
	for {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-writing.Done():
			return group.Wait()
		case event, open := <-events.ResultChan():
			if !open || event.Type == watch.Error {
				return errors.Join(errors.New("the watch has ended"), group.Wait())
			}
			slice, isSlice := event.Object.(*discoveryv1.EndpointSlice)
			if !isSlice || event.Type == watch.Deleted {
				continue
			}
			group.Go(func() error { return b.put(writing, pointers, slice) })
		}
	}
}

// pointers gives the slice of each pointer that has one.
func (b *bare) pointers(ctx context.Context) (map[types.NamespacedName]*discoveryv1.EndpointSlice, error) {
	list, err := b.target.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: labelExport + "=" + follower})
	if err != nil {
		return nil, err
	}
	pointers := make(map[types.NamespacedName]*discoveryv1.EndpointSlice, len(list.Items))
	for i := range list.Items {
		slice := &list.Items[i]
		slice.ManagedFields, slice.ResourceVersion = nil, ""
		pointers[types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}] = slice
	}
	return pointers, nil
}

// put writes what a slice's pointer is to be now: the slice, and the Endpoints where they are wanted. The addresses are in
// the order in which xcc writes them, so that it finds nothing to do when its turn comes.
func (b *bare) put(ctx context.Context, pointers map[types.NamespacedName]*discoveryv1.EndpointSlice, changed *discoveryv1.EndpointSlice) error {
	key := types.NamespacedName{Namespace: changed.Namespace, Name: changed.Labels[discoveryv1.LabelServiceName]}
	pointer, known := pointers[key]
	if !known {
		return fmt.Errorf("no pointer of %s", key)
	}
	slice := *pointer
	slice.Endpoints = nil
	for _, endpoint := range changed.Endpoints {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: endpoint.Addresses, Conditions: endpoint.Conditions})
	}
	slices.SortFunc(slice.Endpoints, func(a, b discoveryv1.Endpoint) int { return strings.Compare(a.Addresses[0], b.Addresses[0]) })
	options := metav1.UpdateOptions{FieldManager: fieldManager}
	if _, err := b.target.DiscoveryV1().EndpointSlices(slice.Namespace).Update(ctx, &slice, options); err != nil {
		return err
	}
	if !b.WriteEndpoints {
		return nil
	}
	endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Annotations: slice.Annotations,
		Labels: map[string]string{labelExport: follower, discoveryv1.LabelSkipMirror: "true"},
	}, Subsets: subsets(&slice)}
	_, err := b.target.CoreV1().Endpoints(key.Namespace).Update(ctx, endpoints, options)
	return err
}

// endpoints writes an Endpoints object of so many addresses again and again, and watches it. That is what the older API
// costs whoever writes it, and no cleverness saves any of it.
func (b *bare) endpoints(ctx context.Context) error {
	s := service{namespace: largeNamespace, name: "bare", endpoints: min(b.Endpoints, sliceSize)}
	object := b.pointerEndpoints(s)
	for n := s.endpoints; n < b.Endpoints; n++ {
		object.Subsets[0].Addresses = append(object.Subsets[0].Addresses, corev1.EndpointAddress{IP: podAddress(n)})
	}
	client := b.target.CoreV1().Endpoints(s.namespace)
	events, err := client.Watch(ctx, metav1.ListOptions{LabelSelector: labelExport + "=" + follower})
	if err != nil {
		return err
	}
	defer events.Stop()
	write := func(n int) error {
		object.Subsets[0].Addresses[0].IP = podAddress(freshAddresses - n - 1)
		_, err := client.Update(ctx, object, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		for event := range events.ResultChan() {
			written, isEndpoints := event.Object.(*corev1.Endpoints)
			if !isEndpoints {
				return fmt.Errorf("watch the Endpoints: %w", apierrors.FromObject(event.Object))
			}
			if written.Name == object.Name && written.Subsets[0].Addresses[0].IP == object.Subsets[0].Addresses[0].IP {
				return nil
			}
		}
		return errors.New("watch the Endpoints: " + http.StatusText(http.StatusGone))
	}
	if err := write(b.Changes); err != nil { // the first one creates it
		return err
	}
	if err := b.say(ready); err != nil {
		return err
	}
	for n := range b.Changes {
		if err := write(n); err != nil {
			return err
		}
	}
	return b.say(done)
}
