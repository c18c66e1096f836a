package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"xcc/test/cluster"
)

// finding is one of those of `xcc check -o json`.
type finding struct {
	Category, Level, Cluster, Text, Hint string
}

// findings runs a check, and gives its exit code and what it found that did not pass.
func (p *linkedPair) findings(t *testing.T, kubeconfig string, flags ...string) (int, []finding) {
	t.Helper()
	code, output := p.run(t, kubeconfig, "check", append([]string{"-o", "json"}, flags...)...)
	var report struct{ Findings []finding }
	if err := json.NewDecoder(strings.NewReader(output)).Decode(&report); err != nil {
		t.Fatalf("%v in\n%s", err, output)
	}
	return code, slices.DeleteFunc(report.Findings, func(f finding) bool { return f.Level == "passed" })
}

// wantFinding fails unless one of the findings is of that category and level, and contains a text.
func wantFinding(t *testing.T, found []finding, category, level, text string) {
	t.Helper()
	for _, f := range found {
		if f.Category == category && f.Level == level && strings.Contains(f.Cluster+" "+f.Text, text) {
			if f.Hint == "" {
				t.Errorf("%q has no hint", f.Text)
			}
			return
		}
	}
	t.Errorf("no %s of %s with %q in\n%+v", level, category, text, found)
}

// steady replaces what is different in each run.
func steady(text string) string {
	text = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(text, "UID")
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]+Z`).ReplaceAllString(text, "TIME")
	return regexp.MustCompile(`v1\.\d+\.\d+[-+.0-9a-z]*`).ReplaceAllString(text, "vX.Y.Z")
}

func TestCheck(t *testing.T) {
	p := newLinkedPair(t)
	t.Run("before link, it names every permission that is missing", func(t *testing.T) {
		before := filepath.Join(t.TempDir(), "kubeconfig")
		access := map[*cluster.Cluster]cluster.Access{}
		for _, c := range p.clusters() {
			var err error
			access[c], err = c.ServiceAccount(t.Context(), "default", "default", time.Hour)
			mustBe(t, err)
		}
		mustBe(t, cluster.WriteKubeconfig(before, access[p.north], access[p.south]))
		code, output := p.run(t, before, "check")
		if code != 1 {
			t.Errorf("exit code %d:\n%s", code, output)
		}
		golden(t, "check-unlinked.txt", steady(output))
	})
	p.link(t)
	mustBe(t, p.north.CreateNamespace(t.Context(), "shop", nil))
	mustBe(t, p.south.CreateNamespace(t.Context(), "shop", nil))
	mustBe(t, p.north.CreateNamespace(t.Context(), "lonely", nil))
	w := p.way(t, "shop", p.north, p.south)
	w.create(t, exported("cart"))
	settled(t, p.north, "shop", "cart", w.run(t, "cart", 0, 2))
	createService(t, p.north, "lonely", exported("report"))

	t.Run("it shows all checks, and a Service that can't be mirrored is a warning", func(t *testing.T) {
		for name, flags := range map[string][]string{"check.txt": nil, "check.json": {"-o", "json"}, "check.yaml": {"-o", "yaml"}} {
			golden(t, name, steady(p.does(t, p.linked, "check", flags...)))
		}
		for _, c := range p.clusters() {
			if found, err := find(t.Context(), c, "shop", "cart"); c == p.south && (err != nil || found.Service != nil) {
				t.Errorf("it wrote %v, %v", found.Service, err)
			}
		}
	})

	t.Run("what only an administrator sees, it sees with his contexts", func(t *testing.T) {
		code, found := p.findings(t, p.admin)
		if code != 0 || slices.ContainsFunc(found, func(f finding) bool { return f.Category == "network" }) {
			t.Errorf("%d, %+v", code, found)
		}
	})

	t.Run("both contexts are one cluster", func(t *testing.T) {
		alias := p.north.Admin()
		alias.Context = "south"
		code, found := p.findings(t, writeKubeconfig(t, p.north.Admin(), alias))
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
		wantFinding(t, found, "identity", "failure", "north and south are one cluster")
	})

	t.Run("a cluster that does not answer", func(t *testing.T) {
		code, found := p.findings(t, writeKubeconfig(t, p.north.Admin(), unreachable(p.south.Admin())))
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
		wantFinding(t, found, "identity", "failure", "south can't be asked")
	})

	t.Run("it waits until a missing permission is given", func(t *testing.T) {
		bindings := p.south.Clientset().RbacV1().ClusterRoleBindings()
		mustBe(t, bindings.Delete(t.Context(), "xcc-target-write", metav1.DeleteOptions{}))
		mustBe(t, cluster.Eventually(t.Context(), "the permission counts no more", func(context.Context) error {
			if code, _ := p.findings(t, p.linked); code != 1 {
				return errors.New("it does")
			}
			return nil
		}))
		_, found := p.findings(t, p.linked)
		wantFinding(t, found, "permissions", "failure", "south does not let the token create, update, delete services")
		linked := make(chan struct{})
		go func() {
			defer close(linked)
			p.run(t, p.admin, "link", "--output", p.linked)
		}()
		output := p.does(t, p.linked, "check", "--wait", "1m")
		<-linked
		if !strings.Contains(output, " 0 failures") {
			t.Error(output)
		}
	})

	t.Run("pointers of a cluster that is neither side", func(t *testing.T) {
		object := exported("old")
		object.Labels["fair.com/cross-cluster"] = "follower"
		object.Annotations = map[string]string{"fair.com/origin-cluster": "gone", "fair.com/origin-name": "prod-old", "fair.com/origin-uid": "x"}
		object.Spec.Selector = nil
		// xcc itself is the only one that may make it.
		clientset := clientOf(t, p.linked, "south")
		_, err := clientset.CoreV1().Services("shop").Create(t.Context(), object, metav1.CreateOptions{})
		mustBe(t, err)
		_, found := p.findings(t, p.linked)
		wantFinding(t, found, "leftovers", "warning", "south has 1 pointers from cluster gone (prod-old)")
		mustBe(t, clientset.CoreV1().Services("shop").Delete(t.Context(), "old", metav1.DeleteOptions{}))
	})

	t.Run("a node of one cluster that is a pod of the other", func(t *testing.T) {
		pods, err := p.north.Clientset().CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
		mustBe(t, err)
		nodes := p.south.Clientset().CoreV1().Nodes()
		node, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "twin"}}, metav1.CreateOptions{})
		mustBe(t, err)
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: pods.Items[0].Status.PodIP}}
		_, err = nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
		mustBe(t, err)
		code, found := p.findings(t, p.admin)
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
		wantFinding(t, found, "network", "failure", "overlaps node "+pods.Items[0].Status.PodIP+" of south")
		mustBe(t, nodes.Delete(t.Context(), "twin", metav1.DeleteOptions{}))
	})

	t.Run("--dial says who answers from here", func(t *testing.T) {
		listener, err := net.Listen("tcp", "0.0.0.0:0")
		mustBe(t, err)
		defer listener.Close()
		here := hostAddress(t)
		service := exported("here")
		service.Spec.Selector = nil
		createService(t, p.south, "shop", service)
		port := listener.Addr().(*net.TCPAddr).Port
		_, err = p.south.Clientset().DiscoveryV1().EndpointSlices("shop").Create(t.Context(), &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "here", Labels: map[string]string{
				"fair.com/cross-cluster": "true", discoveryv1.LabelServiceName: "here",
			}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Ports:       []discoveryv1.EndpointPort{{Port: ptr.To(int32(port))}},
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{here}}},
		}, metav1.CreateOptions{})
		mustBe(t, err)
		_, output := p.run(t, p.linked, "check", "--dial")
		if !strings.Contains(output, "√ south answers at 1 of 1 endpoints dialed from here") {
			t.Error(output)
		}
	})
}

// hostAddress is an address of this host that is not loopback: such may be in no EndpointSlice.
func hostAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	mustBe(t, err)
	for _, address := range all {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("this host has no address but loopback")
	return ""
}

// clientOf is a client with one context of a kubeconfig.
func clientOf(t *testing.T, kubeconfig, context string) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	mustBe(t, err)
	client, err := kubernetes.NewForConfig(config)
	mustBe(t, err)
	return client
}
