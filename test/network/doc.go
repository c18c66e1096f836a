// Package network gives the clusters of package cluster a flat network, as two peered VPCs have: every pod can reach every
// pod of both by its own address, and through a Service by way of a real kube-proxy and a real CoreDNS.
//
//	bridge ─┬─ API servers and the test itself, which is the router between the two
//	        ├─ Node of prod-east: kube-proxy, CoreDNS ─┬─ pod
//	        │                                          └─ pod
//	        └─ Node of prod-west: kube-proxy, CoreDNS ─┬─ pod
//	                                                   └─ pod
//
// A Node and a pod are network namespaces. A pod's only way leads through its Node, so that kube-proxy's rules there apply to
// all that it sends. What a pod serves is served by goroutines of the test; kube-proxy and CoreDNS are processes.
//
// Run puts the test into a network namespace of its own first. The machine's network is not touched, and all of it is gone
// with the test, however that ends. It takes Linux and root; Missing says what is not there.
package network
