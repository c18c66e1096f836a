package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// credentials are a cluster's certificates and keys. etcd has an authority of its own, so that no user of the API can
// talk to it.
type credentials struct {
	directory     string
	authority     *authority
	etcdAuthority *authority

	server            keyPair // of the API servers and the controller manager
	admin             keyPair
	controllerManager keyPair
	etcdServer        keyPair
	etcdClient        keyPair
}

// newCredentials makes the credentials and writes those that processes read as files.
func newCredentials(directory string, options Options) (*credentials, error) {
	c := &credentials{directory: directory}
	if err := c.issue(options); err != nil {
		return nil, err
	}
	private, public, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"ca.crt":              c.authority.pem,
		"server.crt":          c.server.certificate,
		"server.key":          c.server.key,
		"etcd-ca.crt":         c.etcdAuthority.pem,
		"etcd-server.crt":     c.etcdServer.certificate,
		"etcd-server.key":     c.etcdServer.key,
		"etcd-client.crt":     c.etcdClient.certificate,
		"etcd-client.key":     c.etcdClient.key,
		"service-account.key": private,
		"service-account.pub": public,
	} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *credentials) issue(options Options) (err error) {
	if c.authority, err = newAuthority(options.Name); err != nil {
		return err
	}
	if c.etcdAuthority, err = newAuthority(options.Name + "-etcd"); err != nil {
		return err
	}
	// What a client inside the cluster would call the API server: the first address of the Services' range, and the first
	// host.
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	var addresses []net.IP
	for _, services := range options.ServiceCIDRs {
		addresses = append(addresses, addressAfter(services.Addr(), 1).AsSlice())
	}
	for _, host := range options.hostAddresses(1) {
		addresses = append(addresses, host.AsSlice())
	}
	if c.server, err = c.authority.server("kube-apiserver", names, addresses); err != nil {
		return err
	}
	if c.admin, err = c.authority.client("admin", "system:masters"); err != nil {
		return err
	}
	if c.controllerManager, err = c.authority.client("system:kube-controller-manager"); err != nil {
		return err
	}
	if c.etcdServer, err = c.etcdAuthority.server("etcd", nil, nil); err != nil {
		return err
	}
	c.etcdClient, err = c.etcdAuthority.client("kube-apiserver")
	return err
}

// file is the path of a credential.
func (c *credentials) file(name string) string { return filepath.Join(c.directory, name) }

// flag is a flag whose value is the path of a credential.
func (c *credentials) flag(flag, name string) string {
	return fmt.Sprintf("--%s=%s", flag, c.file(name))
}
