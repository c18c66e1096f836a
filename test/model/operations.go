package model

import (
	"context"
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// action is something that happens. What it is depends on the seed alone, and never on what the clusters are like, so
// that a seed always gives the same actions. Many do nothing therefore: there is nothing to scale, or a name is taken.
type action struct {
	kind string // for the statistics
	text string // for the log, with all its arguments
	do   func(ctx context.Context) error
}

// names are few, so that the two clusters want the same ones.
var names = []string{"cart", "db", "pay", "web"}

// operations draws what users do.
type operations struct {
	random     *rand.Rand
	pair       *Pair
	namespaces []string
}

// choice is an operation that is drawn as often, relative to the others, as its weight says.
type choice struct {
	weight int
	draw   func(side *Side, namespace, name string) action
}

func (o *operations) next() action {
	side := o.pair.sides()[o.random.IntN(2)]
	namespace := o.namespaces[o.random.IntN(len(o.namespaces))]
	name := names[o.random.IntN(len(names))]
	choices := []choice{
		{20, o.create}, {8, o.delete}, {8, o.relabel}, {20, o.scale}, {10, o.readiness}, {8, o.ports}, {6, o.recreate},
		{3, o.optOut}, {1, o.deleteNamespace}, {2, o.createNamespace}, {16, o.tamper}, {10, o.join}, {4, o.mode},
	}
	return draw(o.random, choices)(side, namespace, name)
}

func draw(random *rand.Rand, choices []choice) func(*Side, string, string) action {
	total := 0
	for _, choice := range choices {
		total += choice.weight
	}
	n := random.IntN(total)
	for _, choice := range choices {
		if n -= choice.weight; n < 0 {
			return choice.draw
		}
	}
	panic("the weights add up")
}

// about makes an action on one Service.
func about(kind string, side *Side, namespace, name, detail string, do func(ctx context.Context) error) action {
	return action{kind: kind, text: fmt.Sprintf("%s %s/%s in %s%s", kind, namespace, name, side.Name, detail), do: do}
}

func (o *operations) create(side *Side, namespace, name string) action {
	shape, isExported := shapes[o.random.IntN(len(shapes))], o.random.IntN(5) > 0
	pods := 1 + o.random.IntN(3)
	return about("create", side, namespace, name, fmt.Sprintf(" as %s, exported: %t, with %d pods", shape, isExported, pods), func(ctx context.Context) error {
		if err := side.create(ctx, shape, namespace, name, isExported); err != nil {
			return err
		}
		return side.scale(ctx, namespace, name, pods)
	})
}

func (o *operations) delete(side *Side, namespace, name string) action {
	return about("delete", side, namespace, name, "", func(ctx context.Context) error {
		return side.Clientset().CoreV1().Services(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})
}

// relabel exports what is not, and the other way around; of a pointer it makes a Service that says it is exported.
func (o *operations) relabel(side *Side, namespace, name string) action {
	return about("relabel", side, namespace, name, "", func(ctx context.Context) error {
		return side.edit(ctx, namespace, name, func(service *corev1.Service) {
			if service.Labels[exportLabel] == "true" {
				delete(service.Labels, exportLabel)
			} else {
				metav1.SetMetaDataLabel(&service.ObjectMeta, exportLabel, "true")
			}
		})
	})
}

func (o *operations) scale(side *Side, namespace, name string) action {
	count := o.random.IntN(5)
	return about("scale", side, namespace, name, fmt.Sprintf(" to %d", count), func(ctx context.Context) error {
		return side.scale(ctx, namespace, name, count)
	})
}

func (o *operations) readiness(side *Side, namespace, name string) action {
	ready := o.random.IntN(2) == 0
	return about("readiness", side, namespace, name, fmt.Sprintf(": %t", ready), func(ctx context.Context) error {
		return side.setReady(ctx, namespace, name, ready)
	})
}

func (o *operations) ports(side *Side, namespace, name string) action {
	port := int32(80 + o.random.IntN(5))
	return about("ports", side, namespace, name, fmt.Sprintf(" to %d", port), func(ctx context.Context) error {
		return side.edit(ctx, namespace, name, func(service *corev1.Service) {
			for i := range service.Spec.Ports[:min(1, len(service.Spec.Ports))] {
				service.Spec.Ports[i].Port = port
				service.Spec.Ports[i].Name = fmt.Sprintf("http-%d", port%2)
			}
		})
	})
}

// recreate is a deletion and a creation that may be one event to a watch.
func (o *operations) recreate(side *Side, namespace, name string) action {
	shape := shapes[o.random.IntN(len(shapes))]
	return about("recreate", side, namespace, name, fmt.Sprintf(" as %s", shape), func(ctx context.Context) error {
		if err := side.Clientset().CoreV1().Services(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return err
		}
		return side.create(ctx, shape, namespace, name, true)
	})
}

// modes are the values of the annotation, and two that are none.
var modes = []string{"join", "failover", "failover", "pointer", "jion"}

// join has both clusters export a name in one mode, whatever is there: of a pointer it makes a Service of the cluster's
// own, as whoever applies a manifest over it and takes the marks off.
func (o *operations) join(_ *Side, namespace, name string) action {
	mode, shape := modes[o.random.IntN(3)], []shape{clusterIP, clusterIP, multiPort}[o.random.IntN(3)]
	pods := []int{o.random.IntN(3), o.random.IntN(3)}
	return about("join", o.pair.A, namespace, name, fmt.Sprintf(" and the other as %s, mode %s, with %v pods", shape, mode, pods), func(ctx context.Context) error {
		for i, side := range o.pair.sides() {
			if err := side.own(ctx, shape.service(name, true), namespace, mode); err != nil {
				return err
			}
			if err := side.scale(ctx, namespace, name, pods[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// own makes a Service as given, or of what has its name.
func (s *Side) own(ctx context.Context, service *corev1.Service, namespace, mode string) error {
	service.Annotations = map[string]string{modeAnnotation: mode}
	_, err := s.Clientset().CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	return s.edit(ctx, namespace, service.Name, func(found *corev1.Service) {
		found.Labels, found.Annotations = service.Labels, service.Annotations
		found.Spec.Selector, found.Spec.Ports = service.Spec.Selector, service.Spec.Ports
	})
}

// mode gives one Service a mode, an unknown one perhaps, and says how many ready addresses it needs.
func (o *operations) mode(side *Side, namespace, name string) action {
	mode, needs := modes[o.random.IntN(len(modes))], []string{"1", "2", "none"}[o.random.IntN(3)]
	return about("mode", side, namespace, name, fmt.Sprintf(": %s, of its own it needs %s", mode, needs), func(ctx context.Context) error {
		return side.edit(ctx, namespace, name, func(service *corev1.Service) {
			metav1.SetMetaDataAnnotation(&service.ObjectMeta, modeAnnotation, mode)
			metav1.SetMetaDataAnnotation(&service.ObjectMeta, minReadyAnnotation, needs)
		})
	})
}

func (o *operations) optOut(side *Side, namespace, _ string) action {
	value := []string{"false", "true"}[o.random.IntN(2)]
	return about("opt out", side, namespace, "*", ": label "+value, func(ctx context.Context) error {
		return cluster.Edit(ctx, side.Clientset().CoreV1().Namespaces(), namespace, func(found *corev1.Namespace) {
			metav1.SetMetaDataLabel(&found.ObjectMeta, exportLabel, value)
		})
	})
}

func (o *operations) deleteNamespace(side *Side, namespace, _ string) action {
	return about("delete namespace", side, namespace, "*", "", func(ctx context.Context) error {
		return side.drop(ctx, namespace)
	})
}

// drop deletes a namespace. There are no kubelets, without which no pod ends that is asked to.
func (s *Side) drop(ctx context.Context, namespace string) error {
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	if err := s.Clientset().CoreV1().Pods(namespace).DeleteCollection(ctx, now, metav1.ListOptions{}); err != nil {
		return err
	}
	return s.Clientset().CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
}

func (o *operations) createNamespace(side *Side, namespace, _ string) action {
	return about("create namespace", side, namespace, "*", "", func(ctx context.Context) error {
		_, err := side.Clientset().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		return err
	})
}

// edit changes a Service, whoever else may be changing it.
func (s *Side) edit(ctx context.Context, namespace, name string, change func(*corev1.Service)) error {
	return cluster.Edit(ctx, s.Clientset().CoreV1().Services(namespace), name, change)
}

// isNothing reports whether an error only says that there was nothing to do the thing to, or that it can't be done there.
func isNothing(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsConflict(err)
}
