package clusters

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Object is any object that is read and written here.
type Object = interface {
	runtime.Object
	metav1.Object
}

// Kept is what a consumer keeps of an object of the target: less than the object, as a rule.
type Kept interface {
	identified
	metav1.ObjectMetaAccessor
	// Service is the key of the Service that the object belongs to.
	Service() types.NamespacedName
}

// Target is the view of a cluster's pointers, and the way to write them. K is what is kept of each object.
type Target[K Kept] struct {
	cluster    *Cluster
	selector   labels.Selector
	keep       func(Object) K
	services   *store[K]
	slices     *store[K]
	endpoints  *store[K]
	namespaces *store[*corev1.Namespace]
	// reconsider has all names looked at again, once the view has read all there is.
	reconsider func()

	mu           sync.RWMutex
	families     []corev1.IPFamily
	serviceCIDRs []netip.Prefix
}

// NewTarget adds a view of the objects that match the selector, which is that of the pointers' own label, and of the
// namespaces. keep says what is kept of an object; it must not hold on to the object. It must be called before Run.
func NewTarget[K Kept](c *Cluster, selector labels.Selector, keep func(Object) K, notify Notify) *Target[K] {
	t := &Target[K]{cluster: c, selector: selector, keep: keep}
	t.reconsider = func() {
		if t.isSynced() {
			notify.Synced()
		}
	}
	t.services, t.slices, t.endpoints = newStore(keeping(keep), nil), newStore(keeping(keep), K.Service), newStore(keeping(keep), nil)
	for _, s := range []*store[K]{t.services, t.slices, t.endpoints} {
		s.changed, s.filled = notify.Service, t.reconsider
	}
	t.namespaces = newStore(stripNamespace, nil)
	t.namespaces.changed = func(key types.NamespacedName) { notify.Namespace(key.Name) }
	t.namespaces.filled = t.reconsider
	c.views = append(c.views, t)
	return t
}

func (t *Target[K]) isSynced() bool {
	return t.services.isSynced() && t.slices.isSynced() && t.endpoints.isSynced() && t.namespaces.isSynced()
}

// WaitSynced waits until the view has read all there is.
func (t *Target[K]) WaitSynced(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) { return t.isSynced(), nil })
	if err != nil {
		return fmt.Errorf("cluster %s: read the pointers: %w", t.cluster.Name(), context.Cause(ctx))
	}
	return nil
}

// Copies gives what is kept of all objects that match the selector and belong to the Service, in no order. It fails until
// all watches of the session are synced.
func (t *Target[K]) Copies(key types.NamespacedName) ([]K, error) {
	if !t.isSynced() {
		return nil, fmt.Errorf("cluster %s: the pointers are not read yet", t.cluster.Name())
	}
	return slices.Concat(t.services.of(key), t.slices.of(key), t.endpoints.of(key)), nil
}

// Keys gives the names of all Services that an object belongs to, in no order.
func (t *Target[K]) Keys() []types.NamespacedName {
	keys := sets.New[types.NamespacedName]()
	t.services.services(keys)
	t.slices.services(keys)
	t.endpoints.services(keys)
	return keys.UnsortedList()
}

// Namespace gives the metadata of a namespace; nil where there is none.
func (t *Target[K]) Namespace(name string) *metav1.ObjectMeta {
	for _, namespace := range t.namespaces.of(types.NamespacedName{Name: name}) {
		return &namespace.ObjectMeta
	}
	return nil
}

// Network gives the IP families that the cluster's Services can have, the default first, and the ranges of their
// addresses as far as they are known.
func (t *Target[K]) Network() ([]corev1.IPFamily, []netip.Prefix) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.families, t.serviceCIDRs
}

func (t *Target[K]) prepare(ctx context.Context, s *session) error {
	for _, store := range []*store[K]{t.services, t.slices, t.endpoints} {
		store.begin()
	}
	t.namespaces.begin()
	return t.refresh(ctx, s)
}

// refresh reads the cluster's Service network. Which pointers there may be, and with which addresses, depends on it.
func (t *Target[K]) refresh(ctx context.Context, s *session) error {
	network, err := readNetwork(ctx, s.client)
	if err != nil {
		return err
	}
	t.mu.Lock()
	changed := !slices.Equal(t.families, network.families) || !slices.Equal(t.serviceCIDRs, network.cidrs)
	t.families, t.serviceCIDRs = network.families, network.cidrs
	t.mu.Unlock()
	if changed {
		t.reconsider()
	}
	return nil
}

// serviceNetwork is what a cluster says of its Services' addresses.
type serviceNetwork struct {
	families []corev1.IPFamily
	cidrs    []netip.Prefix
	// inferred: it doesn't say, and the ranges are a guess.
	inferred bool
}

// readNetwork reads the ServiceCIDRs, which Kubernetes has since 1.33, and else the Service of the API server, which has
// the default family and an address in the default range.
func readNetwork(ctx context.Context, client kubernetes.Interface) (network serviceNetwork, err error) {
	api, err := client.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return network, fmt.Errorf("read service default/kubernetes: %w", err)
	}
	network = serviceNetwork{families: api.Spec.IPFamilies, cidrs: inferredCIDRs(api.Spec.ClusterIPs), inferred: true}
	var list *networkingv1.ServiceCIDRList
	hidden, err := lacksRight(ctx, client, func() (err error) {
		list, err = client.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
		return err
	})
	if hidden || apierrors.IsNotFound(err) {
		return network, nil
	}
	if err != nil {
		return network, fmt.Errorf("list the ServiceCIDRs: %w", err)
	}
	if len(list.Items) > 0 {
		network.cidrs, network.inferred = nil, false
	}
	for _, item := range list.Items {
		for _, text := range item.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return network, fmt.Errorf("ServiceCIDR %s: %w", item.Name, err)
			}
			network.cidrs = append(network.cidrs, prefix)
			if family := familyOf(prefix.Addr()); !slices.Contains(network.families, family) {
				network.families = append(network.families, family)
			}
		}
	}
	return network, nil
}

// inferredCIDRs are the ranges that a cluster's Services are likely to have where it doesn't tell: its API server's own
// Service has an address in the default range, which EKS and kubeadm make a /16 to a /12 and a /108.
func inferredCIDRs(addresses []string) []netip.Prefix {
	var cidrs []netip.Prefix
	for _, text := range addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		bits := 16
		if address.Is6() {
			bits = 108
		}
		prefix, err := address.Prefix(bits)
		if err == nil {
			cidrs = append(cidrs, prefix)
		}
	}
	return cidrs
}

func familyOf(address netip.Addr) corev1.IPFamily {
	if address.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

func (t *Target[K]) reflectors(s *session) []*cache.Reflector {
	core, discovery, selector := s.client.CoreV1().RESTClient(), s.client.DiscoveryV1().RESTClient(), t.selector.String()
	return []*cache.Reflector{
		s.reflector(core, "services", selector, &corev1.Service{}, t.services),
		s.reflector(discovery, "endpointslices", selector, &discoveryv1.EndpointSlice{}, t.slices),
		s.reflector(core, "endpoints", selector, &corev1.Endpoints{}, t.endpoints),
		s.reflector(core, "namespaces", "", &corev1.Namespace{}, t.namespaces),
	}
}
