package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/sync"
	"xcc/test/cluster"
	"xcc/test/daemon"
)

// rest is how long the clusters are watched while nobody changes anything.
const rest = 5 * time.Second

// marked gives every Service, EndpointSlice and Endpoints of a cluster that carries a mark of xcc.
func (s *side) marked(ctx context.Context) ([]metav1.Object, error) {
	client, options := s.Clientset(), metav1.ListOptions{}
	services, err := client.CoreV1().Services("").List(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", s.Name, err)
	}
	endpointSlices, err := client.DiscoveryV1().EndpointSlices("").List(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", s.Name, err)
	}
	endpoints, err := client.CoreV1().Endpoints("").List(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", s.Name, err)
	}
	var marked []metav1.Object
	add := func(object metav1.Object) {
		if sync.IsMirrored(object) || object.GetLabels()[sync.LabelExport] == sync.Follower {
			marked = append(marked, object)
		}
	}
	for i := range services.Items {
		add(&services.Items[i])
	}
	for i := range endpointSlices.Items {
		add(&endpointSlices.Items[i])
	}
	for i := range endpoints.Items {
		add(&endpoints.Items[i])
	}
	return marked, nil
}

// showNoEcho looks at all that xcc wrote: it may only be the pointer of the other cluster's Service, and it may not be
// labelled as exported.
func (s *stage) showNoEcho(ctx context.Context, exports ...*app) error {
	for _, a := range exports {
		in := s.other(a.home)
		marked, err := in.marked(ctx)
		if err != nil {
			return err
		}
		for _, object := range marked {
			at := fmt.Sprintf("%s: %T %s/%s", in.Name, object, object.GetNamespace(), object.GetName())
			if origin := sync.OriginOf(object); origin != a.origin() {
				return fmt.Errorf("%s is an echo: its origin is %+v", at, origin)
			}
			if label := object.GetLabels()[sync.LabelExport]; label != sync.Follower {
				return fmt.Errorf("%s would be exported: its label is %q", at, label)
			}
		}
		s.fact(fmt.Sprintf("objects of xcc in %s, all of them for %s's %s", in.Name, a.home.Name, a.name), fmt.Sprint(len(marked)))
	}
	return nil
}

// showRest counts what xcc writes while nobody changes anything.
func (s *stage) showRest(ctx context.Context) error {
	marks := map[*side]cluster.AuditMark{}
	for _, side := range s.sides() {
		mark, err := side.AuditMark()
		if err != nil {
			return err
		}
		marks[side] = mark
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, side := range s.sides() {
		writes, err := side.writesOfXCC(marks[side])
		if err != nil {
			return err
		}
		if len(writes) > 0 {
			return fmt.Errorf("xcc wrote to %s though nothing had changed: %s", side.Name, strings.Join(writes, ", "))
		}
		s.fact(fmt.Sprintf("writes of xcc in %s, by its audit log, in %s in which nothing changed", side.Name, rest), "0")
	}
	return nil
}

// showNothingLeft looks for what a pointer may have left behind.
func (s *stage) showNothingLeft(ctx context.Context) error {
	for _, side := range s.sides() {
		marked, err := side.marked(ctx)
		if err != nil {
			return err
		}
		if len(marked) > 0 {
			return fmt.Errorf("%s still has %d objects of xcc, the first is %T %s", side.Name, len(marked), marked[0], marked[0].GetName())
		}
		s.fact("objects of xcc left in "+side.Name, "0")
	}
	return nil
}

// showWrites counts all that xcc wrote.
func (s *stage) showWrites() error {
	for _, side := range s.sides() {
		writes, err := side.writesOfXCC(0)
		if err != nil {
			return err
		}
		s.fact("writes of xcc in "+side.Name+", by its audit log, from first to last", fmt.Sprint(len(writes)))
	}
	return nil
}

// mirrored are the resources that xcc may write for its users. What it writes for itself, in its own namespace, is not
// counted.
var mirrored = []string{"services", "endpointslices", "endpoints", "namespaces"}

// writesOfXCC gives the writes of xcc's identity that a cluster recorded since a mark.
func (s *side) writesOfXCC(since cluster.AuditMark) ([]string, error) {
	events, err := s.Audit(since)
	if err != nil {
		return nil, err
	}
	var writes []string
	for _, event := range events {
		if event.User == "system:serviceaccount:"+daemon.Namespace+":"+daemon.ServiceAccount &&
			event.Write() && slices.Contains(mirrored, event.Resource) {
			writes = append(writes, fmt.Sprintf("%s %s %s/%s (%d)", event.Verb, event.Resource, event.Namespace, event.Name, event.Code))
		}
	}
	return writes, nil
}
