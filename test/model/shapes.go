package model

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

const (
	exportLabel        = "fair.com/cross-cluster"
	modeAnnotation     = "fair.com/cross-cluster-mode"
	minReadyAnnotation = "fair.com/cross-cluster-min-ready"
)

// shape is a kind of Service.
type shape string

const (
	clusterIP    shape = "ClusterIP"
	headless     shape = "headless"
	multiPort    shape = "multi-port"
	selectorless shape = "selectorless"
	// evil is without selector too, and names addresses that xcc may not pass on.
	evil  shape = "evil"
	alias shape = "ExternalName"
)

var shapes = []shape{clusterIP, clusterIP, headless, multiPort, selectorless, evil, alias}

// service makes a Service of a shape. Its pods carry the label app with its name.
func (s shape) service(name string, isExported bool) *corev1.Service {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": name},
		Ports:    []corev1.ServicePort{{Name: "http", Port: 80}},
	}}
	if isExported {
		service.Labels = map[string]string{exportLabel: "true"}
	}
	switch s {
	case headless:
		service.Spec.ClusterIP = corev1.ClusterIPNone
		service.Spec.PublishNotReadyAddresses = true
	case multiPort:
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		service.Spec.Ports = append(service.Spec.Ports,
			corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP},
			corev1.ServicePort{Name: "admin", Port: 8080, AppProtocol: new("kubernetes.io/h2c")})
	case selectorless, evil:
		service.Spec.Selector = nil
	case alias:
		service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
	}
	return service
}

// create creates a Service of a shape, and what a user adds who makes its endpoints himself.
func (s *Side) create(ctx context.Context, shape shape, namespace, name string, isExported bool) error {
	service, err := s.Clientset().CoreV1().Services(namespace).Create(ctx, shape.service(name, isExported), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if shape != selectorless && shape != evil {
		return nil
	}
	return s.label(ctx, shape, service)
}

// label makes a slice as the user of a Service without selector does.
func (s *Side) label(ctx context.Context, shape shape, service *corev1.Service) error {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:   service.Name + "-by-hand",
			Labels: map[string]string{discoveryv1.LabelServiceName: service.Name, exportLabel: "true", discoveryv1.LabelManagedBy: "alice"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID, Controller: new(true),
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{s.address(service.Name)}}},
	}
	if shape == evil {
		for _, address := range []string{"168.63.129.16", "100.100.100.200", "10.101.0.1", "10.102.0.1"} {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
		}
	}
	slices := s.Clientset().DiscoveryV1().EndpointSlices(service.Namespace)
	_, err := slices.Create(ctx, slice, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		// Of an earlier Service of the name, and not collected yet.
		if err := ignoreAbsent(slices.Delete(ctx, slice.Name, metav1.DeleteOptions{})); err != nil {
			return err
		}
		_, err = slices.Create(ctx, slice, metav1.CreateOptions{})
	}
	return err
}

// address is one of the side's own that no pod has.
func (s *Side) address(name string) string {
	sum := 0
	for _, letter := range name {
		sum = (sum*31 + int(letter)) % 250
	}
	number := s.cidrs[0].Addr().As4()[1] - 100
	return netip.AddrFrom4([4]byte{10, number, 250, byte(1 + sum)}).String()
}

// scale makes a Service have that many pods, the first ones ready.
func (s *Side) scale(ctx context.Context, namespace, name string, count int) error {
	pods := s.Clientset().CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return err
	}
	for _, pod := range list.Items[min(count, len(list.Items)):] {
		if err := ignoreAbsent(s.DeletePod(ctx, namespace, pod.Name)); err != nil {
			return err
		}
	}
	for ordinal := 0; count > len(list.Items); ordinal++ {
		_, err := s.RunPods(ctx, cluster.PodOptions{Namespace: namespace, Name: name, First: ordinal, Count: 1, Labels: map[string]string{"app": name}})
		if err == nil {
			count--
		} else if !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (s *Side) setReady(ctx context.Context, namespace, name string, ready bool) error {
	list, err := s.Clientset().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return err
	}
	for _, pod := range list.Items {
		if err := s.SetReady(ctx, namespace, pod.Name, ready); err != nil {
			return err
		}
	}
	if len(list.Items) == 0 {
		return fmt.Errorf("%s has no pods", name)
	}
	return nil
}

func ignoreAbsent(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
