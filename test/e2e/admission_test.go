package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// The annotations that say where a pointer is from. With the label they are the marks.
var originAnnotations = []string{"fair.com/origin-cluster", "fair.com/origin-name", "fair.com/origin-uid"}

// attempt is a request, or a few, that one user makes in a namespace.
type attempt struct {
	sentence string
	do       func(ctx context.Context, client kubernetes.Interface, namespace string) error
}

// admissionPair is a pair of clusters of its own: the others are without the policy that keeps the marks.
type admissionPair struct {
	north, south *cluster.Cluster
	access       map[*cluster.Cluster]cluster.Access
}

func TestAdmission(t *testing.T) {
	p := newAdmissionPair(t)
	t.Run("without the policies", p.missing)
	for _, c := range []*cluster.Cluster{p.north, p.south} {
		for _, file := range []string{"admission-identity.yaml", "admission-marks.yaml"} {
			mustBe(t, daemon.Apply(t.Context(), c.Clientset(), file))
		}
	}
	p.waitForPolicies(t)
	t.Run("the types in the policies are right", p.typesAreRight)
	t.Run("attacks with xcc's identity", p.deniesXCC)
	t.Run("what others do", p.deniesOthers)
	t.Run("what Kubernetes does", p.admitsControllers)
	t.Run("what xcc adds to a Service whose owner asks for it", p.boundsJoins)
	t.Run("what xcc does", p.admitsTheDaemon)
}

// newAdmissionPair starts two clusters that have only the RBAC manifests.
func newAdmissionPair(t *testing.T) *admissionPair {
	t.Helper()
	ctx := t.Context()
	// Besides the harness's controllers, the one that checks the types in policies.
	controllers := "--controllers=endpoints-controller,endpointslice-controller,endpointslice-mirroring-controller,garbage-collector-controller," +
		"namespace-controller,root-ca-certificate-publisher-controller,serviceaccount-controller,serviceaccount-token-controller," +
		"validatingadmissionpolicy-status-controller"
	north, south, err := cluster.StartPair(ctx,
		cluster.Options{Name: "north", Audit: cluster.AuditMetadata},
		cluster.Options{Name: "south", ControllerManagerFlags: []string{controllers}})
	mustBe(t, err)
	t.Cleanup(func() {
		mustBe(t, errors.Join(north.Stop(context.Background()), south.Stop(context.Background())))
	})
	p := &admissionPair{north: north, south: south, access: map[*cluster.Cluster]cluster.Access{}}
	for _, c := range []*cluster.Cluster{north, south} {
		p.access[c], err = daemon.Grant(ctx, c, "namespace.yaml", "rbac-source.yaml", "rbac-target.yaml", "rbac-daemon.yaml")
		mustBe(t, err)
		for _, namespace := range []string{"shop", "from-north", "from-south"} {
			mustBe(t, c.CreateNamespace(ctx, namespace, nil))
		}
	}
	return p
}

// way is one direction, in one of the namespaces that both clusters have.
func (p *admissionPair) way(t *testing.T, namespace string, from, into *cluster.Cluster) *way {
	t.Helper()
	system, err := from.Clientset().CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	mustBe(t, err)
	return &way{from: from, into: into, namespace: namespace, origin: origin{system.UID, from.Name}}
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

func (p *admissionPair) admitsControllers(t *testing.T) {
	t.Run("Kubernetes makes endpoints for a pointer that was given a selector, and xcc may undo it", func(t *testing.T) {
		s := p.newScene(t)
		services := s.tenant.CoreV1().Services(s.namespace)
		mustBe(t, try(t.Context(), services, "ours", selecting("theirs")))
		var native discoveryv1.EndpointSlice
		mustBe(t, cluster.Eventually(t.Context(), "Kubernetes acts on the selector", func(ctx context.Context) error {
			all, err := find(ctx, p.south, s.namespace, "ours")
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all.Slices, func(slice discoveryv1.EndpointSlice) bool {
				return slice.Labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
			})
			if i < 0 || len(all.Slices[i].Endpoints) == 0 {
				return errors.New("there is no slice of it")
			}
			native = all.Slices[i]
			if endpoints := all.Endpoints; len(endpoints.Subsets) != 1 || endpoints.Subsets[0].Addresses[0].IP != native.Endpoints[0].Addresses[0] {
				return errors.New("the Endpoints are as xcc made them")
			}
			return nil
		}))
		if native.Labels["fair.com/cross-cluster"] != "follower" || native.Annotations["fair.com/origin-uid"] != "" {
			t.Errorf("Kubernetes has not copied the labels only: %v %v", native.Labels, native.Annotations)
		}
		mustBe(t, try(t.Context(), s.xcc.CoreV1().Services(s.namespace), "ours", func(s *corev1.Service) { s.Spec.Selector = nil }))
		mustBe(t, s.xcc.DiscoveryV1().EndpointSlices(s.namespace).Delete(t.Context(), native.Name, metav1.DeleteOptions{}))
		mustBe(t, try(t.Context(), s.xcc.CoreV1().Endpoints(s.namespace), "ours", func(e *corev1.Endpoints) {
			*e = *markedEndpoints("ours")
		}))
	})

	t.Run("Kubernetes mirrors Endpoints with all of their marks to slices", func(t *testing.T) {
		s := p.newScene(t)
		mustBe(t, creating(markedService("mirrored"))(t.Context(), s.xcc, s.namespace))
		mustBe(t, creating(markedEndpoints("mirrored", func(e *corev1.Endpoints) {
			delete(e.Labels, "endpointslice.kubernetes.io/skip-mirror")
		}))(t.Context(), s.xcc, s.namespace))
		mustBe(t, cluster.Eventually(t.Context(), "Kubernetes mirrors the Endpoints", func(ctx context.Context) error {
			all, err := find(ctx, p.south, s.namespace, "mirrored")
			if err != nil {
				return err
			}
			if len(all.Slices) != 1 || all.Slices[0].Annotations["fair.com/origin-uid"] == "" {
				return fmt.Errorf("%d slices, or without the marks", len(all.Slices))
			}
			return nil
		}))
	})
}

func (p *admissionPair) boundsJoins(t *testing.T) {
	s := p.newScene(t)
	// The policy learns of the Services in the order in which they are changed: the one that admits something comes last.
	for _, ask := range []struct{ name, mode string }{{"bare", "join"}, {"exported", "jion"}, {"theirs", "failover"}} {
		mustBe(t, try(t.Context(), s.tenant.CoreV1().Services(s.namespace), ask.name, func(service *corev1.Service) {
			service.Annotations = map[string]string{modeAnnotation: ask.mode}
		}))
	}
	mustBe(t, cluster.Eventually(t.Context(), "xcc may add a slice", func(ctx context.Context) error {
		return creating(markedSlice("theirs"))(ctx, s.xcc, s.namespace)
	}))
	s.denied(t, "xcc may not ", s.xcc, "xcc-identity", []attempt{
		{"add a slice to a Service with an unknown mode", creating(markedSlice("exported"))},
		{"add a slice to a Service without a selector", creating(markedSlice("bare"))},
		{"create Endpoints of a Service that is to be joined", creating(markedEndpoints("bare"))},
		{"overwrite Endpoints of a Service that is to be joined", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			_, err := client.CoreV1().Endpoints(namespace).Update(ctx, markedEndpoints("theirs"), metav1.UpdateOptions{})
			return err
		}},
		{"edit a Service that is to be joined", changing("theirs", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })},
		{"edit a slice that Kubernetes made", func(ctx context.Context, client kubernetes.Interface, namespace string) error {
			return try(ctx, client.DiscoveryV1().EndpointSlices(namespace), s.theirSlice, func(slice *discoveryv1.EndpointSlice) { slice.Endpoints = nil })
		}},
	})
}

func (p *admissionPair) admitsTheDaemon(t *testing.T) {
	xcc := startDaemonWith(t, p.access[p.north], p.access[p.south])
	ways := []*way{p.way(t, "from-north", p.north, p.south), p.way(t, "from-south", p.south, p.north)}
	t.Run("it makes, changes, repairs and removes pointers, and is denied nothing", func(t *testing.T) {
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			services := w.into.Clientset().CoreV1().Services(w.namespace)
			pods := w.serving(t, "cart", 2)
			mustBe(t, w.from.SetReady(t.Context(), w.namespace, pods[0].Name, false))
			w.mirrored(t, "cart", addresses(pods[1:]))
			edit(t, services, "cart", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
			w.mirrored(t, "cart", addresses(pods[1:]))
			w.create(t, headless(exported("db")))
			w.mirrored(t, "db", []string{})
			edit(t, services, "cart", selecting("cart"))
			mustBe(t, cluster.Eventually(t.Context(), "the pointer has no selector", func(ctx context.Context) error {
				service, err := services.Get(ctx, "cart", metav1.GetOptions{})
				if err == nil && len(service.Spec.Selector) > 0 {
					err = errors.New("it has")
				}
				return err
			}))
			for _, name := range []string{"cart", "db"} {
				w.delete(t, name)
				w.gone(t, name)
			}
			if denied := w.logLines("", "denied request"); len(denied) > 0 {
				t.Errorf("xcc was denied:\n%s", strings.Join(denied, "\n"))
			}
		})
	})
	t.Run("a pointer that somebody deletes comes back", func(t *testing.T) {
		eachWay(t, xcc, ways, func(t *testing.T, w *way) {
			pods := w.serving(t, "shop", 2)
			mustBe(t, w.into.Clientset().CoreV1().Services(w.namespace).Delete(t.Context(), "shop", metav1.DeleteOptions{}))
			w.mirrored(t, "shop", addresses(pods))
		})
	})
}

// missing shows what a forged pointer does where the policies are not in force.
func (p *admissionPair) missing(t *testing.T) {
	ctx, north, south := t.Context(), p.north, p.south
	w := p.way(t, "shop", north, south)
	w.xcc = startDaemonWith(t, p.access[north], p.access[south])
	system := w.origin.cluster
	ledger := func(ctx context.Context) (map[string]string, error) {
		found, err := south.Clientset().CoreV1().ConfigMaps("xcc").Get(ctx, "xcc-brake-"+string(system), metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return found.Data, nil
	}
	forge := func(t *testing.T, name string) {
		t.Helper()
		for _, object := range []metav1.Object{markedService(name), markedSlice(name), markedEndpoints(name)} {
			annotations := object.GetAnnotations()
			annotations["fair.com/origin-cluster"], annotations["fair.com/origin-uid"] = string(system), "of-nothing"
			mustBe(t, creating(object)(t.Context(), south.Clientset(), "shop"))
		}
	}

	const forged = 12
	pods := w.serving(t, "cart", 2)
	native, err := south.RunPods(ctx, cluster.PodOptions{Namespace: "shop", Name: "theirs", Count: 1, Labels: map[string]string{"app": "theirs"}})
	mustBe(t, err)
	createService(t, south, "shop", plainService("theirs"))
	settled(t, south, "shop", "theirs", native)
	before := contentsOf(t, south, "shop")

	t.Run("a forged pointer is withdrawn like an orphan, after a look at the source, on the brake's account, and nothing else is touched", func(t *testing.T) {
		here, err := north.AuditMark()
		mustBe(t, err)
		forge(t, "forged")
		w.gone(t, "forged")
		events, err := north.Audit(here)
		mustBe(t, err)
		if !slices.ContainsFunc(events, func(e cluster.AuditEvent) bool {
			return e.User == xccUser && e.Verb == "get" && e.Resource == "services" && e.Namespace == "shop" && e.Name == "forged"
		}) {
			t.Error("xcc has not looked for the Service in the source")
		}
		values, err := ledger(t.Context())
		mustBe(t, err)
		if diff := gocmp.Diff(map[string]string{"pointers": "2", "withdrawn": "1", "tripped": "false"}, values); diff != "" {
			t.Errorf("the brake's ledger (-want +got):\n%s", diff)
		}
		if diff := gocmp.Diff(before, contentsOf(t, south, "shop")); diff != "" {
			t.Errorf("what the target had has changed (-before +after):\n%s", diff)
		}
	})

	// Here a forger holds up the withdrawals of all others in this direction. Nothing but the policies prevents that.
	t.Run("more forged pointers than may be withdrawn trip the brake, and pointers still follow their Services", func(t *testing.T) {
		for i := range forged {
			forge(t, fmt.Sprintf("forged-%d", i))
		}
		mustBe(t, cluster.Eventually(t.Context(), "the brake trips", func(ctx context.Context) error {
			values, err := ledger(ctx)
			if err == nil && values["tripped"] != "true" {
				err = fmt.Errorf("%v", values)
			}
			return err
		}))
		if diff := gocmp.Diff(before, contentsOf(t, south, "shop").without("forged-")); diff != "" {
			t.Errorf("what the target had has changed (-before +after):\n%s", diff)
		}
		mustBe(t, north.SetReady(t.Context(), "shop", pods[0].Name, false))
		w.mirrored(t, "cart", addresses(pods[1:]))
	})

	t.Run("the brake is released when the forged pointers are gone", func(t *testing.T) {
		for i := range forged {
			err := south.Clientset().CoreV1().Services("shop").Delete(t.Context(), fmt.Sprintf("forged-%d", i), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		}
		w.delete(t, "cart")
		w.gone(t, "cart")
	})
}

// typesAreRight waits until the API server's side has checked the types in the policies; it must find nothing.
func (p *admissionPair) typesAreRight(t *testing.T) {
	mustBe(t, cluster.Eventually(t.Context(), "the policies are checked", func(ctx context.Context) error {
		policies, err := p.south.Clientset().AdmissionregistrationV1().ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		checked := 0
		for _, policy := range policies.Items {
			if policy.Status.ObservedGeneration == policy.Generation && policy.Status.TypeChecking != nil {
				checked++
				for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
					t.Errorf("%s: %s: %s", policy.Name, warning.FieldRef, warning.Warning)
				}
			}
		}
		if checked != 3 {
			return fmt.Errorf("%d of 3 are", checked)
		}
		return nil
	}))
}

// waitForPolicies waits until all policies are in force in both clusters. Nothing is written: the requests are dry runs.
func (p *admissionPair) waitForPolicies(t *testing.T) {
	t.Helper()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	for c, access := range p.access {
		xcc := clientAs(t, access.RESTConfig(), rest.ImpersonationConfig{}).CoreV1()
		admin := c.Clientset().CoreV1()
		for policy, attack := range map[string]func(context.Context) error{
			"xcc-identity": func(ctx context.Context) error {
				_, err := xcc.Services("default").Create(ctx, plainService("probe"), dryRun)
				return err
			},
			"xcc-identity-endpoints": func(ctx context.Context) error {
				_, err := xcc.Endpoints("default").Create(ctx, markedEndpoints("kubernetes"), dryRun)
				return err
			},
			"xcc-marks": func(ctx context.Context) error {
				_, err := admin.Services("default").Create(ctx, markedService("probe"), dryRun)
				return err
			},
		} {
			mustBe(t, cluster.Eventually(t.Context(), policy+" is in force in "+c.Name, func(ctx context.Context) error {
				return isDenied(attack(ctx), policy)
			}))
		}
	}
}

// isDenied fails unless an error is the refusal of that policy, or of one that completes it and has its name with a suffix:
// where several deny a request, the API server names any of them.
func isDenied(err error, policy string) error {
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy) {
		return fmt.Errorf("not denied by %s, but: %v", policy, err)
	}
	return nil
}

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

// withMarks adds all marks to metadata.
func withMarks(meta metav1.ObjectMeta) metav1.ObjectMeta {
	labels, annotations := maps.Clone(meta.Labels), maps.Clone(meta.Annotations)
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels["fair.com/cross-cluster"] = "follower"
	for _, key := range originAnnotations {
		annotations[key] = "nowhere"
	}
	meta.Labels, meta.Annotations = labels, annotations
	return meta
}

// plainService is a Service as anybody makes it.
func plainService(name string) *corev1.Service {
	service := exported(name)
	service.Labels = nil
	return service
}

// markedService, markedSlice and markedEndpoints are the parts of a pointer.
func markedService(name string, changes ...func(*corev1.Service)) *corev1.Service {
	service := plainService(name)
	service.ObjectMeta = withMarks(service.ObjectMeta)
	service.Spec.Selector = nil
	return changed(service, changes)
}

func markedSlice(service string, changes ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	return changed(&discoveryv1.EndpointSlice{
		ObjectMeta: withMarks(metav1.ObjectMeta{Name: service + "-0123456789abcdef", Labels: map[string]string{
			"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "xcc.fair.com",
		}}),
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.77.9.1"}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(80))}},
	}, changes)
}

func markedEndpoints(name string, changes ...func(*corev1.Endpoints)) *corev1.Endpoints {
	return changed(&corev1.Endpoints{
		ObjectMeta: withMarks(metav1.ObjectMeta{Name: name, Labels: map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"}}),
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: "10.77.9.1"}}, Ports: []corev1.EndpointPort{{Name: "http", Port: 80}},
		}},
	}, changes)
}

func changed[T any](object T, changes []func(T)) T {
	for _, change := range changes {
		change(object)
	}
	return object
}

func selecting(app string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": app} }
}

func ofType(kind corev1.ServiceType) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Type = kind }
}

// creating is the request to create a Service, EndpointSlice or Endpoints.
func creating(object metav1.Object) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) (err error) {
		switch object := object.(type) {
		case *corev1.Service:
			_, err = client.CoreV1().Services(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *discoveryv1.EndpointSlice:
			_, err = client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, object, metav1.CreateOptions{})
		case *corev1.Endpoints:
			_, err = client.CoreV1().Endpoints(namespace).Create(ctx, object, metav1.CreateOptions{})
		}
		return err
	}
}

// changing is the request to change a Service.
func changing(name string, change func(*corev1.Service)) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) error {
		return try(ctx, client.CoreV1().Services(namespace), name, change)
	}
}

// patching is the request to patch a Service.
func patching(name string, kind types.PatchType, patch string, subresources ...string) func(context.Context, kubernetes.Interface, string) error {
	return func(ctx context.Context, client kubernetes.Interface, namespace string) error {
		_, err := client.CoreV1().Services(namespace).Patch(ctx, name, kind, []byte(patch), metav1.PatchOptions{FieldManager: "test"}, subresources...)
		return err
	}
}

// try changes an object as it is, once.
func try[T any](ctx context.Context, objects cluster.Objects[T], name string, change func(T)) error {
	object, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	change(object)
	_, err = objects.Update(ctx, object, metav1.UpdateOptions{})
	return err
}
