// Package cluster boots real Kubernetes control planes on the loopback interface, without containers and without root.
//
//	           ┌── etcd ◄──────── kube-apiserver ◄──────── kube-controller-manager
//	Cluster ───┤    own ports, own certificates, own address ranges, one directory
//	           └── guard: removes the directory when the processes and their parent are gone
//
// The processes are the released components, built from source as Go modules by Build. They are children of the calling
// process and end with it, however it ends. There are no kubelets: RunPods writes what a kubelet would have written, so
// that the real controllers make real Endpoints and EndpointSlices.
//
// Each process is a Process, which a test can stop, kill, pause and start again.
package cluster
