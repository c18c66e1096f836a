package e2e

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/test/cluster"
)

func TestPorts(t *testing.T) {
	xcc := startDaemon(t)
	type ports = []corev1.ServicePort
	tcp := func(name string, port, target int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromInt32(target)}
	}
	for _, test := range []struct {
		sentence string
		before   ports
		after    ports
	}{
		{"a port is added", ports{tcp("http", 80, 8080)}, ports{tcp("http", 80, 8080), tcp("metrics", 9090, 9090)}},
		{"a port is taken away", ports{tcp("http", 80, 8080), tcp("metrics", 9090, 9090)}, ports{tcp("metrics", 9090, 9090)}},
		{"a port is renamed", ports{tcp("http", 80, 8080)}, ports{tcp("web", 80, 8080)}},
		{"two ports swap their names", ports{tcp("http", 80, 8080), tcp("admin", 81, 8081)}, ports{tcp("admin", 80, 8080), tcp("http", 81, 8081)}},
		{"a port is renumbered", ports{tcp("http", 80, 8080)}, ports{tcp("http", 8000, 8080)}},
		{"the pods listen on another port", ports{tcp("http", 80, 8080)}, ports{tcp("http", 80, 9090)}},
		{"the only port loses its name", ports{tcp("http", 80, 8080)}, ports{tcp("", 80, 8080)}},
		{"the only port gets a name", ports{tcp("", 80, 8080)}, ports{tcp("http", 80, 8080)}},
		{"two ports lead to one", ports{tcp("http", 80, 8080)}, ports{tcp("http", 80, 8080), tcp("plain", 8000, 8080)}},
		{"TCP becomes UDP", ports{tcp("dns", 53, 53)}, ports{{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}},
		{"UDP and TCP share a number", ports{tcp("dns-tcp", 53, 53)},
			ports{tcp("dns-tcp", 53, 53), {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}},
		{"SCTP is added", ports{tcp("http", 80, 8080)}, ports{tcp("http", 80, 8080), {Name: "sig", Port: 3868, Protocol: corev1.ProtocolSCTP}}},
		{"the protocol of an application is named", ports{tcp("http", 80, 8080)},
			ports{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080), AppProtocol: new("kubernetes.io/ws")}}},
	} {
		bothWays(t, xcc, test.sentence, func(t *testing.T, w *way) {
			service := exported("cart")
			service.Spec.Ports = test.before
			w.create(t, service)
			pods := w.run(t, "cart", 0, 2)
			w.mirrored(t, "cart", addresses(pods), portsLeadTo(test.before))
			w.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports = test.after })
			w.mirrored(t, "cart", addresses(pods), portsLeadTo(test.after))
		})
	}

	bothWays(t, xcc, "pods that give one name to different ports are in different slices", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Spec.Ports = ports{{Name: "http", Port: 80, TargetPort: intstr.FromString("web")}}
		w.create(t, service)
		var all []corev1.Pod
		for i, number := range []int32{8080, 9090} {
			all = append(all, w.runWith(t, cluster.PodOptions{Name: "cart", First: i, Count: 1,
				Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: number}}})...)
		}
		found := w.mirrored(t, "cart", addresses(all))
		if len(found.Slices) != 2 || len(found.Endpoints.Subsets) != 2 {
			t.Errorf("the pods are in %d slices and %d subsets, not in 2 and 2", len(found.Slices), len(found.Endpoints.Subsets))
		}
	})
}

// portsLeadTo is the condition that clients of the pointer reach the ports of the pods that the Service says, by the
// name and protocol of the port that they ask for.
func portsLeadTo(ports []corev1.ServicePort) func(pointer) error {
	want := map[string]int32{}
	for _, port := range ports {
		protocol, target := port.Protocol, port.TargetPort.IntVal
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		if target == 0 {
			target = port.Port
		}
		want[fmt.Sprintf("%d is %s %s", port.Port, protocol, port.Name)] = target
	}
	return func(found pointer) error {
		got := map[string]int32{}
		for _, port := range found.Service.Spec.Ports {
			for _, served := range found.Slices[0].Ports {
				if *served.Name == port.Name && *served.Protocol == port.Protocol {
					got[fmt.Sprintf("%d is %s %s", port.Port, port.Protocol, port.Name)] = *served.Port
				}
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			return fmt.Errorf("ports (-want +got):\n%s", diff)
		}
		return nil
	}
}
