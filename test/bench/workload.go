package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"golang.org/x/sync/errgroup"
)

// The marks, said a second time: the floor is to do the same work without a line of xcc's code.
const (
	labelExport         = "fair.com/cross-cluster"
	exported            = "true"
	follower            = "follower"
	annotationCluster   = "fair.com/origin-cluster"
	annotationName      = "fair.com/origin-name"
	annotationUID       = "fair.com/origin-uid"
	managedByXCC        = "xcc.fair.com"
	managedByKubernetes = "endpointslice-controller.k8s.io"
)

const (
	// namespacePrefix is that of all namespaces of the Services.
	namespacePrefix = "bench-"
	// namespaces is how many the exported Services are in.
	namespaces = 10
	// sliceSize is how many endpoints Kubernetes puts into one slice.
	sliceSize = 100
	// writers is how many requests are in flight at a time, of the floor as of xcc by default.
	writers = 8
)

// service is one of the Services: all of its objects follow from this.
type service struct {
	namespace, name string
	exported        bool
	// number tells its pods' addresses from those of others; endpoints is how many it has.
	number, endpoints int
}

// exportedService is the nth of the exported Services that are all alike.
func (l *lab) exportedService(n int) service {
	return service{
		namespace: fmt.Sprintf("%s%d", namespacePrefix, n%namespaces), name: fmt.Sprintf("web-%05d", n),
		exported: true, number: n * l.options.Endpoints, endpoints: l.options.Endpoints,
	}
}

// exportedServices are those from one up to another.
func (l *lab) exportedServices(first, end int) []service {
	var all []service
	for n := first; n < end; n++ {
		all = append(all, l.exportedService(n))
	}
	return all
}

// podAddress is the address of a pod, far from what the clusters of the harness give to anything else.
func podAddress(n int) string {
	const first = 10<<24 | 16<<16
	value := first + n
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}).String()
}

// freshAddresses is where the addresses of pods begin that replace another one.
const freshAddresses = 32 << 16

func (s service) labels() map[string]string {
	labels := map[string]string{"app": s.name, "team": "shop"}
	if s.exported {
		labels[labelExport] = exported
	}
	return labels
}

// object is the Service as a user writes it.
func (s service) object() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name, Labels: s.labels()},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": s.name},
			Ports:    []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}

// slices is how many the Service has.
func (s service) slices() int {
	return (s.endpoints + sliceSize - 1) / sliceSize
}

// slice is the nth slice as Kubernetes makes it; the first of its pods has the address given, where one is.
func (s service) slice(n int, replaced string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: fmt.Sprintf("%s-%05d", s.name, n), Labels: s.labels(),
			Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: "2026-01-01T00:00:00Z"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: s.name, UID: fakeUID(s.name), Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080))}},
	}
	slice.Labels[discoveryv1.LabelManagedBy] = managedByKubernetes
	slice.Labels[discoveryv1.LabelServiceName] = s.name
	for i := n * sliceSize; i < min((n+1)*sliceSize, s.endpoints); i++ {
		pod := fmt.Sprintf("%s-%d", s.name, i)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{podAddress(s.number + i)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: s.namespace, Name: pod, UID: fakeUID(pod)},
			NodeName:   new(fmt.Sprintf("node-%d", i%50)),
			Zone:       new("eu-central-1a"),
		})
	}
	if replaced != "" {
		slice.Endpoints[0].Addresses = []string{replaced}
	}
	return slice
}

// fakeUID stands in for an object that nobody looks at.
func fakeUID(name string) types.UID {
	sum := sha256.Sum256([]byte(name))
	text := hex.EncodeToString(sum[:16])
	return types.UID(text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:])
}

// create writes the Service and its slices into a source. Its Endpoints are left out: xcc doesn't read them.
func (s service) create(ctx context.Context, client kubernetes.Interface) error {
	if _, err := client.CoreV1().Services(s.namespace).Create(ctx, s.object(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create service %s/%s: %w", s.namespace, s.name, err)
	}
	for n := range s.slices() {
		if _, err := client.DiscoveryV1().EndpointSlices(s.namespace).Create(ctx, s.slice(n, ""), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the slices of service %s/%s: %w", s.namespace, s.name, err)
		}
	}
	return nil
}

// replacePod gives a pod of one slice another address. Without a resourceVersion the write is unconditional.
func (s service) replacePod(ctx context.Context, client kubernetes.Interface, slice int, address string) error {
	if _, err := client.DiscoveryV1().EndpointSlices(s.namespace).Update(ctx, s.slice(slice, address), metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("replace a pod of service %s/%s: %w", s.namespace, s.name, err)
	}
	return nil
}

// shuffled gives the numbers from first to before last in an order that is the same each time.
func shuffled(first, last int) []int {
	numbers := rand.New(rand.NewPCG(1, 2)).Perm(last - first)
	for i := range numbers {
		numbers[i] += first
	}
	return numbers
}

// inParallel calls do for the numbers from 0 to below count, as many at a time as there are writers.
func inParallel(ctx context.Context, count int, do func(ctx context.Context, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for n := range count {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, n) })
	}
	return group.Wait()
}
