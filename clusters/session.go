package clusters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// session is a pair of clients made from one state of the kubeconfig, and what was proven of the cluster at their other end.
type session struct {
	cluster *Cluster
	config  clientcmdapi.Config
	// client reads and watches. What it read is believed if its connections were proven since.
	client      kubernetes.Interface
	connections *connections
	// gate is for requests that must not reach another cluster: all writes, and the reads that belong to them.
	gate *gate

	watches sync.Map // of resource to the error that its watch met last

	// ended receives the reason why the session can't go on and another may.
	ended chan error
	// behind: the store is older than one seen before, so nothing is proven absent by it.
	behind atomic.Bool

	// proven is the number of connections that were open when the identity was last proven; -1 before.
	proven atomic.Int64
	mu     sync.Mutex // one proof at a time
}

// connect opens a session and proves the cluster's identity.
func (c *Cluster) connect(ctx context.Context) (*session, error) {
	restConfig, config, err := c.options.load()
	if err != nil {
		return nil, err
	}
	s := &session{cluster: c, config: config, connections: newConnections(), ended: make(chan error, 1)}
	s.gate = &gate{connections: newConnections(), prove: s.admit}
	s.proven.Store(-1)
	if s.client, err = c.newClient(restConfig, s.connections.dial); err != nil {
		return nil, err
	}
	if s.gate.client, err = c.newClient(restConfig, s.gate.dial); err != nil {
		return nil, err
	}
	if err := s.verify(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (c *Cluster) newClient(config *rest.Config, dial func(context.Context, string, string) (net.Conn, error)) (kubernetes.Interface, error) {
	config = rest.CopyConfig(config)
	config.Dial = dial
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return boundRetryAfter{next} })
	if observe := c.options.Observe; observe != nil {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return measured{next, c.Name(), observe} })
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("%s: context %q: %w", c.options.Flag, c.options.Context, err)
	}
	return client, nil
}

func (s *session) close() {
	s.connections.CloseAll()
	s.gate.connections.CloseAll()
}

// verify proves the identity, if a connection was opened since that was last done.
func (s *session) verify(ctx context.Context) error {
	if s.isProven() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for range maxProofs {
		if s.isProven() {
			return nil
		}
		if err := s.proveIdentity(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: it is lost as soon as it is made", errUnproven)
}

func (s *session) isProven() bool {
	return s.proven.Load() == s.connections.opened.Load()
}

// identify proves the identity whatever was proven before.
func (s *session) identify(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proveIdentity(ctx)
}

// proveIdentity asks who is at the other end. The answer holds for the connections that were open before the question:
// one that the question itself opened is proven by the next.
func (s *session) proveIdentity(ctx context.Context) error {
	opened := s.connections.opened.Load()
	if err := s.admit(ctx, s.client); err != nil {
		return err
	}
	s.proven.Store(opened)
	return nil
}

// admit asks who is at the other end of a client, and ends the session if that is not who it was.
func (s *session) admit(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	reached := s.cluster.reached()
	found, version, err := identify(ctx, client)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// The connection may be half-open, and whoever waits on it would wait for ever.
		s.close()
	}
	if err != nil {
		return err
	}
	behind, err := s.cluster.admit(found, version, reached)
	if err != nil {
		s.end(err)
		return err
	}
	if s.proven.Load() >= 0 && behind && !s.behind.Load() {
		// The watches wait for versions that come again only much later.
		s.end(errBehind)
		return errBehind
	}
	s.behind.Store(behind)
	return nil
}

// errBehind says that the store behind the API server went back.
var errBehind = errors.New("its resourceVersion went backwards, as after a restore from a backup; nothing is taken away until it has caught up")

func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

// reflected is a store that a Reflector fills.
type reflected interface {
	cache.ReflectorStore
	item(object any) listed
	// ignores gives the fields that it has no use for.
	ignores() fieldSet
}

// reflector fills a store with the objects of one resource that match a label selector. It begins with a list.
func (s *session) reflector(client rest.Interface, resource, selector string, expected runtime.Object, store reflected) *cache.Reflector {
	choose := func(options *metav1.ListOptions) {
		options.LabelSelector = selector
		if options.ResourceVersion == "0" {
			// "0" asks for any version, however old: a lagging API server would show Services that are long gone.
			options.ResourceVersion = ""
		}
	}
	listWatch := cache.NewFilteredListWatchFromClient(client, resource, metav1.NamespaceAll, choose)
	listWatch.ListWithContextFunc = func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		choose(&options)
		return readList(ctx, client, resource, options, expected, store)
	}
	return cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(s.noting(listWatch, resource), listsFirst{}), expected, store, cache.ReflectorOptions{
		Name:    s.cluster.Name() + "/" + resource,
		Backoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 5, Cap: 2 * time.Second},
	})
}

// listsFirst tells a Reflector not to have its list sent as a watch's first events.
type listsFirst struct{}

func (listsFirst) IsWatchListSemanticsUnSupported() bool { return true }

// noting keeps the error with which a list or watch could not be opened, until one can. A Reflector only logs it.
func (s *session) noting(listWatch *cache.ListWatch, resource string) *cache.ListWatch {
	note := func(err error) {
		if err == nil {
			s.watches.Delete(resource)
		} else if !errors.Is(err, context.Canceled) {
			s.watches.Store(resource, fmt.Errorf("watch %s: %w", resource, err))
		}
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := listWatch.ListWithContextFunc(ctx, options)
			note(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := listWatch.WatchFuncWithContext(ctx, options)
			note(err)
			return events, err
		},
	}
}

// watchProblem gives an error that keeps a watch from being opened; nil where all are open.
func (s *session) watchProblem() error {
	var all []error
	s.watches.Range(func(_, err any) bool {
		all = append(all, err.(error))
		return true
	})
	return errors.Join(all...)
}
