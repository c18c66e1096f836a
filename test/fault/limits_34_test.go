package fault

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLargestSlices(t *testing.T) {
	t.Run("34 slices of a thousand endpoints and of twenty thousand ports arrive whole, and Endpoints say that they are not", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.run(t)
		labels := map[string]string{"fair.com/cross-cluster": "true", discoveryv1.LabelServiceName: "cart", discoveryv1.LabelManagedBy: "test"}
		wide := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "cart-wide", Labels: labels}, AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: endpointsOf([]string{"10.1.190.1"})}
		for i := range 20_000 {
			wide.Ports = append(wide.Ports, discoveryv1.EndpointPort{Name: new(fmt.Sprintf("p%d", i)), Port: new(int32(10_000 + i)), Protocol: new(corev1.ProtocolTCP)})
		}
		var addresses []string
		for i := range 1000 {
			addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", 180+i/250, 1+i%250))
		}
		long := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "cart-long", Labels: labels}, AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: endpointsOf(addresses), Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}}}
		for _, slice := range []*discoveryv1.EndpointSlice{wide, long} {
			_, err := r.a.Clientset().DiscoveryV1().EndpointSlices(r.namespace).Create(t.Context(), slice, metav1.CreateOptions{})
			mustBe(t, err)
		}
		_, err := r.a.Clientset().CoreV1().Services(r.namespace).Create(t.Context(), exported("cart"), metav1.CreateOptions{})
		mustBe(t, err)
		eventually(t, "all of it arrives", func(ctx context.Context) error {
			found, err := r.b.Clientset().DiscoveryV1().EndpointSlices(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=cart"})
			if err != nil {
				return err
			}
			got := map[int]int{} // endpoints by the number of ports
			for _, slice := range found.Items {
				got[len(slice.Ports)] += len(slice.Endpoints)
			}
			if got[1] != 1000 || got[20_000] != 1 || len(got) != 2 {
				return fmt.Errorf("endpoints by number of ports: %v", got)
			}
			endpoints, err := r.b.Clientset().CoreV1().Endpoints(r.namespace).Get(ctx, "cart", metav1.GetOptions{})
			if err == nil && endpoints.Annotations[corev1.EndpointsOverCapacity] != "truncated" {
				err = fmt.Errorf("the Endpoints' annotations are %v", endpoints.Annotations)
			}
			return err
		})
	})
}
