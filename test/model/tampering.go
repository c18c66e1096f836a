package model

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tamper does something to the objects of a name that nobody should do to a pointer. To a Service of the cluster's own
// it is one more thing that users do.
func (o *operations) tamper(side *Side, namespace, name string) action {
	client := side.Clientset()
	services := func(what string, change func(*corev1.Service)) action {
		return about("tamper", side, namespace, name, ": "+what, func(ctx context.Context) error {
			return side.edit(ctx, namespace, name, change)
		})
	}
	slices := func(what string, do func(ctx context.Context, slice *discoveryv1.EndpointSlice) error) action {
		return about("tamper", side, namespace, name, ": "+what, func(ctx context.Context) error {
			list, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name})
			if err != nil {
				return err
			}
			for i := range list.Items {
				if err := do(ctx, &list.Items[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	update := func(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
		_, err := client.DiscoveryV1().EndpointSlices(namespace).Update(ctx, slice, metav1.UpdateOptions{})
		return err
	}
	all := []action{
		services("edit its ports", func(service *corev1.Service) {
			for i := range service.Spec.Ports {
				service.Spec.Ports[i].Port += 1000
			}
		}),
		services("give it a selector", func(service *corev1.Service) { service.Spec.Selector = map[string]string{"app": name} }),
		services("give it external IPs", func(service *corev1.Service) { service.Spec.ExternalIPs = []string{"192.0.2.7"} }),
		services("make it a NodePort", func(service *corev1.Service) { service.Spec.Type = corev1.ServiceTypeNodePort }),
		services("give it a label", func(service *corev1.Service) { metav1.SetMetaDataLabel(&service.ObjectMeta, "team", "shop") }),
		services("take its marks", func(service *corev1.Service) {
			if service.Labels[exportLabel] == "follower" {
				delete(service.Labels, exportLabel)
				service.Annotations = nil
			}
		}),
		slices("move its slices to another Service", func(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
			if slice.Labels[exportLabel] != "follower" {
				return nil
			}
			slice.Labels[discoveryv1.LabelServiceName] = "elsewhere"
			return update(ctx, slice)
		}),
		slices("empty its slices", func(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
			slice.Endpoints = nil
			return update(ctx, slice)
		}),
		slices("delete its slices", func(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
			return client.DiscoveryV1().EndpointSlices(namespace).Delete(ctx, slice.Name, metav1.DeleteOptions{})
		}),
		about("tamper", side, namespace, name, ": delete its Endpoints", func(ctx context.Context) error {
			return client.CoreV1().Endpoints(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		}),
		about("tamper", side, namespace, name, ": edit its Endpoints", func(ctx context.Context) error {
			endpoints, err := client.CoreV1().Endpoints(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			endpoints.Subsets = []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.9.9.9"}}, Ports: []corev1.EndpointPort{{Port: 9}}}}
			_, err = client.CoreV1().Endpoints(namespace).Update(ctx, endpoints, metav1.UpdateOptions{})
			return err
		}),
	}
	return all[o.random.IntN(len(all))]
}
