package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// noticing is how long anything may take that xcc has to notice by itself, on a machine that is busy with other things.
const noticing = 3 * time.Minute

// exported is a Service without a selector. Its addresses are in a slice that the test makes, so that no controller and no
// pod is needed.
func exported(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"fair.com/cross-cluster": "true"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
}

func headless(service *corev1.Service) *corev1.Service {
	service.Spec.ClusterIP = corev1.ClusterIPNone
	return service
}

// export creates a Service with those addresses.
func (s *side) export(t *testing.T, service *corev1.Service, addresses ...string) *corev1.Service {
	t.Helper()
	mustBe(t, s.tryExport(t.Context(), service, addresses...))
	created, err := s.Clientset().CoreV1().Services(s.rig.namespace).Get(t.Context(), service.Name, metav1.GetOptions{})
	mustBe(t, err)
	return created
}

func (s *side) tryExport(ctx context.Context, service *corev1.Service, addresses ...string) error {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: service.Name, Labels: map[string]string{
			"fair.com/cross-cluster": "true", discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: "test",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   endpointsOf(addresses),
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	// The slice first: xcc then never sees the Service without its addresses.
	if _, err := s.Clientset().DiscoveryV1().EndpointSlices(s.rig.namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := s.Clientset().CoreV1().Services(s.rig.namespace).Create(ctx, service, metav1.CreateOptions{})
	return err
}

func endpointsOf(addresses []string) []discoveryv1.Endpoint {
	endpoints := []discoveryv1.Endpoint{}
	for _, address := range addresses {
		endpoints = append(endpoints, discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}})
	}
	return endpoints
}

// scale gives a Service other addresses.
func (s *side) scale(t *testing.T, name string, addresses ...string) {
	t.Helper()
	edit(t, s.Clientset().DiscoveryV1().EndpointSlices(s.rig.namespace), name, func(slice *discoveryv1.EndpointSlice) {
		slice.Endpoints = endpointsOf(addresses)
	})
}

// edit changes a Service.
func (s *side) edit(t *testing.T, name string, change func(*corev1.Service)) {
	t.Helper()
	edit(t, s.Clientset().CoreV1().Services(s.rig.namespace), name, change)
}

// label sets the export label of a Service; an empty value takes it away.
func (s *side) label(t *testing.T, name, value string) {
	t.Helper()
	s.edit(t, name, func(service *corev1.Service) {
		service.Labels = map[string]string{}
		if value != "" {
			service.Labels["fair.com/cross-cluster"] = value
		}
	})
}

// remove deletes a Service and its slice.
func (s *side) remove(t *testing.T, name string) {
	t.Helper()
	mustBe(t, s.Clientset().CoreV1().Services(s.rig.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
	mustBe(t, s.Clientset().DiscoveryV1().EndpointSlices(s.rig.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

// edit changes an object, whoever else may be changing it.
func edit[T any](t *testing.T, objects cluster.Objects[T], name string, change func(T)) {
	t.Helper()
	mustBe(t, cluster.Edit(t.Context(), objects, name, change))
}

// pointer is what a cluster has under a name, as clients of it see it.
type pointer struct {
	Service                *corev1.Service
	InSlices, InEndpoints  []string // the ready addresses
	Slices, EndpointsCount int
}

// find reads what a cluster has under a name, consistently.
func (s *side) find(ctx context.Context, name string) (found pointer, err error) {
	found.InSlices, found.InEndpoints = []string{}, []string{}
	service, err := s.Clientset().CoreV1().Services(s.rig.namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		found.Service = service
	} else if !apierrors.IsNotFound(err) {
		return found, err
	}
	slicesOf, err := s.Clientset().DiscoveryV1().EndpointSlices(s.rig.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + name,
	})
	if err != nil {
		return found, err
	}
	found.Slices = len(slicesOf.Items)
	for _, slice := range slicesOf.Items {
		for _, endpoint := range slice.Endpoints {
			found.InSlices = append(found.InSlices, endpoint.Addresses...)
		}
	}
	endpoints, err := s.Clientset().CoreV1().Endpoints(s.rig.namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		found.EndpointsCount = 1
		for _, subset := range endpoints.Subsets {
			for _, address := range subset.Addresses {
				found.InEndpoints = append(found.InEndpoints, address.IP)
			}
		}
	} else if !apierrors.IsNotFound(err) {
		return found, err
	}
	slices.Sort(found.InSlices)
	slices.Sort(found.InEndpoints)
	return found, nil
}

// mirrored waits until the other side has the pointer of a Service of this one, with exactly those addresses. It gives the
// pointer's Service.
func (s *side) mirrored(t *testing.T, name string, addresses ...string) *corev1.Service {
	t.Helper()
	var service *corev1.Service
	ctx, cancel := context.WithTimeout(t.Context(), noticing)
	defer cancel()
	what := fmt.Sprintf("%s has the pointer of %s/%s with %v", s.other.Name, s.rig.namespace, name, addresses)
	mustBe(t, cluster.Eventually(ctx, what, func(ctx context.Context) (err error) {
		service, err = s.isMirrored(ctx, name, addresses)
		return err
	}))
	return service
}

func (s *side) isMirrored(ctx context.Context, name string, addresses []string) (*corev1.Service, error) {
	source, err := s.Clientset().CoreV1().Services(s.rig.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	got, err := s.other.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if got.Service == nil {
		return nil, errors.New("there is no Service")
	}
	origin := got.Service.Annotations
	if origin["fair.com/origin-uid"] != string(source.UID) || origin["fair.com/origin-cluster"] != string(s.uid) {
		return nil, fmt.Errorf("it is of another Service: %v, not %s of %s", origin, source.UID, s.uid)
	}
	if (got.Service.Spec.ClusterIP == corev1.ClusterIPNone) != (source.Spec.ClusterIP == corev1.ClusterIPNone) {
		return nil, fmt.Errorf("its cluster IP is %s, the source's is %s", got.Service.Spec.ClusterIP, source.Spec.ClusterIP)
	}
	if got.Service.Spec.Ports[0].Port != source.Spec.Ports[0].Port {
		return nil, fmt.Errorf("its port is %d, the source's is %d", got.Service.Spec.Ports[0].Port, source.Spec.Ports[0].Port)
	}
	want := slices.Sorted(slices.Values(addresses))
	if diff := gocmp.Diff([][]string{want, want}, [][]string{got.InSlices, got.InEndpoints}, nilIsEmpty); diff != "" {
		return nil, fmt.Errorf("addresses in slices and Endpoints (-want +got):\n%s", diff)
	}
	return got.Service, nil
}

var nilIsEmpty = gocmp.Transformer("nilIsEmpty", func(texts []string) string { return strings.Join(texts, ",") })

// stands fails unless the other side has the pointer of a name with those addresses now, whatever this side has.
func (s *side) stands(t *testing.T, name string, addresses ...string) {
	t.Helper()
	got, err := s.other.find(t.Context(), name)
	mustBe(t, err)
	if got.Service == nil || !slices.Equal(got.InSlices, addresses) || !slices.Equal(got.InEndpoints, addresses) {
		t.Errorf("the pointer of %s in %s is %+v, and not as it was", name, s.other.Name, got)
	}
}

// gone waits until the other side has nothing under a name.
func (s *side) gone(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), noticing)
	defer cancel()
	mustBe(t, cluster.Eventually(ctx, fmt.Sprintf("%s has nothing of %s/%s", s.other.Name, s.rig.namespace, name), func(ctx context.Context) error {
		got, err := s.other.find(ctx, name)
		if err == nil && (got.Service != nil || got.Slices > 0 || got.EndpointsCount > 0) {
			err = fmt.Errorf("it has %+v", got)
		}
		return err
	}))
}

// fence returns when xcc has carried out something that it learned after all that came before: this side exports one more
// Service, and the other gets its pointer.
func (s *side) fence(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("fence-%d", lastRig.Add(1))
	address := s.address(int(lastRig.Load()))
	s.export(t, exported(name), address)
	s.mirrored(t, name, address)
}

// address is a pod address of the side's cluster.
func (s *side) address(n int) string {
	number := map[string]int{"prod-east": 1, "prod-west": 2, "hurt-east": 3, "hurt-west": 4}[s.Name]
	return fmt.Sprintf("10.%d.%d.%d", number, 200+n/250, 1+n%250)
}
