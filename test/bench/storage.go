package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"xcc/test/cluster"
)

// Where an API server keeps the objects of the Services, in the order in which they are to go.
func storedPrefixes() []string {
	return []string{
		"/registry/services/specs/" + namespacePrefix,
		"/registry/endpointslices/" + namespacePrefix,
		"/registry/services/endpoints/" + namespacePrefix,
	}
}

// storage is a cluster's etcd. What is done here costs its API server next to nothing, which the clients under test need
// for themselves: counting objects, taking thousands of them away at the same moment, and replacing pods.
type storage struct {
	client *clientv3.Client
}

func openStorage(c *cluster.Cluster) (storage, error) {
	client, err := c.Etcd.Client()
	return storage{client: client}, err
}

func (s storage) close() error {
	return s.client.Close()
}

// count gives the number of objects under each of the prefixes.
func (s storage) count(ctx context.Context) ([]int64, error) {
	var counts []int64
	for _, prefix := range storedPrefixes() {
		answer, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return nil, fmt.Errorf("count %s in etcd: %w", prefix, err)
		}
		counts = append(counts, answer.Count)
	}
	return counts, nil
}

// wantCount fails unless there are so many Services, slices and Endpoints.
func (s storage) wantCount(ctx context.Context, want ...int64) error {
	counts, err := s.count(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(counts, want) {
		return fmt.Errorf("there are %d Services, slices and Endpoints, not %d", counts, want)
	}
	return nil
}

// emptyInterval is how often awaitEmpty looks. etcd counts by walking through its index, which takes about a millisecond
// for 10,000 keys.
const emptyInterval = 50 * time.Millisecond

// awaitEmpty waits until all objects are gone.
func (s storage) awaitEmpty(ctx context.Context) error {
	ticker := time.NewTicker(emptyInterval)
	defer ticker.Stop()
	for _, prefix := range storedPrefixes() {
		for {
			answer, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				return fmt.Errorf("count %s in etcd: %w", prefix, err)
			}
			if answer.Count == 0 {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%d of %s are left: %w", answer.Count, prefix, ctx.Err())
			case <-ticker.C:
			}
		}
	}
	return nil
}

// stored is one object as it stands in etcd.
type stored struct {
	key, value string
}

// dump reads all objects under some prefixes, in their order.
func (s storage) dump(ctx context.Context, prefixes ...string) ([]stored, error) {
	var all []stored
	for _, prefix := range prefixes {
		from := prefix
		for {
			page, err := s.client.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(1000))
			if err != nil {
				return nil, fmt.Errorf("read %s from etcd: %w", prefix, err)
			}
			for _, pair := range page.Kvs {
				all = append(all, stored{string(pair.Key), string(pair.Value)})
			}
			if !page.More {
				break
			}
			from = all[len(all)-1].key + "\x00"
		}
	}
	return all, nil
}

// remove takes objects away, behind the API server's back: it learns of it as of the deletes of another API server.
func (s storage) remove(ctx context.Context, all []stored) error {
	return s.commit(ctx, all, func(object stored) clientv3.Op { return clientv3.OpDelete(object.key) })
}

// restore puts objects back.
func (s storage) restore(ctx context.Context, all []stored) error {
	return s.commit(ctx, all, func(object stored) clientv3.Op { return clientv3.OpPut(object.key, object.value) })
}

// create writes Services and their slices as an API server would have stored them, but for the Services' virtual IPs.
func (s storage) create(ctx context.Context, services []service) error {
	var all []stored
	for _, s := range services {
		service, err := storedService(s)
		if err != nil {
			return err
		}
		all = append(all, service)
		for n := range s.slices() {
			slice, err := storedSlice(s, n, "")
			if err != nil {
				return err
			}
			all = append(all, slice)
		}
	}
	return s.restore(ctx, all)
}

// replacePod gives a pod of one slice another address.
func (s storage) replacePod(ctx context.Context, of service, slice int, address string) error {
	changed, err := storedSlice(of, slice, address)
	if err != nil {
		return err
	}
	return s.restore(ctx, []stored{changed})
}

func storedService(s service) (stored, error) {
	service := s.object()
	service.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	service.UID, service.CreationTimestamp = fakeUID(s.name), metav1.Now()
	service.Spec.Type, service.Spec.SessionAffinity = corev1.ServiceTypeClusterIP, corev1.ServiceAffinityNone
	service.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyCluster)
	service.Spec.IPFamilies, service.Spec.IPFamilyPolicy = []corev1.IPFamily{corev1.IPv4Protocol}, new(corev1.IPFamilyPolicySingleStack)
	return asStored("/registry/services/specs/"+s.namespace+"/"+s.name, service)
}

// storedSlice is that of [service.slice].
func storedSlice(s service, n int, replaced string) (stored, error) {
	slice := s.slice(n, replaced)
	slice.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	slice.UID, slice.CreationTimestamp, slice.Generation = fakeUID(slice.Name), metav1.Now(), 1
	return asStored("/registry/endpointslices/"+s.namespace+"/"+slice.Name, slice)
}

func asStored(key string, object runtime.Object) (stored, error) {
	var value bytes.Buffer
	err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, &value)
	return stored{key, value.String()}, err
}

// commit gives each object a revision of its own, as an API server does: a watch that is taken up again at a revision
// would miss what else has the same one.
func (s storage) commit(ctx context.Context, all []stored, operation func(stored) clientv3.Op) error {
	return inParallel(ctx, len(all), func(ctx context.Context, n int) error {
		if _, err := s.client.Do(ctx, operation(all[n])); err != nil {
			return fmt.Errorf("write %s to etcd: %w", all[n].key, err)
		}
		return nil
	})
}
