//go:build linux

package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// Cluster is a cluster with a Node that has a network.
type Cluster struct {
	*cluster.Cluster
	// KubeProxy and CoreDNS run on the Node.
	KubeProxy, CoreDNS *cluster.Process

	node      *namespace
	addresses []netip.Addr // of the Node, the primary family first
	lastPod   atomic.Int64 // numbers the links to pods
}

// nodeName is the Node's, in each cluster.
const nodeName = "node-1"

// StartPair boots two clusters on one bridge. Their names are those of interfaces, so they have at most 15 characters. They
// live until Stop, or until this process ends.
func StartPair(ctx context.Context, a, b cluster.Options) (*Cluster, *Cluster, error) {
	for _, options := range []*cluster.Options{&a, &b} {
		options.APIServerFlags = append([]string{"--bind-address=0.0.0.0"}, options.APIServerFlags...)
	}
	first, second, err := cluster.StartPair(ctx, a, b)
	if err != nil {
		return nil, nil, err
	}
	pair := []*Cluster{{Cluster: first}, {Cluster: second}}
	if err := joinAll(ctx, pair); err != nil {
		return nil, nil, errors.Join(err, first.Stop(context.WithoutCancel(ctx)), second.Stop(context.WithoutCancel(ctx)))
	}
	return pair[0], pair[1], nil
}

func joinAll(ctx context.Context, clusters []*Cluster) error {
	bridge, err := newBridge()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range clusters {
		group.Go(func() error {
			if err := c.join(ctx, bridge); err != nil {
				return fmt.Errorf("network of cluster %s: %w", c.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// join gives the cluster a Node on the bridge.
func (c *Cluster) join(ctx context.Context, bridge *bridge) (err error) {
	if c.addresses, err = c.addNode(ctx); err != nil {
		return err
	}
	if c.node, err = newNamespace(route); err != nil {
		return err
	}
	if err := bridge.attach(c.node, c.Name, c.APIServer.Addresses, c.addresses); err != nil {
		return err
	}
	for i, pods := range c.PodCIDRs() {
		if err := addRoute(bridge.links, bridge.link, pods, c.addresses[i]); err != nil {
			return err
		}
		// An address that no pod has leads nowhere, rather than back to the router.
		nowhere := &netlink.Route{Dst: ipNet(pods), Type: unix.RTN_BLACKHOLE}
		if err := c.node.links.RouteAdd(nowhere); err != nil {
			return fmt.Errorf("route for %s to nowhere: %w", pods, err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.startKubeProxy(ctx) })
	group.Go(func() error { return c.startCoreDNS(ctx) })
	return group.Wait()
}

// addNode makes the Node, and gives its addresses.
func (c *Cluster) addNode(ctx context.Context) ([]netip.Addr, error) {
	if err := c.AddNode(ctx, nodeName); err != nil {
		return nil, err
	}
	node, err := c.Clientset().CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("addresses of Node %s: %w", nodeName, err)
	}
	var addresses []netip.Addr
	for _, address := range node.Status.Addresses {
		parsed, err := netip.ParseAddr(address.Address)
		if err != nil {
			return nil, fmt.Errorf("addresses of Node %s: %w", nodeName, err)
		}
		addresses = append(addresses, parsed)
	}
	return addresses, nil
}
