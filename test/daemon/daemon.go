// Package daemon runs xcc as its users do: as a process of its own, with a kubeconfig that holds nothing but the
// identity of its manifests.
package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"xcc/manifests"
	"xcc/test/cluster"
)

// Namespace and ServiceAccount are those of the manifests.
const (
	Namespace      = "xcc"
	ServiceAccount = "xcc"
)

// Grant applies the named manifests to a cluster and gives the access of the identity in them. Without names it grants
// all of them.
func Grant(ctx context.Context, c *cluster.Cluster, files ...string) (cluster.Access, error) {
	if len(files) == 0 {
		all, err := fs.Glob(manifests.Files, "*.yaml")
		if err != nil {
			return cluster.Access{}, err
		}
		files = all
	}
	for _, file := range files {
		if err := Apply(ctx, c.Clientset(), file); err != nil {
			return cluster.Access{}, fmt.Errorf("cluster %s: %w", c.Name, err)
		}
	}
	return c.ServiceAccount(ctx, Namespace, ServiceAccount, 24*time.Hour)
}

// Apply creates the objects of one manifest that are not there yet.
func Apply(ctx context.Context, client kubernetes.Interface, file string) error {
	content, err := manifests.Files.Open(file)
	if err != nil {
		return fmt.Errorf("open manifest: %w", err)
	}
	defer content.Close()
	documents := yaml.NewYAMLReader(bufio.NewReader(content))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read manifest %s: %w", file, err)
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			return fmt.Errorf("decode manifest %s: %w", file, err)
		}
		if err := create(ctx, client, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %T of %s: %w", object, file, err)
		}
	}
}

func create(ctx context.Context, client kubernetes.Interface, object runtime.Object) (err error) {
	options := metav1.CreateOptions{}
	switch object := object.(type) {
	case *corev1.Namespace:
		_, err = client.CoreV1().Namespaces().Create(ctx, object, options)
	case *corev1.ServiceAccount:
		_, err = client.CoreV1().ServiceAccounts(object.Namespace).Create(ctx, object, options)
	case *rbacv1.ClusterRole:
		_, err = client.RbacV1().ClusterRoles().Create(ctx, object, options)
	case *rbacv1.ClusterRoleBinding:
		_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, object, options)
	case *rbacv1.Role:
		_, err = client.RbacV1().Roles(object.Namespace).Create(ctx, object, options)
	case *rbacv1.RoleBinding:
		_, err = client.RbacV1().RoleBindings(object.Namespace).Create(ctx, object, options)
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		_, err = client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(ctx, object, options)
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		_, err = client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(ctx, object, options)
	default:
		err = errors.New("not a kind that the tests know")
	}
	return err
}

// Options say how to run xcc.
type Options struct {
	// Binary is from [cluster.BuildXCC].
	Binary string
	// Arguments come after the program's name.
	Arguments []string
	// Environment is all of it; nothing is inherited.
	Environment []string
	// Log receives what xcc writes to standard error; nil for nowhere.
	Log io.Writer
}

// Daemon is a running xcc.
type Daemon struct {
	command *exec.Cmd
	exited  chan struct{}
	err     error
	log     lockedBuffer
}

// Start starts xcc. The process ends when ctx does, at the latest.
func Start(ctx context.Context, options Options) (*Daemon, error) {
	d := &Daemon{exited: make(chan struct{})}
	d.command = exec.CommandContext(ctx, options.Binary, options.Arguments...)
	// A nil environment would be that of the test.
	d.command.Env = append([]string{}, options.Environment...)
	d.command.Stdout, d.command.Stderr = &d.log, &d.log
	if options.Log != nil {
		d.command.Stderr = io.MultiWriter(&d.log, options.Log)
	}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("start xcc: %w", err)
	}
	go func() {
		d.err = d.command.Wait()
		close(d.exited)
	}()
	return d, nil
}

// Sync starts `xcc sync` between two clusters, with the access given to each, and the flags given. It listens nowhere
// unless they say so, because many run at a time.
func Sync(ctx context.Context, binary, directory string, a, b cluster.Access, flags ...string) (*Daemon, error) {
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := cluster.WriteKubeconfig(kubeconfig, a, b); err != nil {
		return nil, err
	}
	return Start(ctx, Options{Binary: binary, Arguments: append([]string{
		"sync", "--kubeconfig", kubeconfig, "--context-a", a.Context, "--context-b", b.Context, "--listen=",
	}, flags...)})
}

// Link has xcc give itself its identity in two clusters, by an administrator's access to each, and gives the path of the
// kubeconfig that it writes. The flags are those of `xcc link`.
func Link(ctx context.Context, binary, directory string, a, b cluster.Access, flags ...string) (string, error) {
	admin, linked := filepath.Join(directory, "admin.kubeconfig"), filepath.Join(directory, "xcc.kubeconfig")
	if err := cluster.WriteKubeconfig(admin, a, b); err != nil {
		return "", err
	}
	d, err := Start(ctx, Options{Binary: binary, Arguments: append([]string{
		"link", "--kubeconfig", admin, "--context-a", a.Context, "--context-b", b.Context, "--output", linked,
	}, flags...)})
	if err != nil {
		return "", err
	}
	code, err := d.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("xcc link exited with %d:\n%s", code, d.Log())
	}
	return linked, err
}

// PID is the process.
func (d *Daemon) PID() int {
	return d.command.Process.Pid
}

// Log is what it has written so far.
func (d *Daemon) Log() string {
	return d.log.String()
}

// Exited is closed when the process has ended.
func (d *Daemon) Exited() <-chan struct{} {
	return d.exited
}

// Wait waits for the process to end, and gives its exit code; -1 where a signal ended it.
func (d *Daemon) Wait(ctx context.Context) (int, error) {
	select {
	case <-d.exited:
		return d.command.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for xcc to exit: %w", context.Cause(ctx))
	}
}

// patience is how long a daemon has to end. xcc promises 10 seconds; a busy machine may need more.
const patience = time.Minute

// Terminate asks it to end, as systemd does, and waits. One that does not end is killed, and the error says what it was
// doing.
func (d *Daemon) Terminate(ctx context.Context) (int, error) {
	if err := d.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code, err := d.Wait(waiting)
	if err == nil || ctx.Err() != nil {
		return code, err
	}
	// Go's answer to SIGQUIT is the stack of every goroutine.
	if quit := d.Signal(syscall.SIGQUIT); quit != nil {
		return 0, errors.Join(err, quit)
	}
	<-d.exited
	return 0, fmt.Errorf("xcc has not ended within %s of SIGTERM:\n%s", patience, d.Log())
}

// Kill ends it at once, and waits until it has ended.
func (d *Daemon) Kill() error {
	if err := d.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-d.exited
	return nil
}

// Signal sends a signal. It is not an error that the process has ended already.
func (d *Daemon) Signal(signal os.Signal) error {
	if err := d.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal xcc: %w", err)
	}
	return nil
}

// lockedBuffer is written by the process and read by tests.
type lockedBuffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, data...)
	return len(data), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}
