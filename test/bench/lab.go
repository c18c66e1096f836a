package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

const (
	// largeNamespace is the namespace of the Services with many endpoints, unexportedNamespace of those that nobody labelled.
	largeNamespace      = namespacePrefix + "large"
	unexportedNamespace = "unexported"
)

// lab is what the experiments share: one source, which grows, and one target at a time.
type lab struct {
	options      options
	log          io.Writer
	report       report
	controlPlane string // the binaries
	xcc          string
	directory    string // of the kubeconfigs
	boots        int    // of targets, so far
	source       *site
	target       *site
	// exported is how many of the alike Services the source has, unexported how many others, mirrored how many of the
	// former have their pointers in the target.
	exported, unexported, mirrored int
	addresses                      int // of replaced pods, so far
	memory                         []memoryPoint
	// started are all that ran so far: what is left of them must not outlive the clusters.
	started []*runningXCC
	awake   awake
}

// site is one of the two clusters. Its controllers are stopped: what they would make is written directly, and it is not
// their load that is measured.
type site struct {
	*cluster.Cluster
	client  kubernetes.Interface
	storage storage
	access  cluster.Access // of xcc's identity
	uid     types.UID
	// kubeconfig is the file of the source's and this target's contexts.
	kubeconfig string
}

func newLab(ctx context.Context, options options, log io.Writer) (l *lab, err error) {
	l = &lab{options: options, log: log, report: newReport()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close(context.WithoutCancel(ctx)))
		}
	}()
	if l.directory, err = os.MkdirTemp("", "xcc-bench-"); err != nil {
		return l, err
	}
	if l.controlPlane, err = cluster.Build(ctx, log); err != nil {
		return l, err
	}
	if l.xcc = options.XCC; l.xcc == "" {
		if l.xcc, err = cluster.BuildXCC(ctx, false); err != nil {
			return l, err
		}
	}
	if l.awake, err = stayAwake(ctx); err != nil {
		l.say("%v", err)
	}
	if l.source, err = l.bootSource(ctx); err != nil {
		return l, err
	}
	return l, l.freshTarget(ctx)
}

func (l *lab) close(ctx context.Context) error {
	var errs []error
	for _, xcc := range l.started {
		errs = append(errs, xcc.Kill())
	}
	for _, site := range []*site{l.source, l.target} {
		if site != nil {
			errs = append(errs, site.stop(ctx))
		}
	}
	l.awake.close()
	return errors.Join(append(errs, os.RemoveAll(l.directory))...)
}

// say tells the user what goes on.
func (l *lab) say(format string, arguments ...any) {
	fmt.Fprintf(l.log, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, arguments...))
}

// freshTarget replaces the target by a cluster that has nothing but the namespaces. To take thousands of objects away
// would take longer, and leave an API server that is not as it was.
func (l *lab) freshTarget(ctx context.Context) error {
	if l.target != nil {
		if err := l.target.stop(ctx); err != nil {
			return err
		}
	}
	var err error
	if l.target, err = l.boot(ctx, cluster.Options{Name: "prod-west", Number: 2}); err != nil {
		return err
	}
	l.mirrored = 0
	l.boots++
	l.target.kubeconfig = fmt.Sprintf("%s/kubeconfig-%d", l.directory, l.boots)
	if err := cluster.WriteKubeconfig(l.target.kubeconfig, l.source.access, l.target.access); err != nil {
		return err
	}
	return l.awaitQuiet(ctx)
}

func (l *lab) bootSource(ctx context.Context) (*site, error) {
	return l.boot(ctx, cluster.Options{Name: "prod-east", Number: 1})
}

func (l *lab) boot(ctx context.Context, options cluster.Options) (*site, error) {
	options.Binary = l.controlPlane
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	s := &site{Cluster: c, client: c.Clientset()}
	if err := s.setUp(ctx, l.options.Policies); err != nil {
		return nil, errors.Join(fmt.Errorf("set up cluster %s: %w", c.Name, err), c.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *site) setUp(ctx context.Context, policies bool) (err error) {
	if s.storage, err = openStorage(s.Cluster); err != nil {
		return err
	}
	withoutPolicies := func(kind, _ string) bool { return !policies && strings.HasPrefix(kind, "ValidatingAdmissionPolicy") }
	if s.access, err = daemon.Grant(ctx, s.Cluster, daemon.All, withoutPolicies); err != nil {
		return err
	}
	names := []string{largeNamespace, unexportedNamespace}
	for n := range namespaces {
		names = append(names, fmt.Sprintf("%s%d", namespacePrefix, n))
	}
	for _, name := range names {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := s.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	system, err := s.client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return err
	}
	s.uid = system.UID
	if err := s.ControllerManager.Kill(); err != nil {
		return err
	}
	if !policies {
		return nil
	}
	return s.awaitPolicies(ctx)
}

// awaitPolicies waits until the admission policies are in force, for the floor as for xcc.
func (s *site) awaitPolicies(ctx context.Context) error {
	forged := service{namespace: largeNamespace, name: "forged"}.object()
	forged.Labels[labelExport] = follower
	return cluster.Eventually(ctx, "the admission policies are in force", func(ctx context.Context) error {
		_, err := s.client.CoreV1().Services(forged.Namespace).Create(ctx, forged, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			return nil
		}
		return fmt.Errorf("a forged pointer is not refused: %w", err)
	})
}

func (s *site) stop(ctx context.Context) error {
	return errors.Join(s.storage.close(), s.Stop(ctx))
}

// pids are those of the processes that serve the API.
func (s *site) pids() ([]int, error) {
	server, err := s.APIServer.PID()
	if err != nil {
		return nil, err
	}
	etcd, err := s.Etcd.PID()
	return []int{server, etcd}, err
}

// collectGarbage has the API server do so now, which a heap profile can ask for (net/http/pprof: handler.ServeHTTP).
func (s *site) collectGarbage(ctx context.Context) error {
	_, err := s.client.Discovery().RESTClient().Get().AbsPath("/debug/pprof/heap").Param("gc", "1").DoRaw(ctx)
	return err
}

// awaitQuiet waits until both clusters, and other processes, have nothing to do.
func (l *lab) awaitQuiet(ctx context.Context, others ...int) error {
	return awaitQuietSites(ctx, []*site{l.source, l.target}, others...)
}

// awaitQuietSites waits until clusters, and other processes, have nothing to do, and no garbage to collect either: which of
// two contenders meets a collection, and takes half as long again, would depend on what both did before.
func awaitQuietSites(ctx context.Context, sites []*site, others ...int) error {
	for _, site := range sites {
		if err := site.collectGarbage(ctx); err != nil {
			return err
		}
		pids, err := site.pids()
		if err != nil {
			return err
		}
		others = append(others, pids...)
	}
	return awaitQuiet(ctx, others...)
}

// export makes the source export so many Services at least. They are written into its storage: what it takes to give
// each a virtual IP, which nobody here asks for, would take longer than all that is measured.
func (l *lab) export(ctx context.Context, count int) error {
	if count <= l.exported {
		return nil
	}
	l.say("the source gets %d Services", count-l.exported)
	added := l.exportedServices(l.exported, count)
	l.exported = count
	return l.source.storage.create(ctx, added)
}

// spareSource is another source of the same Services.
func (l *lab) spareSource(ctx context.Context) (*site, error) {
	spare, err := l.bootSource(ctx)
	if err != nil {
		return nil, err
	}
	if err := spare.storage.create(ctx, l.exportedServices(0, l.exported)); err != nil {
		return nil, errors.Join(err, spare.stop(context.WithoutCancel(ctx)))
	}
	return spare, nil
}

// sync brings the target in line with so many exported Services at least.
func (l *lab) sync(ctx context.Context, count int) error {
	if err := l.export(ctx, count); err != nil {
		return err
	}
	if l.mirrored == l.exported {
		return nil
	}
	l.say("xcc brings %d Services in sync", l.exported)
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return err
	}
	l.mirrored = l.exported
	return xcc.stop(ctx)
}

// freshAddress is the address of a pod that takes the place of another.
func (l *lab) freshAddress() string {
	l.addresses++
	return podAddress(freshAddresses + l.addresses)
}
