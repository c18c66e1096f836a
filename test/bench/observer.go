package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// podChange is one pod that was replaced in the source.
type podChange struct {
	service types.NamespacedName
	address string // the new one
	// acknowledged is when the source's etcd had stored it, seen when a watch on the target's slices told of it.
	acknowledged, seen time.Time
}

// observer sees changes arrive in the target's slices, as kube-proxy would.
type observer struct {
	events watch.Interface
	first  chan struct{} // closed when the watch has told something
	ended  chan struct{}
	err    error // why, after ended

	mu      sync.Mutex
	pending map[types.NamespacedName][]*podChange // those of one Service in their order
	count   int
	idle    chan struct{} // closed when nothing is pending
}

// observe watches the target's pointers, until close.
func (l *lab) observe(ctx context.Context) (*observer, error) {
	pointers := metav1.ListOptions{LabelSelector: labelExport + "=" + follower, Limit: 1}
	// From now on: a list of one object tells the version.
	list, err := l.target.client.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).List(ctx, pointers)
	if err != nil {
		return nil, fmt.Errorf("observe the target: %w", err)
	}
	pointers.Limit, pointers.ResourceVersion = 0, list.ResourceVersion
	events, err := l.target.client.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).Watch(ctx, pointers)
	if err != nil {
		return nil, fmt.Errorf("observe the target: %w", err)
	}
	o := &observer{events: events, first: make(chan struct{}), ended: make(chan struct{}), pending: map[types.NamespacedName][]*podChange{}, idle: make(chan struct{})}
	close(o.idle)
	go o.run()
	return o, nil
}

func (o *observer) close() {
	o.events.Stop()
	<-o.ended
}

func (o *observer) run() {
	defer close(o.ended)
	for event := range o.events.ResultChan() {
		now := time.Now()
		if !isClosed(o.first) {
			close(o.first)
		}
		slice, isSlice := event.Object.(*discoveryv1.EndpointSlice)
		if !isSlice {
			o.err = fmt.Errorf("the target's watch tells: %v", event.Object)
			return
		}
		o.note(slice, now)
	}
	o.err = errors.New("the target's watch has ended")
}

// note finds the changes that a slice shows. A change that a later one of the same slice has overtaken counts as seen with it.
func (o *observer) note(slice *discoveryv1.EndpointSlice, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	service := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
	pending := o.pending[service]
	if len(pending) == 0 {
		return
	}
	addresses := map[string]bool{}
	for _, endpoint := range slice.Endpoints {
		addresses[endpoint.Addresses[0]] = true
	}
	for i := len(pending) - 1; i >= 0; i-- {
		if !addresses[pending[i].address] {
			continue
		}
		for _, change := range pending[:i+1] {
			change.seen = now
		}
		o.pending[service] = pending[i+1:]
		o.count -= i + 1
		if o.count == 0 {
			close(o.idle)
		}
		return
	}
}

// expect must be called before the change is made.
func (o *observer) expect(change *podChange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count == 0 {
		o.idle = make(chan struct{})
	}
	o.count++
	o.pending[change.service] = append(o.pending[change.service], change)
}

// patience is how long a change may take.
const patience = 30 * time.Second

// await waits until all changes that were expected have been seen.
func (o *observer) await(ctx context.Context) error {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-idle:
		return nil
	case <-o.ended:
		return o.err
	case <-ctx.Done():
		o.mu.Lock()
		defer o.mu.Unlock()
		return fmt.Errorf("%d changes have not reached the target within %s", o.count, patience)
	}
}
