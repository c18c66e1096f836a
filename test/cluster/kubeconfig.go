package cluster

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Access is what someone needs to talk to a cluster: one context of a kubeconfig. It has either a client certificate or a
// bearer token.
type Access struct {
	// Context is the name of the context: the cluster's name, unless it is changed.
	Context string
	// Server is the API server's URL. It may be changed, to go through a proxy.
	Server               string
	CertificateAuthority []byte

	ClientCertificate, ClientKey []byte
	Token                        string
}

// Through is the same access by way of another URL.
func (a Access) Through(server string) Access {
	a.Server = server
	return a
}

// RESTConfig is the access as a client configuration without a client-side rate limit.
func (a Access) RESTConfig() *rest.Config {
	return &rest.Config{
		Host:        a.Server,
		BearerToken: a.Token,
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   a.CertificateAuthority,
			CertData: a.ClientCertificate,
			KeyData:  a.ClientKey,
		},
		QPS:            -1,
		WarningHandler: rest.NoWarnings{},
	}
}

// access is the cluster's, without a user's credentials.
func (c *Cluster) access(context string) Access {
	return Access{Context: context, Server: c.APIServer.URL, CertificateAuthority: c.credentials.authority.pem}
}

// Admin is an administrator's access.
func (c *Cluster) Admin() Access {
	access := c.access(c.Name)
	access.ClientCertificate, access.ClientKey = c.credentials.admin.certificate, c.credentials.admin.key
	return access
}

// RESTConfig is an administrator's client configuration without a client-side rate limit.
func (c *Cluster) RESTConfig() *rest.Config { return c.Admin().RESTConfig() }

// ServiceAccount is the access of a ServiceAccount by a token that is valid for some time, at least ten minutes.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string, validity time.Duration) (Access, error) {
	seconds := int64(validity.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	response, err := c.clientset.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return Access{}, fmt.Errorf("cluster %s: token of ServiceAccount %s/%s: %w", c.Name, namespace, name, err)
	}
	access := c.access(c.Name)
	access.Token = response.Status.Token
	return access, nil
}

// User is the access of a user of Kubernetes, by a client certificate.
func (c *Cluster) User(name string, groups ...string) (Access, error) {
	pair, err := c.credentials.authority.client(name, groups...)
	if err != nil {
		return Access{}, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	access := c.access(name)
	access.ClientCertificate, access.ClientKey = pair.certificate, pair.key
	return access, nil
}

// WriteKubeconfig writes a kubeconfig with this access alone, as the current context.
func (a Access) WriteKubeconfig(file string) error {
	return writeKubeconfig(file, a.Context, a)
}

// WriteKubeconfig writes one kubeconfig with a context for each access, and no current context.
func WriteKubeconfig(file string, accesses ...Access) error {
	return writeKubeconfig(file, "", accesses...)
}

// writeKubeconfig writes a kubeconfig that only its owner may read.
func writeKubeconfig(file, currentContext string, accesses ...Access) error {
	config := clientcmdapi.NewConfig()
	config.CurrentContext = currentContext
	for _, access := range accesses {
		config.Clusters[access.Context] = &clientcmdapi.Cluster{
			Server:                   access.Server,
			CertificateAuthorityData: access.CertificateAuthority,
		}
		config.AuthInfos[access.Context] = &clientcmdapi.AuthInfo{
			ClientCertificateData: access.ClientCertificate,
			ClientKeyData:         access.ClientKey,
			Token:                 access.Token,
		}
		config.Contexts[access.Context] = &clientcmdapi.Context{Cluster: access.Context, AuthInfo: access.Context}
	}
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", file, err)
	}
	return nil
}

// newClientset is a clientset that speaks protobuf.
func newClientset(access Access) (kubernetes.Interface, error) {
	config := access.RESTConfig()
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(config)
}
