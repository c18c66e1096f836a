//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"xcc/test/cluster"
	"xcc/test/network"
)

// turnover replaces the pods of a Service one by one, as the rollout of a Deployment does: a new pod is ready before an old
// one is told to end, which then serves on for as long as its preStop hook sleeps.
type turnover struct {
	cluster        *network.Cluster
	namespace      string
	every, preStop time.Duration

	mu       sync.Mutex // held while a pod is replaced, and by who wants none to be
	serving  []*network.Pod
	draining []draining
	made     int
	ended    map[*network.Pod]bool
	err      error
}

// draining is a pod that was told to end.
type draining struct {
	pod  *network.Pod
	ends time.Time
}

// service is the name of the Service whose requests are counted.
const service = "cart"

// newTurnover runs the first pods.
func newTurnover(ctx context.Context, c *network.Cluster, namespace string, size size) (*turnover, error) {
	t := &turnover{
		cluster: c, namespace: namespace, every: size.every, preStop: size.preStop, ended: map[*network.Pod]bool{},
	}
	return t, t.add(ctx, size.pods)
}

// add runs more pods, and they are ready.
func (t *turnover) add(ctx context.Context, count int) error {
	pods, err := t.cluster.RunPods(ctx, cluster.PodOptions{
		Namespace: t.namespace, Name: service, First: t.made, Count: count, Labels: map[string]string{"app": service},
	})
	t.serving, t.made = append(t.serving, pods...), t.made+count
	return err
}

// run replaces pods until the context ends, or a step fails.
func (t *turnover) run(ctx context.Context) {
	ticker := time.NewTicker(t.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		t.mu.Lock()
		// A step that has begun is done to its end.
		t.err = t.step(context.WithoutCancel(ctx))
		failed := t.err != nil
		t.mu.Unlock()
		if failed {
			return
		}
	}
}

func (t *turnover) step(ctx context.Context) error {
	if err := t.add(ctx, 1); err != nil {
		return err
	}
	old := t.serving[0]
	t.serving = t.serving[1:]
	if err := old.Terminate(ctx); err != nil {
		return err
	}
	t.draining = append(t.draining, draining{pod: old, ends: time.Now().Add(t.preStop)})
	for len(t.draining) > 0 && time.Now().After(t.draining[0].ends) {
		if err := t.draining[0].pod.Delete(ctx); err != nil {
			return err
		}
		t.ended[t.draining[0].pod] = true
		t.draining = t.draining[1:]
	}
	return nil
}

// pause holds the turnover until resume is called. Pods that were told to end serve on meanwhile.
func (t *turnover) pause() (resume func()) {
	t.mu.Lock()
	return t.mu.Unlock
}

// underWay waits until the first pod was told to end.
func (t *turnover) underWay(ctx context.Context) error {
	return eventually(ctx, "pods are being replaced", func(context.Context) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.err == nil && len(t.draining) == 0 {
			return errors.New("none was told to end")
		}
		return t.err
	})
}

// replaceAll waits until every pod is dead that serves now: whoever still sends to one of them loses requests.
func (t *turnover) replaceAll(ctx context.Context) error {
	t.mu.Lock()
	pods := slices.Clone(t.serving)
	t.mu.Unlock()
	return eventually(ctx, "all pods are replaced", func(context.Context) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.err != nil {
			return t.err
		}
		for _, pod := range pods {
			if !t.ended[pod] {
				return fmt.Errorf("%s is not dead yet", pod.Name)
			}
		}
		return nil
	})
}

// replaced is how many pods have died so far.
func (t *turnover) replaced() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ended)
}

// end ends all pods.
func (t *turnover) end(ctx context.Context) error {
	errs := []error{t.err}
	for _, draining := range t.draining {
		errs = append(errs, draining.pod.Delete(ctx))
	}
	for _, pod := range t.serving {
		errs = append(errs, pod.Delete(ctx))
	}
	return errors.Join(errs...)
}
