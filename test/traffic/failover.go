//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/network"
)

// failover is how long requests take to find the pods that take over, from when the status of the last pod before them says
// that it is not ready: from one cluster to the other, and within one cluster.
//
// The latter is what Kubernetes itself takes for the same two changes: one pod is not ready any more, and as soon as an
// EndpointSlice says so another one is. kube-proxy acts on the first, and then not before a second has passed.
type failover struct {
	across, within []time.Duration
	// acrossCount and withinCount are of the requests meanwhile.
	acrossCount, withinCount network.Count
}

// mostBeyond is how much more than within a cluster it may take from one to the other.
const mostBeyond = 500 * time.Millisecond

func (f failover) verdict() error {
	if beyond := median(f.across) - median(f.within); beyond > mostBeyond {
		return fmt.Errorf("failover takes %s more than within a cluster, which is more than %s", beyond, mostBeyond)
	}
	return nil
}

// String has the medians, and the worst.
func (f failover) String() string {
	return fmt.Sprintf("%s; locally %s", times(f.across), times(f.within))
}

func times(all []time.Duration) string {
	return fmt.Sprintf("%d ms, at most %d ms", median(all).Milliseconds(), slices.Max(all).Milliseconds())
}

func median(all []time.Duration) time.Duration { return slices.Sorted(slices.Values(all))[len(all)/2] }

// measureFailover lets pods of the west fail and recover, in turns one for which the east takes over, and one for which another
// pod of the west does.
func (p *pair) measureFailover(ctx context.Context, size size) (measured failover, err error) {
	s := newStage(p, size)
	defer func() { err = s.close(context.WithoutCancel(ctx), err) }()
	if err = s.enter(ctx); err != nil {
		return measured, err
	}
	within, err := s.newWithin(ctx)
	if err != nil {
		return measured, err
	}
	across, err := s.newAcross(ctx)
	if err != nil {
		return measured, err
	}
	var acrossRequests, withinRequests []network.Request
	for range size.rounds {
		took, requests, err := s.takeOver(ctx, within)
		if err != nil {
			return measured, err
		}
		measured.within, withinRequests = append(measured.within, took), append(withinRequests, requests...)
		if took, requests, err = s.takeOver(ctx, across); err != nil {
			return measured, err
		}
		measured.across, acrossRequests = append(measured.across, took), append(acrossRequests, requests...)
	}
	measured.acrossCount, measured.withinCount = network.Counted(acrossRequests), network.Counted(withinRequests)
	return measured, nil
}

// standing is a Service in the west with one ready pod.
type standing struct {
	cluster, name, target string
	pod                   *network.Pod
	// spare is the pod that is made ready in its place; nil where xcc finds one.
	spare *network.Pod
}

// newWithin makes a Service that xcc has nothing to do with.
func (s *stage) newWithin(ctx context.Context) (_ standing, err error) {
	n := standing{cluster: s.west.Name, name: "within"}
	if n.pod, err = s.runOne(ctx, s.west, n.name); err != nil {
		return n, err
	}
	pods, err := s.run(ctx, s.west, cluster.PodOptions{Name: n.name, First: 1, Count: 1, NotReady: true})
	if err != nil {
		return n, err
	}
	n.spare = pods[0]
	service := exported(n.name)
	service.Labels = nil
	if err := s.create(ctx, s.west, service); err != nil {
		return n, err
	}
	n.target, err = s.reach(ctx, s.client, s.west, n.name)
	return n, err
}

// newAcross makes a Service for which the east stands by, and returns when xcc has looked at it.
func (s *stage) newAcross(ctx context.Context) (_ standing, err error) {
	n := standing{cluster: s.west.Name, name: "across"}
	for _, c := range []*network.Cluster{s.east, s.west} {
		if n.pod, err = s.runOne(ctx, c, n.name); err != nil {
			return n, err
		}
		if err := s.create(ctx, c, inMode(exported(n.name), "failover")); err != nil {
			return n, err
		}
		client := s.client
		if c == s.east {
			client = s.localClient
		}
		if n.target, err = s.reach(ctx, client, c, n.name); err != nil {
			return n, err
		}
	}
	if err := s.startXCC(ctx); err != nil {
		return n, err
	}
	return n, eventually(ctx, "both directions have made their first pass", func(context.Context) error {
		if passes := strings.Count(s.log(), "first pass done"); passes < 2 {
			return fmt.Errorf("%d have", passes)
		}
		return nil
	})
}

func (s *stage) runOne(ctx context.Context, c *network.Cluster, name string) (*network.Pod, error) {
	pods, err := s.run(ctx, c, cluster.PodOptions{Name: name, Count: 1})
	if err != nil {
		return nil, err
	}
	return pods[0], nil
}

// inMode annotates a Service.
func inMode(service *corev1.Service, mode string) *corev1.Service {
	service.Annotations = map[string]string{"fair.com/cross-cluster-mode": mode}
	return service
}

// takeOver lets the pod fail under load, gives how long it takes until somebody else answers, and returns when the pod has
// recovered and is alone again.
func (s *stage) takeOver(ctx context.Context, n standing) (took time.Duration, requests []network.Request, err error) {
	// What kube-proxy did last is so long ago that it acts on the next change at once.
	if err := wait(ctx, 2*time.Second); err != nil {
		return 0, nil, err
	}
	load := s.client.StartLoad(n.target, s.size.perSecond)
	err = n.pod.SetReady(ctx, false)
	failed := time.Now()
	if err == nil && n.spare != nil {
		err = errors.Join(s.seenFailed(ctx, n), n.spare.SetReady(ctx, true))
	}
	if err == nil {
		err = eventually(ctx, "somebody else answers at "+n.name, func(context.Context) (err error) {
			took, err = n.firstOther(load.Requests(), failed)
			return err
		})
	}
	requests = load.Stop()
	if err == nil {
		err = n.pod.SetReady(ctx, true)
	}
	if err == nil && n.spare != nil {
		err = n.spare.SetReady(ctx, false)
	}
	if err == nil {
		err = s.alone(ctx, n)
	}
	return took, requests, err
}

// seenFailed waits until the Service has no ready address, which is what xcc waits for as well.
func (s *stage) seenFailed(ctx context.Context, n standing) error {
	of := metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + n.name}
	return eventually(ctx, n.name+" has no ready address", func(ctx context.Context) error {
		found, err := s.west.Clientset().DiscoveryV1().EndpointSlices(s.namespace).List(ctx, of)
		if err != nil {
			return err
		}
		for _, slice := range found.Items {
			for _, endpoint := range slice.Endpoints {
				if *endpoint.Conditions.Ready {
					return fmt.Errorf("%v is ready", endpoint.Addresses)
				}
			}
		}
		return nil
	})
}

// firstOther is how long it took until somebody else than the pod answered.
func (n standing) firstOther(requests []network.Request, failed time.Time) (time.Duration, error) {
	for _, request := range requests {
		if request.Err == nil && !n.isPod(request.Answer) && request.Ended.After(failed) {
			return request.Ended.Sub(failed), nil
		}
	}
	return 0, errors.New("nobody does")
}

func (n standing) isPod(answer network.Answer) bool {
	return answer.Cluster == n.cluster && answer.Pod == n.pod.Name
}

// alone waits until nobody else answers any more.
func (s *stage) alone(ctx context.Context, n standing) error {
	return eventually(ctx, "the pod of "+n.name+" has recovered", func(ctx context.Context) error {
		for range 20 {
			answer, err := s.client.Get(ctx, n.target)
			if err != nil {
				return err
			}
			if !n.isPod(answer) {
				return fmt.Errorf("%s/%s answers", answer.Cluster, answer.Pod)
			}
		}
		return nil
	})
}
