package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controllers are those that make and remove what the tests look at; the others would need kubelets, a scheduler or a
// cloud.
var controllers = []string{
	"endpoints-controller",
	"endpointslice-controller",
	"endpointslice-mirroring-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// newControllerManager describes the cluster's controller manager. Its controllers have the rights that Kubernetes gives
// each of them, no client-side rate limit and many workers, so that they are not what a test measures.
func (c *Cluster) newControllerManager() (*Process, error) {
	port, err := c.reservePort()
	if err != nil {
		return nil, err
	}
	serverTLS, err := c.credentials.authority.clientTLS(c.credentials.admin)
	if err != nil {
		return nil, err
	}
	access := c.access("system:kube-controller-manager")
	access.ClientCertificate = c.credentials.controllerManager.certificate
	access.ClientKey = c.credentials.controllerManager.key
	kubeconfig := filepath.Join(c.directory, "kube-controller-manager.kubeconfig")
	if err := writeKubeconfig(kubeconfig, access.Context, access); err != nil {
		return nil, err
	}
	flags := append([]string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials",
		c.credentials.flag("service-account-private-key-file", "service-account.key"),
		c.credentials.flag("root-ca-file", "ca.crt"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		c.credentials.flag("tls-cert-file", "server.crt"),
		c.credentials.flag("tls-private-key-file", "server.key"),
		"--leader-elect=false",
		"--kube-api-qps=-1",
		"--concurrent-endpoint-syncs=32",
		"--concurrent-service-endpoint-syncs=32",
		"--mirroring-concurrent-service-endpoint-syncs=32",
		"--concurrent-gc-syncs=32",
		"--concurrent-namespace-syncs=16",
		"--concurrent-serviceaccount-token-syncs=16",
		"--endpoint-updates-batch-period=0",
		"--endpointslice-updates-batch-period=0",
		"--mirroring-endpointslice-updates-batch-period=0",
	}, c.options.ControllerManagerFlags...)
	manager := c.newProcess("kube-controller-manager", "kube-controller-manager", flags)
	health := healthy(serverTLS, fmt.Sprintf("https://127.0.0.1:%d/healthz", port))
	manager.ready = func(ctx context.Context) error {
		if err := health(ctx); err != nil {
			return err
		}
		return c.controllersWork(ctx)
	}
	return manager, nil
}

// controllersWork looks for what two of the controllers make in every namespace.
func (c *Cluster) controllersWork(ctx context.Context) error {
	if _, err := c.clientset.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	_, err := c.clientset.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	return err
}
