//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/network"
)

// scenario is something that happens while requests are made.
type scenario struct {
	name string
	// alone scenarios concern others in the same clusters.
	alone bool
	flags []string // of xcc
	// prepare comes before the first request; nil for nothing.
	prepare, happens func(context.Context, *stage) error
}

// scenarios are all of them.
//
// Where an API server is down, nobody can learn of a pod that comes or goes: not even a local Service could have a turnover. So
// the turnover stops before, and goes on when that cluster's kube-proxy is seen to have come back.
var scenarios = []scenario{
	{name: "xcc is restarted", happens: func(ctx context.Context, s *stage) error {
		return errors.Join(s.stopXCC(ctx), s.startXCC(ctx))
	}},
	{name: "xcc is killed, and started again", happens: func(ctx context.Context, s *stage) error {
		if err := errors.Join(s.kill(), wait(ctx, s.size.restart)); err != nil {
			return err
		}
		return s.startXCC(ctx)
	}},
	{name: "xcc is upgraded in place", happens: func(ctx context.Context, s *stage) error {
		return errors.Join(s.stopXCC(ctx), s.replaceBinary(), s.startXCC(ctx))
	}},
	{name: "the leader ends, and another daemon leads", flags: []string{"--leader-elect"}, prepare: standBy, happens: func(ctx context.Context, s *stage) error {
		return errors.Join(s.stopFirst(ctx), s.startXCC(ctx))
	}},
	{name: "both credentials are rotated", prepare: rotate, happens: rotate},
	{name: "many other Services are synced", happens: syncOthers},
	{name: "the API server of the east is down", alone: true, happens: func(ctx context.Context, s *stage) error {
		return s.outage(ctx, s.east, s.localClient)
	}},
	{name: "the API server of the west is down", alone: true, happens: func(ctx context.Context, s *stage) error {
		return s.outage(ctx, s.west, s.client)
	}},
}

// run plays a scenario in a namespace of its own.
func (p *pair) run(ctx context.Context, scenario scenario, size size) (result result, err error) {
	s := newStage(p, size, scenario.flags...)
	defer func() { err = s.close(context.WithoutCancel(ctx), err) }()
	if err = s.setUp(ctx); err != nil {
		return result, err
	}
	if scenario.prepare != nil {
		if err = scenario.prepare(ctx, s); err != nil {
			return result, err
		}
	}
	if result, err = s.play(ctx, scenario.happens); err == nil {
		err = result.verdict()
	}
	return result, err
}

// syncOthers has other Services mirrored.
func syncOthers(ctx context.Context, s *stage) error {
	name := s.newName("other")
	if _, err := s.run(ctx, s.east, cluster.PodOptions{Name: name, Count: 3}); err != nil {
		return err
	}
	group, creating := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range s.size.others {
		group.Go(func() error {
			other := exported(name)
			other.Name = fmt.Sprintf("%s-%d", name, i)
			return s.create(creating, s.east, other)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return eventually(ctx, "the other Services are mirrored", func(ctx context.Context) error {
		slices, err := s.west.Clientset().DiscoveryV1().EndpointSlices(s.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var others int
		for _, slice := range slices.Items {
			if strings.HasPrefix(slice.Labels["kubernetes.io/service-name"], name) && len(slice.Endpoints) > 0 {
				others++
			}
		}
		if others < s.size.others {
			return fmt.Errorf("%d of %d", others, s.size.others)
		}
		return nil
	})
}

// outage takes a cluster's API server away for a time. The client is one of that cluster.
func (s *stage) outage(ctx context.Context, c *network.Cluster, client *network.Pod) error {
	probe, err := s.newProbe(ctx, c)
	if err != nil {
		return err
	}
	resume := s.pods.pause()
	defer resume()
	if err := c.APIServer.Stop(ctx); err != nil {
		return err
	}
	if err := errors.Join(wait(ctx, s.size.away), c.APIServer.Start(ctx)); err != nil {
		return err
	}
	if err := probe.SetReady(ctx, true); err != nil {
		return err
	}
	_, err = s.reach(ctx, client, c, probe.Name)
	return err
}

// newProbe runs a pod with a Service of the same name, which it does not answer for until it is ready.
func (s *stage) newProbe(ctx context.Context, c *network.Cluster) (*network.Pod, error) {
	name := s.newName("probe")
	pods, err := s.run(ctx, c, cluster.PodOptions{Name: name, Count: 1, NotReady: true})
	if err != nil {
		return nil, err
	}
	probe := exported(pods[0].Name)
	probe.Labels, probe.Spec.Selector = nil, map[string]string{"app": name}
	return pods[0], s.create(ctx, c, probe)
}

// wait lets time go by.
func wait(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(duration):
		return nil
	}
}
