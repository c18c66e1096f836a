package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"xcc/test/cluster"
)

// binary is the control plane, built once for all tests of the package.
var binary string

func TestMain(m *testing.M) {
	var err error
	if binary, err = cluster.Build(context.Background(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if parentMain() {
		return
	}
	os.Exit(m.Run())
}

// startPair boots two clusters for one test.
func startPair(t *testing.T) (east, west *cluster.Cluster) {
	t.Helper()
	started := time.Now()
	east, west, err := cluster.StartPair(t.Context(),
		cluster.Options{Name: "prod-east", Binary: binary, Audit: cluster.AuditRequestResponse},
		cluster.Options{Name: "prod-west", Binary: binary, DualStack: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("booted both in %s", time.Since(started).Round(time.Millisecond))
	t.Cleanup(func() {
		for _, c := range []*cluster.Cluster{east, west} {
			if err := c.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(c.Directory()); !os.IsNotExist(err) {
				t.Errorf("the directory of %s is still there: %v", c.Name, err)
			}
		}
	})
	return east, west
}

func TestPodsArriveInEndpointSlicesAndEndpoints(t *testing.T) {
	east, west := startPair(t)
	for _, c := range []*cluster.Cluster{east, west} {
		t.Run(c.Name, func(t *testing.T) {
			mustBe(t, c.CreateNamespace(t.Context(), "shop", nil))
			createService(t, c, "shop", "cart")
			pods, err := c.RunPods(t.Context(), cluster.PodOptions{Namespace: "shop", Name: "cart", Count: 3, Labels: selector("cart")})
			mustBe(t, err)
			waitAddresses(t, c, "shop", "cart", podIPs(pods, 0, 1, 2))

			mustBe(t, c.SetReady(t.Context(), "shop", "cart-1", false))
			waitAddresses(t, c, "shop", "cart", podIPs(pods, 0, 2))

			mustBe(t, c.TerminatePod(t.Context(), "shop", "cart-2"))
			waitAddresses(t, c, "shop", "cart", podIPs(pods, 0))
			if pod := getPod(t, c, "shop", "cart-2"); pod.DeletionTimestamp == nil {
				t.Error("a terminating pod has no deletion timestamp")
			}
			mustBe(t, c.DeletePod(t.Context(), "shop", "cart-2"))
			mustBe(t, c.SetReady(t.Context(), "shop", "cart-1", true))
			waitAddresses(t, c, "shop", "cart", podIPs(pods, 0, 1))
		})
	}

	t.Run("the audit log says who wrote the slices", func(t *testing.T) {
		mustBe(t, cluster.Eventually(t.Context(), "the creation is recorded", func(context.Context) error {
			events, err := east.Audit(0)
			if err != nil {
				return err
			}
			const controller = "system:serviceaccount:kube-system:endpointslice-controller"
			for _, event := range events {
				if event.User == controller && event.Verb == "create" && event.Resource == "endpointslices" &&
					event.Namespace == "shop" && event.Code == 201 && len(event.RequestObject) > 0 {
					return nil
				}
			}
			return fmt.Errorf("not among %d events", len(events))
		}))
	})

	t.Run("each context of a kubeconfig is who it should be", func(t *testing.T) {
		access, err := east.ServiceAccount(t.Context(), "shop", "default", time.Hour)
		mustBe(t, err)
		file := filepath.Join(t.TempDir(), "kubeconfig")
		mustBe(t, cluster.WriteKubeconfig(file, access, west.Admin()))
		got := map[string]string{"prod-east": userOf(t, file, "prod-east"), "prod-west": userOf(t, file, "prod-west")}
		want := map[string]string{"prod-east": "system:serviceaccount:shop:default", "prod-west": "admin"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("users by context (-want +got):\n%s", diff)
		}
	})
	t.Run("someone without credentials may ask for the health and nothing else", func(t *testing.T) {
		stranger := east.Admin()
		stranger.ClientCertificate, stranger.ClientKey = nil, nil
		clientset, err := kubernetes.NewForConfig(stranger.RESTConfig())
		mustBe(t, err)
		if _, err := clientset.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context()); err != nil {
			t.Errorf("health: %v", err)
		}
		if _, err := clientset.Discovery().ServerVersion(); !apierrors.IsUnauthorized(err) {
			t.Errorf("version: %v, not 401", err)
		}
	})
	t.Run("pods of a dual-stack cluster have an address of each family", func(t *testing.T) {
		pods, err := west.RunPods(t.Context(), cluster.PodOptions{Namespace: "shop", Name: "both", Count: 1})
		mustBe(t, err)
		want := []corev1.PodIP{{IP: "10.2.0.4"}, {IP: "fd00:10:2::4"}}
		if diff := cmp.Diff(want, pods[0].Status.PodIPs); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
	})
}

func TestProcessesGoAndComeBack(t *testing.T) {
	east, _ := startPair(t)
	mustBe(t, east.CreateNamespace(t.Context(), "before", nil))
	backup := filepath.Join(t.TempDir(), "backup.db")
	mustBe(t, east.Etcd.Snapshot(t.Context(), backup))
	before := resourceVersion(t, east)

	t.Run("a killed API server has the same address and data again", func(t *testing.T) {
		mustBe(t, east.APIServer.Kill())
		if east.APIServer.Running() {
			t.Error("a killed process is said to run")
		}
		mustBe(t, east.APIServer.Start(t.Context()))
		mustBe(t, east.CreateNamespace(t.Context(), "after", nil))
	})
	t.Run("a stopped one too, with other flags", func(t *testing.T) {
		mustBe(t, east.APIServer.Stop(t.Context()))
		mustBe(t, east.APIServer.Start(t.Context(), "--max-requests-inflight=3000"))
	})
	t.Run("a paused one does not answer until it is resumed", func(t *testing.T) {
		mustBe(t, east.APIServer.Pause())
		soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := east.Clientset().CoreV1().Namespaces().Get(soon, "before", metav1.GetOptions{}); err == nil {
			t.Error("a paused API server answers")
		}
		mustBe(t, east.APIServer.Resume())
		resourceVersion(t, east)
	})
	t.Run("a second one serves the same data", func(t *testing.T) {
		second, err := east.AddAPIServer(t.Context(), cluster.APIServerOptions{})
		mustBe(t, err)
		mustBe(t, second.Stop(t.Context()))
	})
	t.Run("compaction names the latest revision", func(t *testing.T) {
		revision, err := east.Etcd.Compact(t.Context())
		mustBe(t, err)
		if revision <= before {
			t.Errorf("compacted at revision %d, which is before %d", revision, before)
		}
	})
	t.Run("a restored snapshot lacks what came after it, and revisions go backwards", func(t *testing.T) {
		latest := resourceVersion(t, east)
		mustBe(t, east.Restore(t.Context(), backup, 0))
		if restored := resourceVersion(t, east); restored >= latest {
			t.Errorf("revision %d after the restore is not before %d", restored, latest)
		}
		if _, err := east.Clientset().CoreV1().Namespaces().Get(t.Context(), "after", metav1.GetOptions{}); err == nil {
			t.Error("what was created after the snapshot is there")
		}
	})
	t.Run("restored with a bumped revision, they go forwards", func(t *testing.T) {
		latest := resourceVersion(t, east)
		mustBe(t, east.Restore(t.Context(), backup, 1_000_000))
		if restored := resourceVersion(t, east); restored < latest+900_000 {
			t.Errorf("revision %d after the restore is not well after %d", restored, latest)
		}
		mustBe(t, east.CreateNamespace(t.Context(), "after", nil))
	})
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func selector(app string) map[string]string { return map[string]string{"app": app} }

func createService(t *testing.T, c *cluster.Cluster, namespace, name string) {
	t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector(name), Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	_, err := c.Clientset().CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
	mustBe(t, err)
}

// waitAddresses waits until the ready addresses of a Service are exactly those, in its slices and in its Endpoints.
func waitAddresses(t *testing.T, c *cluster.Cluster, namespace, name string, want []string) {
	t.Helper()
	what := fmt.Sprintf("the ready addresses of %s/%s in %s are %v", namespace, name, c.Name, want)
	mustBe(t, cluster.Eventually(t.Context(), what, func(ctx context.Context) error {
		list, err := c.Clientset().DiscoveryV1().EndpointSlices(namespace).List(ctx,
			metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name})
		if err != nil {
			return err
		}
		var inSlices []string
		for _, slice := range list.Items {
			for _, endpoint := range slice.Endpoints {
				if *endpoint.Conditions.Ready {
					inSlices = append(inSlices, endpoint.Addresses...)
				}
			}
		}
		endpoints, err := c.Clientset().CoreV1().Endpoints(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var inEndpoints []string
		for _, subset := range endpoints.Subsets {
			for _, address := range subset.Addresses {
				inEndpoints = append(inEndpoints, address.IP)
			}
		}
		slices.Sort(inSlices)
		slices.Sort(inEndpoints)
		if !slices.Equal(inSlices, want) || !slices.Equal(inEndpoints, want) {
			return fmt.Errorf("in slices %v, in Endpoints %v", inSlices, inEndpoints)
		}
		return nil
	}))
}

// podIPs are the sorted addresses of some of the pods.
func podIPs(pods []corev1.Pod, chosen ...int) []string {
	addresses := make([]string, len(chosen))
	for i, n := range chosen {
		addresses[i] = pods[n].Status.PodIP
	}
	slices.Sort(addresses)
	return addresses
}

func getPod(t *testing.T, c *cluster.Cluster, namespace, name string) *corev1.Pod {
	t.Helper()
	pod, err := c.Clientset().CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	mustBe(t, err)
	return pod
}

// userOf is who the API server takes the user of a context for.
func userOf(t *testing.T, kubeconfig, context string) string {
	t.Helper()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: context},
	).ClientConfig()
	mustBe(t, err)
	clientset, err := kubernetes.NewForConfig(config)
	mustBe(t, err)
	review, err := clientset.AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	mustBe(t, err)
	return review.Status.UserInfo.Username
}

// resourceVersion is that of the cluster's latest change.
func resourceVersion(t *testing.T, c *cluster.Cluster) int64 {
	t.Helper()
	var revision int64
	list, err := c.Clientset().CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	mustBe(t, err)
	_, err = fmt.Sscan(list.ResourceVersion, &revision)
	mustBe(t, err)
	return revision
}
