//go:build linux

package network

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// startKubeProxy runs kube-proxy on the Node, as kubeadm does but for the limits of connection tracking, which are the
// machine's.
func (c *Cluster) startKubeProxy(ctx context.Context) (err error) {
	kubeconfig, err := c.kubeconfig("system:kube-proxy")
	if err != nil {
		return err
	}
	const healthPort = 10256
	c.KubeProxy, err = c.AddProcess(ctx, cluster.ProcessOptions{
		Component: "kube-proxy",
		Flags: []string{
			"--kubeconfig=" + kubeconfig,
			"--hostname-override=" + nodeName,
			"--proxy-mode=nftables",
			"--cluster-cidr=" + join(c.PodCIDRs(), ","),
			"--conntrack-max-per-core=0",
			"--conntrack-min=0",
			"--conntrack-tcp-timeout-established=0",
			"--conntrack-tcp-timeout-close-wait=0",
			fmt.Sprintf("--healthz-bind-address=0.0.0.0:%d", healthPort),
		},
		Ready:  answers(fmt.Sprintf("http://%s:%d/healthz", c.addresses[0], healthPort)),
		Within: c.node.do,
	})
	return err
}

// corefile is what kubeadm gives to CoreDNS, without what leads out of the cluster and without a cache.
const corefile = `.:53 {
	bind %s
	errors
	ready %s
	kubernetes cluster.local in-addr.arpa ip6.arpa {
		kubeconfig %s
	}
	loadbalance
}
`

// startCoreDNS runs CoreDNS on the Node, at the Node's addresses.
func (c *Cluster) startCoreDNS(ctx context.Context) error {
	if err := c.grantCoreDNS(ctx); err != nil {
		return fmt.Errorf("rights of CoreDNS: %w", err)
	}
	kubeconfig, err := c.kubeconfig(coreDNSUser)
	if err != nil {
		return err
	}
	ready := netip.AddrPortFrom(c.addresses[0], 8181).String()
	configuration := filepath.Join(c.Directory(), "Corefile")
	content := fmt.Sprintf(corefile, join(c.addresses, " "), ready, kubeconfig)
	if err := os.WriteFile(configuration, []byte(content), 0o600); err != nil {
		return err
	}
	c.CoreDNS, err = c.AddProcess(ctx, cluster.ProcessOptions{
		Component: "coredns",
		Flags:     []string{"-conf", configuration},
		Ready:     answers("http://" + ready + "/ready"),
		Within:    c.node.do,
	})
	return err
}

const coreDNSUser = "system:coredns"

// grantCoreDNS gives CoreDNS the rights that kubeadm gives it. Those of kube-proxy are in every cluster.
func (c *Cluster) grantCoreDNS(ctx context.Context) error {
	name, read := metav1.ObjectMeta{Name: coreDNSUser}, []string{"list", "watch"}
	role := &rbacv1.ClusterRole{ObjectMeta: name, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"endpoints", "services", "pods", "namespaces"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
	}}
	if _, err := c.Clientset().RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: name,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: coreDNSUser}},
	}
	_, err := c.Clientset().RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	return err
}

// kubeconfig writes one with which a user reaches the API server from the Node.
func (c *Cluster) kubeconfig(user string) (string, error) {
	access, err := c.User(user)
	if err != nil {
		return "", err
	}
	server, err := url.Parse(c.APIServer.URL)
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.Directory(), strings.TrimPrefix(user, "system:")+".kubeconfig")
	return file, access.Through(fmt.Sprintf("https://%s:%s", c.APIServer.Addresses[0], server.Port())).WriteKubeconfig(file)
}

// direct uses no proxy, whatever the environment says.
var direct = &http.Client{Transport: &http.Transport{}}

// answers is a condition: that a URL answers OK.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := direct.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, response.Status)
		}
		return nil
	}
}

func join[T fmt.Stringer](values []T, separator string) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = value.String()
	}
	return strings.Join(texts, separator)
}
