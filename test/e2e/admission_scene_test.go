package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"xcc/test/cluster"
)

// scene is a namespace of the cluster south. In it are
//
//	theirs    a Service of somebody with a pod, and what Kubernetes makes for it
//	exported  one that is labelled for export, with no pod
//	bare      one without a selector, and so without endpoints
//	ours      a pointer from a cluster that there is not, so that no daemon minds it
//	stripped  the Service of another such pointer, whose label somebody has removed
type scene struct {
	south       *cluster.Cluster
	namespace   string
	xcc, tenant kubernetes.Interface
	// theirSlice is the name of the slice of theirs.
	theirSlice string
}

func (p *admissionPair) newScene(t *testing.T) *scene {
	t.Helper()
	ctx := t.Context()
	s := &scene{south: p.south, namespace: fmt.Sprintf("test-%d-admission", lastNamespace.Add(1))}
	mustBe(t, p.south.CreateNamespace(ctx, s.namespace, nil))
	t.Cleanup(func() { s.clear(t) })
	s.xcc = clientAs(t, p.access[p.south].RESTConfig(), rest.ImpersonationConfig{})
	s.tenant = s.newTenant(t)

	pods, err := p.south.RunPods(ctx, cluster.PodOptions{Namespace: s.namespace, Name: "theirs", Count: 1, Labels: map[string]string{"app": "theirs"}})
	mustBe(t, err)
	for _, own := range []*corev1.Service{plainService("theirs"), exported("exported"), plainService("bare")} {
		if own.Name == "bare" {
			own.Spec.Selector = nil
		}
		mustBe(t, creating(own)(ctx, s.tenant, s.namespace))
	}
	for _, ours := range []metav1.Object{markedService("ours"), markedSlice("ours"), markedEndpoints("ours"), markedService("stripped")} {
		mustBe(t, creating(ours)(ctx, s.xcc, s.namespace))
	}
	mustBe(t, try(ctx, s.tenant.CoreV1().Services(s.namespace), "stripped", func(s *corev1.Service) { s.Labels = nil }))
	s.theirSlice = settled(t, p.south, s.namespace, "theirs", pods).Slices[0].Name
	settledEmpty := func(ctx context.Context) error {
		all, err := find(ctx, p.south, s.namespace, "exported")
		if err == nil && (all.Endpoints == nil || len(all.Slices) == 0) {
			err = errors.New("there are none")
		}
		return err
	}
	mustBe(t, cluster.Eventually(ctx, "Kubernetes makes empty endpoints", settledEmpty))
	return s
}

// clear removes the pointers: they are from nowhere, and the daemon would say so of each.
func (s *scene) clear(t *testing.T) {
	t.Helper()
	ctx, client := context.Background(), s.south.Clientset()
	followers := metav1.ListOptions{LabelSelector: "fair.com/cross-cluster=follower"}
	services, err := client.CoreV1().Services(s.namespace).List(ctx, metav1.ListOptions{})
	mustBe(t, err)
	for _, service := range services.Items {
		mustBe(t, client.CoreV1().Services(s.namespace).Delete(ctx, service.Name, metav1.DeleteOptions{}))
	}
	mustBe(t, client.CoreV1().Endpoints(s.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, followers))
	mustBe(t, client.DiscoveryV1().EndpointSlices(s.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, followers))
}

// newTenant gives the access of a ServiceAccount that may do anything to Services and endpoints in the namespace.
func (s *scene) newTenant(t *testing.T) kubernetes.Interface {
	t.Helper()
	ctx, client := t.Context(), s.south.Clientset()
	_, err := client.CoreV1().ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "tenant"}}, metav1.CreateOptions{})
	mustBe(t, err)
	_, err = client.RbacV1().Roles(s.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "tenant"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "services/status", "endpoints", "endpoints/restricted"}, Verbs: []string{"*"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"*"}},
	}}, metav1.CreateOptions{})
	mustBe(t, err)
	_, err = client.RbacV1().RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenant"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: "tenant"}},
	}, metav1.CreateOptions{})
	mustBe(t, err)
	access, err := s.south.ServiceAccount(ctx, s.namespace, "tenant", time.Hour)
	mustBe(t, err)
	return clientAs(t, access.RESTConfig(), rest.ImpersonationConfig{})
}

// contents are the namespace itself, and all in it that a pointer could be made of.
type contents struct {
	Namespace *corev1.Namespace
	Services  []corev1.Service
	Slices    []discoveryv1.EndpointSlice
	Endpoints []corev1.Endpoints
}

func contentsOf(t *testing.T, c *cluster.Cluster, name string) contents {
	t.Helper()
	ctx, client := t.Context(), c.Clientset()
	namespace, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	mustBe(t, err)
	services, err := client.CoreV1().Services(name).List(ctx, metav1.ListOptions{})
	mustBe(t, err)
	sliceList, err := client.DiscoveryV1().EndpointSlices(name).List(ctx, metav1.ListOptions{})
	mustBe(t, err)
	endpoints, err := client.CoreV1().Endpoints(name).List(ctx, metav1.ListOptions{})
	mustBe(t, err)
	return contents{namespace, services.Items, sliceList.Items, endpoints.Items}
}

// without leaves out what has a name that begins so.
func (c contents) without(prefix string) contents {
	c.Services = slices.DeleteFunc(c.Services, func(o corev1.Service) bool { return strings.HasPrefix(o.Name, prefix) })
	c.Slices = slices.DeleteFunc(c.Slices, func(o discoveryv1.EndpointSlice) bool { return strings.HasPrefix(o.Name, prefix) })
	c.Endpoints = slices.DeleteFunc(c.Endpoints, func(o corev1.Endpoints) bool { return strings.HasPrefix(o.Name, prefix) })
	return c
}

func clientAs(t *testing.T, config *rest.Config, impersonated rest.ImpersonationConfig) kubernetes.Interface {
	t.Helper()
	config.Impersonate = impersonated
	client, err := kubernetes.NewForConfig(config)
	mustBe(t, err)
	return client
}
