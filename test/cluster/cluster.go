package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Cluster is one running control plane.
type Cluster struct {
	// Name is the cluster's display name.
	Name string
	// Etcd, APIServer and ControllerManager are the cluster's processes.
	Etcd              *Etcd
	APIServer         *APIServer
	ControllerManager *Process

	options      Options
	directory    string // everything that the cluster writes
	logDirectory string
	credentials  *credentials
	clientset    kubernetes.Interface
	guard        *execution
	lastPod      atomic.Int64 // numbers the pods' addresses
	lastHost     atomic.Int64 // numbers the API servers and Nodes

	mu         sync.Mutex
	ports      []port
	apiServers []*APIServer // all of them, the first first
	added      []*Process   // those of AddProcess
}

// Start boots a cluster and returns when its API server answers and its controllers work. The context bounds the boot, not
// the cluster's life: the cluster lives until Stop, or until this process ends.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if options.Binary == "" {
		if options.Binary, err = Build(ctx, os.Stderr); err != nil {
			return nil, err
		}
	}
	c := &Cluster{Name: options.Name, options: options}
	if err := c.boot(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster %s: %w", c.Name, err), c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// StartPair boots two clusters at the same time. Unless their options say otherwise they have the numbers 1 and 2, and so
// pods in 10.1.0.0/16 and 10.2.0.0/16.
func StartPair(ctx context.Context, a, b Options) (*Cluster, *Cluster, error) {
	if a.Number == 0 && b.Number == 0 {
		a.Number, b.Number = 1, 2
	}
	var (
		clusters [2]*Cluster
		errs     [2]error
		done     sync.WaitGroup
	)
	for i, options := range []Options{a, b} {
		done.Go(func() { clusters[i], errs[i] = Start(ctx, options) })
	}
	done.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		for _, started := range clusters {
			if started != nil {
				err = errors.Join(err, started.Stop(context.WithoutCancel(ctx)))
			}
		}
		return nil, nil, err
	}
	return clusters[0], clusters[1], nil
}

// boot starts the processes, each when the one that it needs is ready.
func (c *Cluster) boot(ctx context.Context) error {
	var err error
	if c.directory, err = os.MkdirTemp(temporaryDirectory(), "xcc-"+c.Name+"-"); err != nil {
		return err
	}
	if err := c.startGuard(); err != nil {
		return err
	}
	c.logDirectory = filepath.Join(c.directory, "logs")
	if c.options.LogDirectory != "" {
		c.logDirectory = filepath.Join(c.options.LogDirectory, c.Name)
	}
	if err := os.MkdirAll(c.logDirectory, 0o755); err != nil {
		return err
	}
	if c.credentials, err = newCredentials(filepath.Join(c.directory, "pki"), c.options); err != nil {
		return err
	}
	if err := c.writeAuditPolicy(); err != nil {
		return err
	}
	if c.Etcd, err = c.newEtcd(); err != nil {
		return err
	}
	if err := c.Etcd.Start(ctx); err != nil {
		return err
	}
	if c.APIServer, err = c.newAPIServer(APIServerOptions{}); err != nil {
		return err
	}
	if c.clientset, err = newClientset(c.Admin()); err != nil {
		return err
	}
	if err := c.APIServer.Start(ctx); err != nil {
		return err
	}
	if c.ControllerManager, err = c.newControllerManager(); err != nil {
		return err
	}
	return c.ControllerManager.Start(ctx)
}

// Stop ends the cluster and removes its directory. It is quick: the data goes as well, so nothing needs to be saved.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, process := range c.processes() {
		if err := process.Kill(); err != nil && !errors.Is(err, ErrNotRunning) {
			errs = append(errs, err)
		}
	}
	if err := c.stopGuard(ctx); err != nil {
		errs = append(errs, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, port := range c.ports {
		errs = append(errs, port.release())
	}
	c.ports = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop cluster %s: %w", c.Name, err)
	}
	return nil
}

// processes are those that exist so far, in the order in which they can be ended.
func (c *Cluster) processes() []*Process {
	var processes []*Process
	if c.ControllerManager != nil {
		processes = append(processes, c.ControllerManager)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	processes = append(processes, c.added...)
	for _, server := range c.apiServers {
		processes = append(processes, server.Process)
	}
	if c.Etcd != nil {
		processes = append(processes, c.Etcd.Process)
	}
	return processes
}

// Directory holds everything that the cluster writes. It goes away with the cluster.
func (c *Cluster) Directory() string { return c.directory }

// PodCIDRs are the ranges of the pods' addresses, the primary family first.
func (c *Cluster) PodCIDRs() []netip.Prefix { return c.options.PodCIDRs }

// Clientset is a client with an administrator's rights and without a client-side rate limit.
func (c *Cluster) Clientset() kubernetes.Interface { return c.clientset }

// ServingCertificate is the API servers' certificate, for a proxy that ends a client's TLS connection in their place.
func (c *Cluster) ServingCertificate() (tls.Certificate, error) {
	pair := c.credentials.server
	return tls.X509KeyPair(pair.certificate, pair.key)
}

// CreateNamespace creates a namespace and returns when pods can be created in it.
func (c *Cluster) CreateNamespace(ctx context.Context, name string, labels map[string]string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := c.clientset.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("cluster %s: create namespace %s: %w", c.Name, name, err)
	}
	return c.waitServiceAccount(ctx, name)
}

// waitServiceAccount waits for a namespace's default ServiceAccount, without which no pod can be created there. Its
// controller may take half a minute to come back to an API server that was killed a few times.
func (c *Cluster) waitServiceAccount(ctx context.Context, namespace string) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bootTimeout)
		defer cancel()
	}
	what := fmt.Sprintf("cluster %s: the default ServiceAccount of namespace %s exists", c.Name, namespace)
	return Eventually(ctx, what, func(ctx context.Context) error {
		_, err := c.clientset.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// startGuard starts the process that removes the directory; see controlplane/guard.go.
func (c *Cluster) startGuard() error {
	guard, err := spawn(spawnOptions{
		binary:    c.options.Binary,
		arguments: []string{"guard", c.directory},
		directory: c.directory,
		logFile:   filepath.Join(c.directory, "guard.log"),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start guard: %w", err), os.RemoveAll(c.directory))
	}
	c.guard = guard
	return nil
}

// stopGuard tells the guard that the cluster is over and returns when the directory is gone.
func (c *Cluster) stopGuard(ctx context.Context) error {
	if c.guard == nil {
		return nil
	}
	_ = c.guard.stdin.Close() // an error means that it is closed already
	select {
	case <-c.guard.exited:
	case <-ctx.Done():
		return fmt.Errorf("remove %s: %w", c.directory, ctx.Err())
	}
	if _, err := os.Stat(c.directory); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: still there, and the guard is gone: %w", c.directory, c.guard.err)
	}
	return nil
}

// ReserveAddress takes an address on loopback until Stop, for a process that is to listen there.
func (c *Cluster) ReserveAddress() (string, error) {
	port, err := c.reservePort()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String(), err
}

// reservePort takes a port until Stop.
func (c *Cluster) reservePort() (uint16, error) {
	reserved, err := reservePort()
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports = append(c.ports, reserved)
	return reserved.number, nil
}

// temporaryDirectory is in memory where there is room: a quota or a container may leave next to none.
func temporaryDirectory() string {
	const memory, enough = "/dev/shm", 4 << 30
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err == nil && stat.Bavail*uint64(stat.Bsize) >= enough {
		return memory
	}
	return os.TempDir()
}
