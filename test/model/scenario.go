package model

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/invariant"
)

// The reference scenario: what it does, it does in both clusters at the same time, under names of each cluster's own.

// scenarioStep is one change, and what is known of the source when Kubernetes has followed it.
type scenarioStep struct {
	name string
	do   func(ctx context.Context, side *Side, namespace string, name func(string) string) error
	// ready is how many ready addresses each Service then has. A Service that is not in it is not there.
	ready map[string]int
}

var scenario = []scenarioStep{
	{"create two Services with pods", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return errors.Join(
			side.create(ctx, clusterIP, namespace, name("web"), true), side.create(ctx, headless, namespace, name("db"), true),
			side.scale(ctx, namespace, name("web"), 2), side.scale(ctx, namespace, name("db"), 1))
	}, map[string]int{"web": 2, "db": 1}},
	{"scale", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.scale(ctx, namespace, name("web"), 3)
	}, map[string]int{"web": 3, "db": 1}},
	{"no pod is ready", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.setReady(ctx, namespace, name("web"), false)
	}, map[string]int{"web": 0, "db": 1}},
	{"all pods are ready", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.setReady(ctx, namespace, name("web"), true)
	}, map[string]int{"web": 3, "db": 1}},
	{"edit ports", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.edit(ctx, namespace, name("web"), func(service *corev1.Service) { service.Spec.Ports[0].Port = 81 })
	}, map[string]int{"web": 3, "db": 1}},
	{"unlabel", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.edit(ctx, namespace, name("db"), func(service *corev1.Service) { delete(service.Labels, exportLabel) })
	}, map[string]int{"web": 3, "db": 1}},
	{"relabel", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.edit(ctx, namespace, name("db"), func(service *corev1.Service) {
			metav1.SetMetaDataLabel(&service.ObjectMeta, exportLabel, "true")
		})
	}, map[string]int{"web": 3, "db": 1}},
	{"delete one", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return side.Clientset().CoreV1().Services(namespace).Delete(ctx, name("web"), metav1.DeleteOptions{})
	}, map[string]int{"db": 1}},
	{"recreate both in other shapes", func(ctx context.Context, side *Side, namespace string, name func(string) string) error {
		return errors.Join(
			side.Clientset().CoreV1().Services(namespace).Delete(ctx, name("db"), metav1.DeleteOptions{}),
			side.create(ctx, clusterIP, namespace, name("db"), true),
			side.create(ctx, headless, namespace, name("web"), true))
	}, map[string]int{"web": 3, "db": 1}},
}

// naming gives the names that a cluster's Services have in the scenario.
func (p *Pair) naming(side *Side) func(string) string {
	if side == p.A {
		return func(name string) string { return "a-" + name }
	}
	return func(name string) string { return "b-" + name }
}

// act does a step in both clusters, and waits until Kubernetes has done its part in the sources.
func (p *Pair) act(ctx context.Context, step scenarioStep, namespace string) error {
	for _, side := range p.sides() {
		if err := step.do(ctx, side, namespace, p.naming(side)); err != nil {
			return fmt.Errorf("%s in %s: %w", step.name, side.Name, err)
		}
	}
	for _, side := range p.sides() {
		if err := side.recorder.Sync(ctx); err != nil {
			return err
		}
		what := fmt.Sprintf("%s/%s is settled after %q", side.Name, namespace, step.name)
		err := cluster.Eventually(ctx, what, func(context.Context) error { return side.settled(step, namespace, p.naming(side)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// settled is nil when Kubernetes' slices say of the side's own Services what the step makes of them.
func (s *Side) settled(step scenarioStep, namespace string, name func(string) string) error {
	states := s.recorder.Scene(namespace).States
	for service, want := range step.ready {
		state := states[invariant.Key{Namespace: namespace, Name: name(service)}]
		if state.Service == nil {
			return fmt.Errorf("there is no %s", service)
		}
		ready := 0
		for _, slice := range state.Slices {
			if owner := metav1.GetControllerOf(slice); owner == nil || owner.UID != state.Service.UID {
				return fmt.Errorf("the slice %s is of an earlier Service", slice.Name)
			}
			if slice.Labels[exportLabel] != state.Service.Labels[exportLabel] {
				return fmt.Errorf("the slice %s is labelled as before", slice.Name)
			}
			for _, endpoint := range slice.Endpoints {
				if *endpoint.Conditions.Ready {
					ready += len(endpoint.Addresses)
				}
			}
		}
		if ready != want || len(state.Slices) == 0 {
			return fmt.Errorf("%s has %d ready addresses in %d slices, not %d", service, ready, len(state.Slices), want)
		}
	}
	return nil
}
