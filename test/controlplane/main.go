// Command controlplane is a Kubernetes control plane in one binary: etcd, kube-apiserver and kube-controller-manager as
// released, each by its own name and with its own flags.
//
//	controlplane etcd --data-dir …
//	controlplane etcdutl restore …
//	controlplane kube-apiserver --etcd-servers …
//	controlplane kube-controller-manager --kubeconfig …
//	controlplane guard DIRECTORY
//
// One binary rather than four, because they share most of their code: it links once and takes a third of the space.
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
)

func main() {
	os.Exit(run(os.Args))
}

// run executes the component that arguments[1] names, with the arguments after it.
func run(arguments []string) int {
	program := filepath.Base(arguments[0])
	if len(arguments) < 2 {
		fmt.Fprintf(os.Stderr, "usage: %s etcd|etcdutl|guard|kube-apiserver|kube-controller-manager [flags]\n", program)
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
	default:
		fmt.Fprintf(os.Stderr, "%s: unknown component %q\n", program, component)
		return 2
	}
}

func execute(command *cobra.Command, arguments []string) int {
	command.SetArgs(arguments)
	return cli.Run(command)
}
