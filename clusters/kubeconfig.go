package clusters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Credential is what xcc's kubeconfig holds for one cluster.
type Credential struct {
	// Name is that of the context.
	Name    string
	cluster clientcmdapi.Cluster
	token   string
}

// credentialWait bounds the wait for a token that works.
const credentialWait = 30 * time.Second

// Credential waits until the identity's token is made and works, and gives it. The way to the cluster is that of the
// administrator's context; of who he is, nothing is taken.
func (a *Admin) Credential(ctx context.Context) (Credential, error) {
	way, err := a.way()
	if err != nil {
		return Credential{}, err
	}
	credential := Credential{Name: a.Name(), cluster: way}
	last := errors.New("there is none in it yet")
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, credentialWait, true, func(ctx context.Context) (bool, error) {
		secret, err := a.client.CoreV1().Secrets(identityNamespace).Get(ctx, tokenSecret, metav1.GetOptions{})
		if err != nil {
			last = err
			return false, nil
		}
		credential.token = string(secret.Data[corev1.ServiceAccountTokenKey])
		if credential.token == "" {
			return false, nil
		}
		if last = a.try(ctx, credential); last != nil {
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return Credential{}, fmt.Errorf("cluster %s: the token of secret %s/%s: %w", a.Name(), identityNamespace, tokenSecret, last)
	}
	return credential, nil
}

// way is how to reach the cluster, and how to know it.
func (a *Admin) way() (clientcmdapi.Cluster, error) {
	config := rest.CopyConfig(a.config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return clientcmdapi.Cluster{}, fmt.Errorf("%s: context %q: %w", a.options.Flag, a.options.Context, err)
	}
	if config.Insecure {
		return clientcmdapi.Cluster{}, fmt.Errorf("%s: context %q skips the verification of the server, which would hand it xcc's token whoever it is; give the context a certificate-authority",
			a.options.Flag, a.options.Context)
	}
	given := a.raw.Clusters[a.raw.Contexts[a.options.Context].Cluster]
	return clientcmdapi.Cluster{
		Server: given.Server, TLSServerName: given.TLSServerName, ProxyURL: given.ProxyURL, CertificateAuthorityData: config.CAData,
	}, nil
}

// try asks with the credential who the cluster is. Rights that were just given take a moment to count.
func (a *Admin) try(ctx context.Context, credential Credential) error {
	config, err := clientcmd.NewNonInteractiveClientConfig(*kubeconfigOf(credential), credential.Name, nil, nil).ClientConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	found, _, err := identify(ctx, client)
	if err != nil {
		return err
	}
	if found.System == "" || !found.Same(a.identity) {
		return errors.New("it shows another cluster, or may not read kube-system yet")
	}
	return nil
}

// Rotate deletes the identity's token, so that Grant makes another. The old one ends at once.
func (a *Admin) Rotate(ctx context.Context, tell func(string)) error {
	secrets, err := a.granted(ctx, []string{"Secret"})
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		if err := a.remove(ctx, secret, tell); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfigOf(credentials ...Credential) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	for _, credential := range credentials {
		config.Clusters[credential.Name] = &credential.cluster
		config.AuthInfos[credential.Name] = &clientcmdapi.AuthInfo{Token: credential.token}
		config.Contexts[credential.Name] = &clientcmdapi.Context{Cluster: credential.Name, AuthInfo: credential.Name}
	}
	return config
}

// WriteKubeconfig writes the credentials to a file that only its owner may read: whole, or not at all. It reports whether
// that took a write.
func WriteKubeconfig(file string, credentials ...Credential) (changed bool, err error) {
	content, err := clientcmd.Write(*kubeconfigOf(credentials...))
	if err != nil {
		return false, fmt.Errorf("write the kubeconfig: %w", err)
	}
	// A link is followed, so that it stays one.
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm() == 0o600 && bytes.Equal(before, content) {
		return false, nil
	}
	return true, replace(file, content)
}

// MayReplace fails where a file is not one that [WriteKubeconfig] wrote, or holds other contexts than these.
func MayReplace(file string, contexts ...string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	config, err := clientcmd.Load(content)
	if err != nil || len(config.Contexts) == 0 {
		return fmt.Errorf("%s is not xcc's kubeconfig, and not overwritten; name another file", file)
	}
	for _, user := range config.AuthInfos {
		if subject := claimsOf(user.Token).Subject; subject != "system:serviceaccount:"+identityNamespace+":"+identityName {
			return fmt.Errorf("%s holds credentials that are not xcc's, and is not overwritten; name another file", file)
		}
	}
	for _, name := range contexts {
		delete(config.Contexts, name)
	}
	if len(config.Contexts) > 0 {
		return fmt.Errorf("%s holds other contexts (%s), and is not overwritten; name another file, or delete it",
			file, strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", "))
	}
	return nil
}

// replace puts a new file in the place of another, so that a reader finds one or the other.
func replace(file string, content []byte) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Chmod(0o600), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}
