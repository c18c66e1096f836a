// Package clusters is one Kubernetes cluster seen through one kubeconfig context: who it is, what its watches tell, what
// live reads prove, and guarded writes.
//
// Reading order: a [Cluster] keeps a session alive; each session connects, identifies the cluster, and fills the views
// that were asked for: a [Source] of exported Services, a [Target] of pointers, the [Drains] that operators ordered. Beside
// that, an [Admin] gives and takes xcc's identity, and [Examine] and [Judge] say whether two clusters are fit for it.
package clusters

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// probeInterval is how often a session is probed. A source that is gone, half-open, or another cluster than before is
	// noticed within this and probeTimeout.
	probeInterval = 5 * time.Second
	probeTimeout  = 10 * time.Second
	// sessionRetry is the pause before another session is tried.
	sessionRetry = time.Second
)

// Cluster is one side. Its methods may be called at any time; those that need a session fail while there is none.
type Cluster struct {
	options Options
	log     logrus.FieldLogger
	views   []view

	current    atomic.Pointer[session]
	identified chan struct{} // closed when the identity is known

	mu       sync.Mutex
	identity Identity  // that of the first session; all others must have the same
	newest   string    // the highest resourceVersion that was seen
	heard    time.Time // when the cluster last answered a probe
	problem  string    // what was last logged; empty while all is well
}

// view is a part of the cluster that each session fills anew.
type view interface {
	// prepare makes the view wait for a full list and asks the session what it may read.
	prepare(ctx context.Context, s *session) error
	// refresh reads what no watch tells.
	refresh(ctx context.Context, s *session) error
	reflectors(s *session) []*cache.Reflector
}

// Open reads the kubeconfig. It makes no request.
func Open(options Options, log logrus.FieldLogger) (*Cluster, error) {
	if _, _, err := options.load(); err != nil {
		return nil, err
	}
	if options.Name == "" {
		options.Name = options.Context
	}
	return &Cluster{options: options, log: log.WithField("cluster", options.Name), identified: make(chan struct{})}, nil
}

// Name is the display name.
func (c *Cluster) Name() string {
	return c.options.Name
}

// Identified is closed when the cluster has answered for the first time.
func (c *Cluster) Identified() <-chan struct{} {
	return c.identified
}

// Identity is that of the first session; the zero Identity before that.
func (c *Cluster) Identity() Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity
}

// UID is what stands for the cluster in the marks; empty before it has answered for the first time.
func (c *Cluster) UID() types.UID {
	return c.Identity().UID()
}

// Verify proves that the connection leads to the cluster that it led to at first, and gives that cluster's UID. It costs a
// request only after a reconnect.
func (c *Cluster) Verify(ctx context.Context) (types.UID, error) {
	s, err := c.session()
	if err != nil {
		return "", err
	}
	if err := s.verify(ctx); err != nil {
		return "", fmt.Errorf("cluster %s: %w", c.Name(), err)
	}
	return c.UID(), nil
}

// Run keeps a session alive until ctx ends. A session ends when the kubeconfig changes, and when the cluster turns out to
// be another one or to have been restored from a backup. With once, Run fails at the first problem instead.
func (c *Cluster) Run(ctx context.Context, once bool) error {
	for ctx.Err() == nil {
		err := c.runSession(ctx, once)
		c.current.Store(nil)
		if ctx.Err() != nil {
			return nil
		}
		if once && err != nil {
			return err
		}
		c.report(err)
		if err != nil {
			pause(ctx, sessionRetry)
		}
	}
	return nil
}

func (c *Cluster) runSession(ctx context.Context, once bool) error {
	s, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("%s: context %s: %w", c.options.Flag, c.options.Context, err)
	}
	defer s.close()
	if err := c.prepare(ctx, s); err != nil {
		return err
	}
	reflecting, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	c.current.Store(s)
	for _, view := range c.views {
		for _, reflector := range view.reflectors(s) {
			group.Go(func() { reflector.RunWithContext(reflecting) })
		}
	}
	c.report(nil)
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.ended:
			return err
		case <-ticker.C:
			err := c.probe(ctx, s)
			if ctx.Err() != nil {
				return nil
			}
			if once && err != nil {
				return err
			}
			c.report(err)
		}
	}
}

// prepare readies the views for a session. Whoever answers the handshake may still never answer a question.
func (c *Cluster) prepare(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, view := range c.views {
		if err := view.prepare(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// probe asks whether the session is alive and still what it was.
func (c *Cluster) probe(ctx context.Context, s *session) error {
	_, config, err := c.options.load()
	if err == nil && !reflect.DeepEqual(config, s.config) {
		c.log.Info("the kubeconfig has changed")
		s.end(nil)
		return nil
	}
	if err := s.identify(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, view := range c.views {
		if err := view.refresh(ctx, s); err != nil {
			return err
		}
	}
	return s.watchProblem()
}

// reached is the highest resourceVersion that was seen so far.
func (c *Cluster) reached() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest
}

// admit compares what a session found at the other end with what the cluster was before. It fails for another cluster, and
// reports whether the store behind the API server is older than one seen before, as after a restore from a backup: a
// consistent read can't be older than what had been reached when it was asked for. It may be older than what was reached
// since.
func (c *Cluster) admit(found Identity, version, reached string) (behind bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.identity.UID() == "" {
		c.identity = found
		close(c.identified)
	}
	if !c.identity.Same(found) {
		return false, fmt.Errorf("it now leads to another cluster: kube-system has the UID %s, not %s; nothing is read or written until it leads back",
			found.UID(), c.identity.UID())
	}
	c.heard = time.Now()
	if isOlder(version, reached) {
		return true, nil
	}
	if c.newest == "" || isOlder(c.newest, version) {
		c.newest = version
	}
	return false, nil
}

// advance notes a resourceVersion that a watch has told of.
func (c *Cluster) advance(version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if isOlder(c.newest, version) {
		c.newest = version
	}
}

// isOlder compares resourceVersions, which may be done since Kubernetes 1.35 defines their order; every etcd-backed API
// server has always kept it. What can't be compared is not older.
func isOlder(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}

// Silence is how long ago the cluster last answered. It counts from now as long as it never has.
func (c *Cluster) Silence() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard.IsZero() {
		return 0
	}
	return time.Since(c.heard)
}

func (c *Cluster) session() (*session, error) {
	if s := c.current.Load(); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("cluster %s: not connected", c.Name())
}

// request makes a request that reaches this cluster or none, within requestTimeout.
func (c *Cluster) request(ctx context.Context, do func(context.Context, kubernetes.Interface) error) error {
	s, err := c.session()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.gate.do(ctx, func(client kubernetes.Interface) error { return do(ctx, client) }); err != nil {
		return fmt.Errorf("cluster %s: %w", c.Name(), err)
	}
	return nil
}

// report logs a change between well and not well, and each new problem once.
func (c *Cluster) report(err error) {
	problem := ""
	if err != nil {
		problem = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	c.mu.Lock()
	before := c.problem
	c.problem = problem
	c.mu.Unlock()
	switch {
	case problem == before:
	case problem == "":
		c.log.Info("connected again")
	default:
		c.log.Error(problem)
	}
}

func pause(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
