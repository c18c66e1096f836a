package clusters

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
)

// Source is the view of a cluster's exported Services and their endpoints.
type Source struct {
	cluster   *Cluster
	selector  labels.Selector
	services  *store[*packedService]
	slices    *store[*packedSlice]
	endpoints *store[*corev1.Endpoints]
	// endpointsOnly: the token may not read EndpointSlices, so Endpoints are read and turned into slices.
	endpointsOnly atomic.Bool
}

// Notify is what a view calls when something has changed. Its functions must not block.
type Notify struct {
	// Service is called for each Service of which an object has changed.
	Service func(types.NamespacedName)
	// Namespace is called for each Namespace that has come, gone or changed.
	Namespace func(name string)
	// Synced is called when a view has read all there is, once in each session, and when something has changed since that
	// every Service may depend on.
	Synced func()
}

// Unheard is for views that somebody asks and nobody listens to.
var Unheard = Notify{Service: func(types.NamespacedName) {}, Namespace: func(string) {}, Synced: func() {}}

// Source adds a view of the Services that match the selector, and of the EndpointSlices that do: Kubernetes copies a
// Service's labels to the slices that it makes for it, so the API server can filter those too. Of their metadata it gives
// what is named. It must be called before Run.
func (c *Cluster) Source(selector labels.Selector, metadata Metadata, notify Notify) *Source {
	source := &Source{cluster: c, selector: selector}
	source.services = newStore(keeping(metadata.packService), nil)
	source.slices = newStore(keeping(metadata.packSlice), (*packedSlice).serviceKey)
	source.slices.ignored = place
	source.endpoints = newStore(metadata.stripEndpoints, nil)
	filled := func() {
		if source.isSynced() {
			notify.Synced()
		}
	}
	source.services.changed, source.services.filled = notify.Service, filled
	source.slices.changed, source.slices.filled = notify.Service, filled
	source.endpoints.changed, source.endpoints.filled = notify.Service, filled
	source.services.advanced, source.slices.advanced, source.endpoints.advanced = c.advance, c.advance, c.advance
	c.views = append(c.views, source)
	return source
}

func (s *Source) isSynced() bool {
	if s.endpointsOnly.Load() {
		return s.services.isSynced() && s.endpoints.isSynced()
	}
	return s.services.isSynced() && s.slices.isSynced()
}

// Verify is that of the cluster.
func (s *Source) Verify(ctx context.Context) (types.UID, error) {
	return s.cluster.Verify(ctx)
}

// Keys gives the names of all exported Services, in no order.
func (s *Source) Keys() []types.NamespacedName {
	keys := sets.New[types.NamespacedName]()
	s.services.services(keys)
	return keys.UnsortedList()
}

// Exported gives the exported Service of a name and its slices as the watches last told, nil where there is none. Slices
// without a Service are those of one that is gone. The objects may be shared and must not be changed. It fails until all
// watches of the session are synced.
func (s *Source) Exported(key types.NamespacedName) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	if !s.isSynced() {
		return nil, nil, fmt.Errorf("cluster %s: the exported Services are not read yet", s.cluster.Name())
	}
	var service *corev1.Service
	for _, packed := range s.services.of(key) {
		service = packed.unpack()
	}
	var slices []*discoveryv1.EndpointSlice
	if !s.endpointsOnly.Load() {
		for _, slice := range s.slices.of(key) {
			slices = append(slices, slice.unpack())
		}
		return service, slices, nil
	}
	for _, endpoints := range s.endpoints.of(key) {
		slices = append(slices, slicesOf(endpoints)...)
	}
	return service, slices, nil
}

// Live reads the same from the API server: a get and a list without resourceVersion are answered as of now, from a quorum.
// It fails unless the whole reading came over connections to the very cluster that it always was.
func (s *Source) Live(ctx context.Context, key types.NamespacedName) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	session, err := s.cluster.session()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := session.verify(ctx); err != nil {
		return nil, nil, fmt.Errorf("cluster %s: %w", s.cluster.Name(), err)
	}
	service, slices, err := s.read(ctx, session, key)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster %s: service %s: %w", s.cluster.Name(), key, err)
	}
	if session.behind.Load() {
		return nil, nil, fmt.Errorf("cluster %s: service %s: %w", s.cluster.Name(), key, errBehind)
	}
	if !session.isProven() {
		return nil, nil, fmt.Errorf("cluster %s: service %s: %w", s.cluster.Name(), key, errReconnected)
	}
	return service, slices, nil
}

var errReconnected = errors.New("the connection was lost while it was read")

func (s *Source) read(ctx context.Context, session *session, key types.NamespacedName) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	service, err := session.client.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if isAbsent(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the Service: %w", err)
	}
	if !s.selector.Matches(labels.Set(service.Labels)) {
		return nil, nil, nil
	}
	if s.endpointsOnly.Load() {
		endpoints, err := session.client.CoreV1().Endpoints(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		if isAbsent(err) {
			return service, nil, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the Endpoints: %w", err)
		}
		return service, slicesOf(endpoints), nil
	}
	ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: key.Name})
	both, _ := ofService.Requirements()
	list, err := session.client.DiscoveryV1().EndpointSlices(key.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: s.selector.DeepCopySelector().Add(both...).String(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the EndpointSlices: %w", err)
	}
	var slices []*discoveryv1.EndpointSlice
	for i := range list.Items {
		slices = append(slices, &list.Items[i])
	}
	return service, slices, nil
}

func (s *Source) prepare(ctx context.Context, session *session) error {
	s.services.begin()
	s.slices.begin()
	s.endpoints.begin()
	allowed, err := mayListSlices(ctx, session)
	if err != nil {
		return err
	}
	if !allowed && !s.endpointsOnly.Load() {
		s.cluster.log.Warn("the token may not list EndpointSlices; reading Endpoints, which hold at most 1,000 addresses of a Service")
	}
	s.endpointsOnly.Store(!allowed)
	if allowed {
		s.endpoints.empty()
	} else {
		s.slices.empty()
	}
	return nil
}

// refresh asks whether the token may still read. A watch that was opened while it might goes on when it no longer may, and
// ends some minutes later; this tells at once. That it may list Services is part of the proof of identity.
func (s *Source) refresh(ctx context.Context, session *session) error {
	allowed, err := mayListSlices(ctx, session)
	if err == nil && allowed == s.endpointsOnly.Load() {
		session.end(errRightsChanged)
	}
	return err
}

var errRightsChanged = errors.New("what the token may do with EndpointSlices has changed")

// mayListSlices asks for a slice that every cluster has.
func mayListSlices(ctx context.Context, session *session) (bool, error) {
	hidden, err := lacksRight(ctx, session.client, func() error {
		_, err := session.client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx, oneByName("kubernetes"))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("list EndpointSlices: %w", err)
	}
	return !hidden, nil
}

func (s *Source) reflectors(session *session) []*cache.Reflector {
	core, discovery := session.client.CoreV1().RESTClient(), session.client.DiscoveryV1().RESTClient()
	services := session.reflector(core, "services", s.selector.String(), &corev1.Service{}, s.services)
	if s.endpointsOnly.Load() {
		return []*cache.Reflector{services,
			session.reflector(core, "endpoints", s.selector.String(), &corev1.Endpoints{}, s.endpoints)}
	}
	return []*cache.Reflector{services,
		session.reflector(discovery, "endpointslices", s.selector.String(), &discoveryv1.EndpointSlice{}, s.slices)}
}
