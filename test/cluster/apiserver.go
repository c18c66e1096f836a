package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// APIServer is one of a cluster's API servers.
type APIServer struct {
	*Process
	// URL is where it serves, with the cluster's certificate authority.
	URL string
	// Addresses are what it says of itself, the primary family first. It only listens there where a flag tells it to bind
	// to more than the loopback interface, and this network has the address.
	Addresses []netip.Addr
}

// APIServerOptions describe an API server.
type APIServerOptions struct {
	// EtcdURL is the etcd that it reads and writes. Empty is the cluster's own; another may be a proxy in front of it.
	EtcdURL string
	// Flags come after the harness's own, and so override them.
	Flags []string
}

// authenticationConfiguration lets those without credentials ask for nothing but the server's health.
const authenticationConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /healthz
  - path: /livez
  - path: /readyz
`

// AddAPIServer boots one more API server for the cluster. All of them write to the same audit log.
func (c *Cluster) AddAPIServer(ctx context.Context, options APIServerOptions) (*APIServer, error) {
	server, err := c.newAPIServer(options)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	if err := server.Start(ctx); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return server, nil
}

// newAPIServer describes an API server with a port of its own.
func (c *Cluster) newAPIServer(options APIServerOptions) (*APIServer, error) {
	port, err := c.reservePort()
	if err != nil {
		return nil, err
	}
	adminTLS, err := c.credentials.authority.clientTLS(c.credentials.admin)
	if err != nil {
		return nil, err
	}
	if options.EtcdURL == "" {
		options.EtcdURL = c.Etcd.URL
	}
	authentication := filepath.Join(c.directory, "authentication.yaml")
	if err := os.WriteFile(authentication, []byte(authenticationConfiguration), 0o600); err != nil {
		return nil, err
	}
	addresses := c.options.hostAddresses(int(c.lastHost.Add(1)))
	flags := []string{
		"--etcd-servers=" + options.EtcdURL,
		c.credentials.flag("etcd-cafile", "etcd-ca.crt"),
		c.credentials.flag("etcd-certfile", "etcd-client.crt"),
		c.credentials.flag("etcd-keyfile", "etcd-client.key"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--advertise-address=" + addresses[0].String(),
		c.credentials.flag("tls-cert-file", "server.crt"),
		c.credentials.flag("tls-private-key-file", "server.key"),
		c.credentials.flag("client-ca-file", "ca.crt"),
		"--authentication-config=" + authentication,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc." + c.Name,
		c.credentials.flag("service-account-signing-key-file", "service-account.key"),
		c.credentials.flag("service-account-key-file", "service-account.pub"),
		"--service-cluster-ip-range=" + joinPrefixes(c.options.ServiceCIDRs),
		"--max-requests-inflight=4000",
		"--max-mutating-requests-inflight=2000",
		"--shutdown-watch-termination-grace-period=1s", // by default an orderly stop waits a minute for open watches
	}
	flags = append(flags, c.auditFlags()...)
	flags = append(flags, c.options.APIServerFlags...)
	flags = append(flags, options.Flags...)

	c.mu.Lock()
	defer c.mu.Unlock()
	name := "kube-apiserver"
	if n := len(c.apiServers); n > 0 {
		name = fmt.Sprintf("kube-apiserver-%d", n+1)
	}
	server := &APIServer{
		Process:   c.newProcess(name, "kube-apiserver", flags),
		URL:       fmt.Sprintf("https://127.0.0.1:%d", port),
		Addresses: addresses,
	}
	server.prepare = c.prepareAuditLog
	server.ready = healthy(adminTLS, server.URL+"/readyz")
	c.apiServers = append(c.apiServers, server)
	return server, nil
}

func joinPrefixes(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}
