//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"xcc/test/cluster"
	"xcc/test/network"
)

func TestPods(t *testing.T) {
	needNetwork(t)
	startXCC(t)

	bothWays(t, "the name of a headless Service is that of its ready pods", func(t *testing.T, w *way) {
		w.create(t, headless(exported("cart")))
		pods, client := w.run(t, "cart", 3), w.client(t)
		resolves(t, client, w.domain("cart"), addresses(pods...)...)
		mustBe(t, pods[1].SetReady(t.Context(), false))
		resolves(t, client, w.domain("cart"), addresses(pods[0], pods[2])...)
		mustBe(t, pods[1].SetReady(t.Context(), true))
		resolves(t, client, w.domain("cart"), addresses(pods...)...)
		for _, pod := range pods {
			answeredBy(t, client.Get, at(pod.Addresses[0].String(), "80"), pod)
		}
	})

	bothWays(t, "each pod of a StatefulSet has its own name, and another pod by that name takes its place", func(t *testing.T, w *way) {
		w.create(t, headless(exported("web")))
		stateful := cluster.PodOptions{Name: "web", Count: 2, Subdomain: "web"}
		pods, client := w.runWith(t, stateful), w.client(t)
		for _, pod := range pods {
			own := pod.Name + "." + w.domain("web")
			resolves(t, client, own, addresses(pod)...)
			answeredBy(t, client.Get, at(own, "80"), pod)
		}
		located(t, client, w.domain("web"), pods...)

		mustBe(t, pods[0].Delete(t.Context()))
		stateful.Count = 1
		again := w.runWith(t, stateful)
		own := "web-0." + w.domain("web")
		resolves(t, client, own, addresses(again...)...)
		answeredBy(t, client.Get, at(own, "80"), again...)
	})

	bothWays(t, "a pod that terminates keeps its connections and gets no new ones, unless there is no other", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client, target := w.run(t, "cart", 2), w.client(t), at(w.domain("cart"), "80")
		answeredBy(t, client.Get, target, pods...)
		connection := connectTo(t, client, target, pods[0])

		mustBe(t, pods[0].Terminate(t.Context()))
		answeredBy(t, client.Get, target, pods[1])
		answer, err := connection(t.Context(), target)
		mustBe(t, err)
		if answer.Pod != pods[0].Name {
			t.Errorf("the connection to %s has become one to %s", pods[0].Name, answer.Pod)
		}

		mustBe(t, pods[1].Terminate(t.Context()))
		answeredBy(t, client.Get, target, pods...)
		for _, pod := range pods {
			mustBe(t, w.from.DeletePod(t.Context(), w.namespace, pod.Name))
		}
		refused(t, client, target)
	})
}

// TestLoad is about what other tests count losses with.
func TestLoad(t *testing.T) {
	needNetwork(t)
	startXCC(t)

	bothWays(t, "a steady load counts who answers, and why requests are lost", func(t *testing.T, w *way) {
		w.create(t, exported("cart"))
		pods, client, target := w.run(t, "cart", 2), w.client(t), at(w.domain("cart"), "80")
		answeredBy(t, client.Get, target, pods...)
		load := client.StartLoad(target, 50)
		counts := func(what string, holds func(network.Count) bool) {
			until(t, what, func(context.Context) error {
				if count := network.Counted(load.Requests()); !holds(count) {
					return fmt.Errorf("%+v", count)
				}
				return nil
			})
		}
		counts("both pods have answered", func(count network.Count) bool {
			return count.Answered[w.from.Name+"/cart-0"] > 0 && count.Answered[w.from.Name+"/cart-1"] > 0
		})
		if count := network.Counted(load.Requests()); count.Lost > 0 {
			t.Errorf("%s while nothing happens", count)
		}
		for _, pod := range pods {
			mustBe(t, pod.SetReady(t.Context(), false))
		}
		counts("requests are refused", func(count network.Count) bool { return count.Reasons["connection refused"] > 0 })
		count := network.Counted(load.Stop())
		if count.Lost != count.Reasons["connection refused"] {
			t.Errorf("%s, for other reasons than that they were refused", count)
		}
	})
}

// resolves waits until a name has those addresses, and no others.
func resolves(t *testing.T, client *network.Pod, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	until(t, name+" has its addresses and no others", func(ctx context.Context) error {
		got, err := client.Resolver().LookupHost(ctx, name+".")
		if err != nil {
			return err
		}
		slices.Sort(got)
		if diff := gocmp.Diff(want, got); diff != "" {
			return fmt.Errorf("addresses (-want +got):\n%s", diff)
		}
		return nil
	})
}

// addresses are those of pods, of the primary family.
func addresses(pods ...*network.Pod) []string {
	all := make([]string, len(pods))
	for i, pod := range pods {
		all[i] = pod.Addresses[0].String()
	}
	return all
}

// located looks for the records that name the pods and the port of a headless Service.
func located(t *testing.T, client *network.Pod, name string, pods ...*network.Pod) {
	t.Helper()
	_, records, err := client.Resolver().LookupSRV(t.Context(), "http", "tcp", name+".")
	mustBe(t, err)
	got := make([]net.SRV, len(records))
	for i, record := range records {
		got[i] = net.SRV{Target: record.Target, Port: record.Port}
	}
	slices.SortFunc(got, func(a, b net.SRV) int { return cmp.Compare(a.Target, b.Target) })
	var want []net.SRV
	for _, pod := range pods {
		want = append(want, net.SRV{Target: pod.Name + "." + name + ".", Port: 80})
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("SRV records (-want +got):\n%s", diff)
	}
}

// connectTo opens connections until one leads to that pod, and gives it.
func connectTo(t *testing.T, client *network.Pod, target string, pod *network.Pod) (connection ask) {
	t.Helper()
	until(t, "a connection to "+pod.Name, func(ctx context.Context) error {
		connection = client.KeepAlive()
		answer, err := connection(ctx, target)
		if err == nil && answer.Pod != pod.Name {
			err = fmt.Errorf("a connection to %s", answer.Pod)
		}
		return err
	})
	return connection
}
