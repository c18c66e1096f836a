//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"xcc/test/cluster"
	"xcc/test/network"
)

func TestServices(t *testing.T) {
	needNetwork(t)
	startXCC(t)

	bothWays(t, "requests by name and by ClusterIP are spread over all ready pods, which see the client's own address", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client := w.run(t, "cart", 3), w.client(t)
		answeredBy(t, client.Get, at(w.domain("cart"), "80"), pods...)
		target := at(w.clusterIPs(t, "cart")[0], "80")
		answeredBy(t, client.Get, target, pods...)
		answer, err := client.Get(t.Context(), target)
		mustBe(t, err)
		if answer.Cluster != w.from.Name || answer.Client != client.Addresses[0] {
			t.Errorf("%s asks, and the answer is %+v", client.Addresses[0], answer)
		}
	})

	bothWays(t, "a pod that is not ready gets no requests, until it is", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client := w.run(t, "cart", 2), w.client(t)
		target := at(w.domain("cart"), "80")
		answeredBy(t, client.Get, target, pods...)
		mustBe(t, pods[0].SetReady(t.Context(), false))
		answeredBy(t, client.Get, target, pods[1])
		mustBe(t, pods[0].SetReady(t.Context(), true))
		answeredBy(t, client.Get, target, pods...)
	})

	bothWays(t, "ports are found by name and by number, over TCP and UDP, where pods differ as well", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Spec.Ports = []corev1.ServicePort{
			{Name: "http", Port: 80, TargetPort: intstr.FromString("web")},
			{Name: "admin", Port: 81, TargetPort: intstr.FromInt32(9090)},
			{Name: "query", Port: 80, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromString("query")},
		}
		w.create(t, service)
		ports := func(web, query int32) []corev1.ContainerPort {
			return []corev1.ContainerPort{
				{Name: "web", ContainerPort: web}, {Name: "admin", ContainerPort: 9090},
				{Name: "query", ContainerPort: query, Protocol: corev1.ProtocolUDP},
			}
		}
		pods := w.runWith(t, cluster.PodOptions{Name: "cart", Count: 1, Ports: ports(8080, 5353)})
		pods = append(pods, w.runWith(t, cluster.PodOptions{Name: "cart", First: 1, Count: 1, Ports: ports(8081, 5354)})...)
		client := w.client(t)
		for _, test := range []struct {
			ask  ask
			port string
			want map[string]int32
		}{
			{client.Get, "80", map[string]int32{"cart-0": 8080, "cart-1": 8081}},
			{client.Get, "81", map[string]int32{"cart-0": 9090, "cart-1": 9090}},
			{client.GetUDP, "80", map[string]int32{"cart-0": 5353, "cart-1": 5354}},
		} {
			answeredBy(t, func(ctx context.Context, target string) (network.Answer, error) {
				answer, err := test.ask(ctx, target)
				if err == nil && answer.Port != test.want[answer.Pod] {
					err = fmt.Errorf("%s answers at port %d", answer.Pod, answer.Port)
				}
				return answer, err
			}, at(w.domain("cart"), test.port), pods...)
		}
	})

	bothWays(t, "with session affinity a client stays with one pod as long as it is ready", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		w.create(t, service)
		pods, target := w.run(t, "cart", 2), at(w.domain("cart"), "80")
		byName := map[string]*network.Pod{pods[0].Name: pods[0], pods[1].Name: pods[1]}
		for _, client := range w.clients(t, 2) {
			chosen := onlyAnswer(t, client, target, byName)
			mustBe(t, chosen.SetReady(t.Context(), false))
			other := pods[0]
			if chosen == other {
				other = pods[1]
			}
			answeredBy(t, client.Get, target, other)
			mustBe(t, chosen.SetReady(t.Context(), true))
		}
	})

	bothWays(t, "a dual-stack Service is reached over both families", func(t *testing.T, w *way) {
		service := exported("cart")
		service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
		w.create(t, service)
		pods, client := w.run(t, "cart", 2), w.client(t)
		for i, address := range w.clusterIPs(t, "cart") {
			target := at(address, "80")
			answeredBy(t, client.Get, target, pods...)
			answer, err := client.Get(t.Context(), target)
			mustBe(t, err)
			if answer.Client != client.Addresses[i] {
				t.Errorf("%s asks over %s, and is seen as %s", client.Addresses[i], address, answer.Client)
			}
		}
		resolves(t, client, w.domain("cart"), w.clusterIPs(t, "cart")...)
	})

	bothWays(t, "without a pod connections are refused, and with one they are not", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client, target := w.run(t, "cart", 2), w.client(t), at(w.domain("cart"), "80")
		answeredBy(t, client.Get, target, pods...)
		for _, pod := range pods {
			mustBe(t, w.from.DeletePod(t.Context(), w.namespace, pod.Name))
		}
		refused(t, client, target)
		for _, pod := range pods {
			mustBe(t, pod.Crash())
		}
		answeredBy(t, client.Get, target, w.runWith(t, cluster.PodOptions{Name: "cart", First: 2, Count: 1})...)
	})

	bothWays(t, "a Service that is withdrawn is gone from DNS", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client := w.run(t, "cart", 1), w.client(t)
		answeredBy(t, client.Get, at(w.domain("cart"), "80"), pods...)
		mustBe(t, cluster.Edit(t.Context(), w.from.Clientset().CoreV1().Services(w.namespace), "cart", func(service *corev1.Service) {
			service.Labels = nil
		}))
		until(t, w.domain("cart")+" does not exist", func(ctx context.Context) error {
			found, err := client.Resolver().LookupHost(ctx, w.domain("cart")+".")
			var lookup *net.DNSError
			if errors.As(err, &lookup) && lookup.IsNotFound {
				return nil
			}
			return fmt.Errorf("found %v, %v", found, err)
		})
	})
}

// onlyAnswer waits until a target answers, and gives the one pod that answers all requests from then on.
func onlyAnswer(t *testing.T, client *network.Pod, target string, byName map[string]*network.Pod) *network.Pod {
	t.Helper()
	until(t, target+" answers", func(ctx context.Context) error {
		_, err := client.Get(ctx, target)
		return err
	})
	got, err := answers(t.Context(), client.Get, target, 20)
	mustBe(t, err)
	if len(got) != 1 {
		t.Fatalf("a client with session affinity is answered by %v", got)
	}
	return byName[got[0]]
}

// refused waits until connections to a target are refused, by an answer that says so.
func refused(t *testing.T, client *network.Pod, target string) {
	t.Helper()
	until(t, target+" refuses", func(ctx context.Context) error {
		answer, err := client.Get(ctx, target)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("answer %+v, %v", answer, err)
		}
		return nil
	})
}
