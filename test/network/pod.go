//go:build linux

package network

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"xcc/test/cluster"
)

// Pod is a running pod: a network namespace behind its Node, with servers in it that say who they are.
type Pod struct {
	Namespace, Name string
	// Addresses are those of its families, the primary family first.
	Addresses []netip.Addr

	cluster   *Cluster
	network   *namespace
	link      string // on the Node
	servers   []server
	transport *http.Transport
}

// defaultPorts are those of pods that don't say.
var defaultPorts = []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}

// RunPods creates pods as those of package cluster do, with one difference: they serve. On each of their TCP ports is an HTTP
// server, and on each UDP port one that answers every packet. A pod is ready when its servers are.
func (c *Cluster) RunPods(ctx context.Context, options cluster.PodOptions) ([]*Pod, error) {
	if len(options.Ports) == 0 {
		options.Ports = defaultPorts
	}
	options.Node = nodeName
	ready := !options.NotReady
	options.NotReady = true
	objects, err := c.Cluster.RunPods(ctx, options)
	if err != nil {
		return nil, err
	}
	pods := make([]*Pod, len(objects))
	for i := range objects {
		if pods[i], err = c.runPod(&objects[i]); err != nil {
			return nil, fmt.Errorf("cluster %s: run pod %s/%s: %w", c.Name, options.Namespace, objects[i].Name, err)
		}
		if !ready {
			continue
		}
		if err := pods[i].SetReady(ctx, true); err != nil {
			return nil, err
		}
	}
	return pods, nil
}

// runPod makes the network of a pod, and starts its servers.
func (c *Cluster) runPod(object *corev1.Pod) (_ *Pod, err error) {
	p := &Pod{Namespace: object.Namespace, Name: object.Name, cluster: c}
	p.link = fmt.Sprintf("pod%d", c.lastPod.Add(1))
	p.transport = &http.Transport{DialContext: p.DialContext, DisableKeepAlives: true}
	for _, address := range object.Status.PodIPs {
		parsed, err := netip.ParseAddr(address.IP)
		if err != nil {
			return nil, err
		}
		p.Addresses = append(p.Addresses, parsed)
	}
	if p.network, err = newNamespace(func() error { return set("ipv6/conf/default/dad_transmits", "0") }); err != nil {
		return nil, err
	}
	if err := p.connect(c.node, c.addresses[0]); err != nil {
		return nil, err
	}
	for _, port := range object.Spec.Containers[0].Ports {
		server, err := p.serve(port)
		if err != nil {
			return nil, err
		}
		p.servers = append(p.servers, server)
	}
	return p, nil
}

// connect leads all of the pod's traffic over the Node, that to other pods of the Node as well.
func (p *Pod) connect(node *namespace, gateway4 netip.Addr) error {
	addresses := make([]netip.Prefix, len(p.Addresses))
	for i, address := range p.Addresses {
		addresses[i] = single(address)
	}
	link, err := p.network.connect(node.links, p.link, addresses)
	if err != nil {
		return err
	}
	if err := addAddresses(node.links, link, gateway6); err != nil {
		return err
	}
	for i, address := range p.Addresses {
		if err := addRoute(node.links, link, addresses[i], netip.Addr{}); err != nil {
			return err
		}
		gateway := gateway6.Addr()
		if address.Is4() {
			gateway = gateway4
			if err := p.network.routeBy(uplink, single(gateway), netip.Addr{}); err != nil {
				return err
			}
		}
		if err := p.network.routeBy(uplink, netip.Prefix{}, gateway); err != nil {
			return err
		}
	}
	return nil
}

// SetReady makes the pod pass or fail its readiness probe. It serves either way.
func (p *Pod) SetReady(ctx context.Context, ready bool) error {
	return p.cluster.SetReady(ctx, p.Namespace, p.Name, ready)
}

// Terminate asks for the pod's deletion. It serves on until Delete, as one does that has been told to end and still has
// clients.
func (p *Pod) Terminate(ctx context.Context) error {
	return p.cluster.TerminatePod(ctx, p.Namespace, p.Name)
}

// Delete ends the pod at once: nothing answers at its address any more.
func (p *Pod) Delete(ctx context.Context) error {
	return errors.Join(p.Crash(), p.cluster.DeletePod(ctx, p.Namespace, p.Name))
}

// Crash takes away the pod's servers and its address. The cluster is told nothing of it.
func (p *Pod) Crash() error {
	var errs []error
	for _, server := range p.servers {
		errs = append(errs, server.Close())
	}
	link, err := p.cluster.node.links.LinkByName(p.link)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("interface %s: %w", p.link, err))...)
	}
	if err := p.cluster.node.links.LinkDel(link); err != nil {
		errs = append(errs, fmt.Errorf("interface %s: %w", p.link, err))
	}
	return errors.Join(append(errs, p.network.close())...)
}
