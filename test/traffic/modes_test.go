//go:build linux

package main

import (
	"context"
	"testing"

	"xcc/test/cluster"
	"xcc/test/network"
)

func TestModes(t *testing.T) {
	needNetwork(t)

	t.Run("of two Services that are joined, each is answered by the pods of both clusters", func(t *testing.T) {
		t.Parallel()
		s := newStage(shared, short)
		t.Cleanup(func() { mustBe(t, s.close(context.Background(), nil)) })
		mustBe(t, s.enter(t.Context()))
		var pods []*network.Pod
		for _, c := range []*network.Cluster{east, west} {
			some, err := s.run(t.Context(), c, cluster.PodOptions{
				Name: "in-" + c.Name, Count: 2, Labels: map[string]string{"app": service},
			})
			mustBe(t, err)
			mustBe(t, s.create(t.Context(), c, inMode(exported(service), "join")))
			pods = append(pods, some...)
		}
		// Not before both Services stand: the first one's pointer would have the name of the second.
		mustBe(t, s.startXCC(t.Context()))
		for c, client := range map[*network.Cluster]*network.Pod{east: s.localClient, west: s.client} {
			target, err := s.reach(t.Context(), client, c, service)
			mustBe(t, err)
			answeredBy(t, client.Get, target, pods...)
		}
	})

	t.Run("the other cluster takes over for the last ready pod, and gives back when it has recovered", func(t *testing.T) {
		t.Parallel()
		measured, err := shared.measureFailover(t.Context(), short)
		mustBe(t, err)
		t.Log(measured)
	})
}
