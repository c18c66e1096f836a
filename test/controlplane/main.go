// Command controlplane is Kubernetes in one binary: etcd, kube-apiserver, kube-controller-manager, kube-proxy and CoreDNS as
// released, each by its own name and with its own flags.
//
//	controlplane etcd --data-dir …
//	controlplane etcdutl restore …
//	controlplane kube-apiserver --etcd-servers …
//	controlplane kube-controller-manager --kubeconfig …
//	controlplane kube-proxy --kubeconfig …
//	controlplane coredns -conf …
//	controlplane guard DIRECTORY
//
// One binary rather than six, because they share most of their code: it links once and takes a third of the space.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the client metrics, as in the released binaries
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric, as in the released binaries
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
)

func main() {
	os.Exit(run(os.Args))
}

// run executes the component that arguments[1] names, with the arguments after it.
func run(arguments []string) int {
	program := filepath.Base(arguments[0])
	if len(arguments) < 2 {
		fmt.Fprintf(os.Stderr, "usage: %s coredns|etcd|etcdutl|guard|kube-apiserver|kube-controller-manager|kube-proxy [flags]\n", program)
		return 2
	}
	component, arguments := arguments[1], arguments[2:]
	if component == "guard" {
		return guard(arguments)
	}
	exitWithParent()
	switch component {
	case "etcd":
		etcdmain.Main(append([]string{component}, arguments...))
		return 0
	case "etcdutl":
		return execute(etcdutl.NewSnapshotCommand(), arguments)
	case "kube-apiserver":
		return execute(apiserver.NewAPIServerCommand(), arguments)
	case "kube-controller-manager":
		return execute(controllermanager.NewControllerManagerCommand(), arguments)
	case "kube-proxy":
		return execute(proxy.NewProxyCommand(), arguments)
	case "coredns":
		return runCoreDNS(arguments)
	default:
		fmt.Fprintf(os.Stderr, "%s: unknown component %q\n", program, component)
		return 2
	}
}

func execute(command *cobra.Command, arguments []string) int {
	command.SetArgs(arguments)
	return cli.Run(command)
}
