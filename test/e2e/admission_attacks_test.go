package e2e

import (
	"context"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// attempt is a request, or a few, that one user makes in a namespace.
type attempt struct {
	sentence string
	do       func(ctx context.Context, client kubernetes.Interface, namespace string) error
}

func (p *admissionPair) deniesXCC(t *testing.T) {
	s := p.newScene(t)
	type service = corev1.Service

	// With the token, as somebody would who has stolen it.
	token := map[string][]attempt{"xcc-identity": {
		{"edit a foreign Service", changing("theirs", func(s *service) { s.Spec.Ports[0].Port = 8080 })},
		{"adopt a foreign Service by giving it all marks", changing("theirs", func(s *service) {
			s.ObjectMeta = withMarks(s.ObjectMeta)
			s.Spec.Selector = nil
		})},
		{"delete a foreign Service", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return client.CoreV1().Services(namespace).Delete(ctx, "theirs", metav1.DeleteOptions{})
		}},
		{"overwrite foreign Endpoints", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			_, err := client.CoreV1().Endpoints(namespace).Update(ctx, markedEndpoints("theirs"), metav1.UpdateOptions{})
			return err
		}},
		{"delete foreign Endpoints", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return client.CoreV1().Endpoints(namespace).Delete(ctx, "theirs", metav1.DeleteOptions{})
		}},
		{"overwrite a foreign EndpointSlice", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), s.theirSlice, func(slice *discoveryv1.EndpointSlice) {
				marked := markedSlice("theirs")
				marked.Name, marked.ResourceVersion = slice.Name, slice.ResourceVersion
				*slice = *marked
			})
		}},
		{"delete a foreign EndpointSlice", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return client.DiscoveryV1().EndpointSlices(namespace).Delete(ctx, s.theirSlice, metav1.DeleteOptions{})
		}},
		{"create a Service without marks", creating(plainService("new"))},
		{"create a Service without marks by an update", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			_, err := client.CoreV1().Services(namespace).Update(ctx, plainService("new"), metav1.UpdateOptions{})
			return err
		}},
		{"create a Service without the follower label", creating(markedService("new", func(s *service) { s.Labels = nil }))},
		{"create a Service that is labelled for export", creating(markedService("new", func(s *service) { s.Labels["fair.com/cross-cluster"] = "true" }))},
		{"create a Service with a selector", creating(markedService("new", selecting("theirs")))},
		{"create a Service with external IPs", creating(markedService("new", func(s *service) { s.Spec.ExternalIPs = []string{"203.0.113.7"} }))},
		{"create a NodePort Service", creating(markedService("new", ofType(corev1.ServiceTypeNodePort)))},
		{"create a LoadBalancer", creating(markedService("new", ofType(corev1.ServiceTypeLoadBalancer)))},
		{"create an ExternalName", creating(markedService("new", func(s *service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		}))},
		{"create Endpoints without marks", creating(&corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "new"}})},
		{"create an EndpointSlice that is managed by nobody", creating(markedSlice("ours", func(s *discoveryv1.EndpointSlice) {
			s.Name = "new"
			delete(s.Labels, "endpointslice.kubernetes.io/managed-by")
		}))},
		{"create an EndpointSlice that is managed by Kubernetes", creating(markedSlice("ours", func(s *discoveryv1.EndpointSlice) {
			s.Name, s.Labels["endpointslice.kubernetes.io/managed-by"] = "new", "endpointslice-controller.k8s.io"
		}))},
		{"give its own pointer a selector", changing("ours", selecting("theirs"))},
		{"give its own pointer external IPs", changing("ours", func(s *service) { s.Spec.ExternalIPs = []string{"203.0.113.7"} })},
		{"make its own pointer a LoadBalancer", changing("ours", ofType(corev1.ServiceTypeLoadBalancer))},
		{"take the marks off its own pointer", changing("ours", func(s *service) { s.Labels, s.Annotations = nil, nil })},
		{"create a pointer in kube-system", func(ctx context.Context, client kubernetes.Interface, _ string) error {
			return creating(markedService("new"))(ctx, client, metav1.NamespaceSystem)
		}},
	}, "xcc-identity-endpoints": {
		{"create an EndpointSlice for a foreign Service", creating(markedSlice("theirs"))},
		{"create Endpoints for a foreign Service that has none", creating(markedEndpoints("bare"))},
		{"give an EndpointSlice of its own to a foreign Service", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), markedSlice("ours").Name, func(slice *discoveryv1.EndpointSlice) {
				slice.Labels["kubernetes.io/service-name"] = "theirs"
			})
		}},
	}}
	for _, key := range originAnnotations {
		token["xcc-identity"] = append(token["xcc-identity"],
			attempt{"create a Service without the annotation " + key, creating(markedService("new", func(s *service) { delete(s.Annotations, key) }))},
			attempt{"create a Service with nothing in the annotation " + key, creating(markedService("new", func(s *service) { s.Annotations[key] = "" }))},
			attempt{"create Endpoints without the annotation " + key, creating(markedEndpoints("new", func(e *corev1.Endpoints) { delete(e.Annotations, key) }))},
		)
	}
	for policy, attempts := range token {
		s.denied(t, "xcc may not ", s.xcc, policy, attempts)
	}

	// With any right that RBAC could give, should somebody give it.
	almighty := clientAs(t, p.south.RESTConfig(), rest.ImpersonationConfig{UserName: xccUser, Groups: []string{"system:masters"}})
	namespaces := almighty.CoreV1().Namespaces()
	s.denied(t, "xcc may not, though RBAC let it, ", almighty, "xcc-identity", []attempt{
		{"patch a foreign Service", patching("theirs", types.MergePatchType, `{"spec":{"sessionAffinity":"ClientIP"}}`)},
		{"write the status of a foreign Service", patching("theirs", types.MergePatchType, `{"metadata":{"labels":{"fair.com/cross-cluster":"follower"}}}`, "status")},
		{"delete foreign Services by the dozen", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return almighty.DiscoveryV1().EndpointSlices(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name=" + s.theirSlice})
		}},
		{"label a namespace", func(ctx context.Context, _ kubernetes.Interface, namespace string) error {
			return try(ctx, namespaces, namespace, func(n *corev1.Namespace) { n.Labels["fair.com/cross-cluster"] = "false" })
		}},
		{"delete a namespace", func(ctx context.Context, _ kubernetes.Interface, namespace string) error {
			return namespaces.Delete(ctx, namespace, metav1.DeleteOptions{})
		}},
		{"create a namespace of Kubernetes", func(ctx context.Context, _ kubernetes.Interface, _ string) error {
			_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-new"}}, metav1.CreateOptions{})
			return err
		}},
	})
	t.Run("xcc may create a namespace", func(t *testing.T) {
		_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-more"}}, metav1.CreateOptions{})
		mustBe(t, err)
	})
}

func (p *admissionPair) deniesOthers(t *testing.T) {
	s := p.newScene(t)
	type service = corev1.Service
	applied := `{"apiVersion":"v1","kind":"Service","metadata":{"name":"theirs","labels":{"fair.com/cross-cluster":"follower"}}}`
	label := `{"metadata":{"labels":{"fair.com/cross-cluster":"follower"}}}`
	forgeries := []attempt{
		{"create a forged Service", creating(markedService("new"))},
		{"create a forged EndpointSlice", creating(markedSlice("theirs"))},
		{"create forged Endpoints", creating(markedEndpoints("new"))},
		{"create a forged Service by an update", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			_, err := client.CoreV1().Services(namespace).Update(ctx, markedService("new"), metav1.UpdateOptions{})
			return err
		}},
		{"create a Service with the follower label alone", creating(markedService("new", func(s *service) { s.Annotations = nil }))},
		{"put all marks on a Service of their own", changing("theirs", func(s *service) { s.ObjectMeta = withMarks(s.ObjectMeta) })},
		{"put the follower label on a Service that they export", changing("exported", func(s *service) { s.Labels["fair.com/cross-cluster"] = "follower" })},
		{"patch the follower label onto a Service", patching("theirs", types.StrategicMergePatchType, label)},
		{"apply the follower label to a Service", patching("theirs", types.ApplyPatchType, applied)},
		{"put the follower label on a Service by way of its status", patching("theirs", types.MergePatchType, label, "status")},
		{"put the follower label back on a pointer that lost it", changing("stripped", func(s *service) { s.Labels = map[string]string{"fair.com/cross-cluster": "follower"} })},
		{"label a slice of their own", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), s.theirSlice, func(slice *discoveryv1.EndpointSlice) { slice.ObjectMeta = withMarks(slice.ObjectMeta) })
		}},
	}
	for _, key := range originAnnotations {
		forgeries = append(forgeries,
			attempt{"create a Service with the annotation " + key + " alone", creating(markedService("new", func(s *service) {
				s.Labels, s.Annotations = nil, map[string]string{key: s.Annotations[key]}
			}))},
			attempt{"put the annotation " + key + " on a Service of their own", changing("theirs", func(s *service) {
				s.Annotations = map[string]string{key: "forged"}
			})},
			attempt{"change the annotation " + key + " of a pointer", changing("ours", func(s *service) { s.Annotations[key] = "forged" })},
		)
	}
	harmless := []attempt{
		{"create a Service", creating(plainService("new"))},
		{"create a Service and export it", creating(exported("new"))},
		{"export a Service that is there", changing("theirs", func(s *service) { s.Labels = exported("").Labels })},
		{"stop exporting a Service", changing("exported", func(s *service) { s.Labels = nil })},
		{"edit the ports of a pointer", changing("ours", func(s *service) { s.Spec.Ports[0].Port = 8080 })},
		{"give a pointer a selector", changing("ours", selecting("theirs"))},
		{"make a pointer a LoadBalancer", changing("ours", ofType(corev1.ServiceTypeLoadBalancer))},
		{"write the status of a pointer", patching("ours", types.MergePatchType, `{"metadata":{"annotations":{"seen":"yes"}}}`, "status")},
		{"label a pointer for export", changing("ours", func(s *service) { s.Labels["fair.com/cross-cluster"] = "true" })},
		{"take the label off a pointer", changing("ours", func(s *service) { s.Labels = nil })},
		{"take the annotations off a pointer", changing("ours", func(s *service) { s.Annotations = nil })},
		{"edit the addresses of a pointer", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.CoreV1().Endpoints(namespace), "ours", func(e *corev1.Endpoints) { e.Subsets = nil })
		}},
		{"edit a slice of a pointer", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), markedSlice("ours").Name, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
		}},
		{"delete a pointer", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return client.CoreV1().Services(namespace).Delete(ctx, "ours", metav1.DeleteOptions{})
		}},
	}
	users := map[string]func(*scene) kubernetes.Interface{
		"a tenant":         func(s *scene) kubernetes.Interface { return s.tenant },
		"an administrator": func(*scene) kubernetes.Interface { return p.south.Clientset() },
	}
	for who, client := range users {
		s.denied(t, who+" may not ", client(s), "xcc-marks", forgeries)
		for _, a := range harmless {
			t.Run(who+" may "+a.sentence, func(t *testing.T) {
				t.Parallel()
				s := p.newScene(t)
				mustBe(t, a.do(t.Context(), client(s), s.namespace))
			})
		}
	}
}

// denied makes the attempts, each of which that policy must deny, and after each of which all must be as it was.
func (s *scene) denied(t *testing.T, who string, client kubernetes.Interface, policy string, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		t.Run(who+a.sentence, func(t *testing.T) {
			before := contentsOf(t, s.south, s.namespace)
			mustBe(t, isDenied(a.do(t.Context(), client, s.namespace), policy))
			if diff := gocmp.Diff(before, contentsOf(t, s.south, s.namespace)); diff != "" {
				t.Errorf("it has left a trace (-before +after):\n%s", diff)
			}
		})
	}
}
