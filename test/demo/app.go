package main

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/sync"
	"xcc/test/cluster"
)

// app is a Service and its pods, and what its clients should see of them.
type app struct {
	name    string
	home    *side
	uid     types.UID // of its Service
	ports   []corev1.ServicePort
	pods    []corev1.Pod
	failing map[string]bool // the pods whose readiness probe fails
	created int             // how many pods there ever were
}

func newApp(home *side, name string) *app {
	return &app{name: name, home: home, failing: map[string]bool{}, ports: []corev1.ServicePort{tcp("http", 80, 8080)}}
}

func tcp(name string, port int32, target int) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromInt(target)}
}

// wants is what the clients of the Service should see, in its own cluster and in the other alike.
func (a *app) wants() shape {
	var s shape
	for _, port := range a.ports {
		s.ports = append(s.ports, fmt.Sprintf("%s %d", port.Name, port.Port))
		s.targets = append(s.targets, fmt.Sprintf("%s %d", port.Name, port.TargetPort.IntValue()))
	}
	for _, pod := range a.pods {
		if a.failing[pod.Name] {
			s.unready = append(s.unready, pod.Status.PodIP)
		} else {
			s.ready = append(s.ready, pod.Status.PodIP)
		}
	}
	return s.canonical()
}

// origin is what every object of its pointer must say.
func (a *app) origin() sync.Origin {
	return sync.Origin{Cluster: a.home.uid, Name: a.home.Name, Service: a.uid}
}

// run creates the Service, with the labels given, and its pods.
func (a *app) run(ctx context.Context, pods int, labels map[string]string) error {
	return a.runAs(ctx, pods, corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: a.name, Labels: labels},
	})
}

func (a *app) runAs(ctx context.Context, pods int, service corev1.Service) error {
	service.Spec.Selector = map[string]string{"app": a.name}
	service.Spec.Ports = a.ports
	made, err := a.home.Clientset().CoreV1().Services(service.Namespace).Create(ctx, &service, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("cluster %s: create Service %s/%s: %w", a.home.Name, service.Namespace, a.name, err)
	}
	a.uid = made.UID
	subdomain := ""
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		subdomain = a.name
	}
	added, err := a.home.RunPods(ctx, cluster.PodOptions{
		Namespace: service.Namespace, Name: a.name, Count: pods, Labels: service.Spec.Selector, Subdomain: subdomain,
	})
	a.pods, a.created = added, pods
	return err
}

// scale adds pods, or deletes the youngest.
func (a *app) scale(ctx context.Context, pods int) error {
	for len(a.pods) > pods {
		last := len(a.pods) - 1
		if err := a.home.DeletePod(ctx, namespace, a.pods[last].Name); err != nil {
			return err
		}
		a.pods = a.pods[:last]
	}
	added, err := a.home.RunPods(ctx, cluster.PodOptions{
		Namespace: namespace, Name: a.name, First: a.created, Count: pods - len(a.pods), Labels: map[string]string{"app": a.name},
	})
	a.pods, a.created = append(a.pods, added...), a.created+len(added)
	return err
}

// setReady makes the first pod pass or fail its readiness probe.
func (a *app) setReady(ctx context.Context, ready bool) error {
	a.failing[a.pods[0].Name] = !ready
	return a.home.SetReady(ctx, namespace, a.pods[0].Name, ready)
}

// setPorts replaces the Service's ports.
func (a *app) setPorts(ctx context.Context, ports ...corev1.ServicePort) error {
	services := a.home.Clientset().CoreV1().Services(namespace)
	service, err := services.Get(ctx, a.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cluster %s: %w", a.home.Name, err)
	}
	service.Spec.Ports, a.ports = ports, ports
	if _, err := services.Update(ctx, service, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("cluster %s: ports of Service %s/%s: %w", a.home.Name, namespace, a.name, err)
	}
	return nil
}

// setExported labels the Service, or takes the label away, as kubectl label does.
func (a *app) setExported(ctx context.Context, exported bool) error {
	label := map[string]any{sync.LabelExport: nil}
	if exported {
		label[sync.LabelExport] = sync.Exported
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": label}})
	if err != nil {
		return err
	}
	services := a.home.Clientset().CoreV1().Services(namespace)
	if _, err := services.Patch(ctx, a.name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("cluster %s: label Service %s/%s: %w", a.home.Name, namespace, a.name, err)
	}
	return nil
}

func (a *app) delete(ctx context.Context) error {
	return deleteService(ctx, a.home, a.name)
}

func deleteService(ctx context.Context, in *side, name string) error {
	if err := in.Clientset().CoreV1().Services(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("cluster %s: delete Service %s/%s: %w", in.Name, namespace, name, err)
	}
	return nil
}

// exported is the label that exports a Service.
func exported() map[string]string {
	return map[string]string{sync.LabelExport: sync.Exported}
}
