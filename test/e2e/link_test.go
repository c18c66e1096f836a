package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// linkedPair is a pair of clusters of its own, that nobody gave xcc an identity in.
type linkedPair struct {
	north, south *cluster.Cluster
	// admin is a kubeconfig with an administrator's contexts, linked the one that link writes.
	admin, linked string
}

func newLinkedPair(t *testing.T) *linkedPair {
	t.Helper()
	north, south, err := cluster.StartPair(t.Context(), cluster.Options{Name: "north"}, cluster.Options{Name: "south"})
	mustBe(t, err)
	t.Cleanup(func() {
		mustBe(t, errors.Join(north.Stop(context.Background()), south.Stop(context.Background())))
	})
	return &linkedPair{
		north: north, south: south,
		admin: writeKubeconfig(t, north.Admin(), south.Admin()), linked: filepath.Join(t.TempDir(), "xcc.kubeconfig"),
	}
}

func (p *linkedPair) clusters() []*cluster.Cluster { return []*cluster.Cluster{p.north, p.south} }

// run runs a command with a kubeconfig, and gives its exit code and output.
func (p *linkedPair) run(t *testing.T, kubeconfig, command string, arguments ...string) (int, string) {
	t.Helper()
	return runXCC(t, nil, append([]string{command, "--kubeconfig", kubeconfig, "--context-a", "north", "--context-b", "south"}, arguments...)...)
}

// does is run of a command that must succeed.
func (p *linkedPair) does(t *testing.T, kubeconfig, command string, arguments ...string) string {
	t.Helper()
	code, output := p.run(t, kubeconfig, command, arguments...)
	if code != 0 {
		t.Fatalf("xcc %s exited with %d:\n%s", command, code, output)
	}
	return output
}

func (p *linkedPair) link(t *testing.T, flags ...string) string {
	t.Helper()
	return p.does(t, p.admin, "link", append([]string{"--output", p.linked}, flags...)...)
}

func (p *linkedPair) unlink(t *testing.T, flags ...string) string {
	t.Helper()
	return p.does(t, p.admin, "unlink", append([]string{"--yes"}, flags...)...)
}

// way is one direction, in a namespace that both clusters have.
func (p *linkedPair) way(t *testing.T, namespace string, from, into *cluster.Cluster) *way {
	t.Helper()
	system, err := from.Clientset().CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	mustBe(t, err)
	return &way{from: from, into: into, namespace: namespace, origin: origin{system.UID, from.Name}}
}

func TestLink(t *testing.T) {
	p := newLinkedPair(t)
	for _, c := range p.clusters() {
		mustBe(t, c.CreateNamespace(t.Context(), "shop", nil))
	}
	ways := []*way{p.way(t, "shop", p.north, p.south), p.way(t, "shop", p.south, p.north)}
	for _, w := range ways {
		for name, annotations := range map[string]map[string]string{"from-" + w.from.Name: nil, "cart": {modeAnnotation: "join"}} {
			service := exported(name)
			service.Annotations = annotations
			w.create(t, service)
			settled(t, w.from, w.namespace, name, w.run(t, name, 0, 2))
		}
	}
	before := p.dump(t)

	t.Run("it gives the identity, and writes a kubeconfig that holds nothing else", func(t *testing.T) {
		output := p.link(t)
		golden(t, "link.txt", strings.ReplaceAll(output, p.linked, "xcc.kubeconfig"))
		info, err := os.Stat(p.linked)
		mustBe(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %o", info.Mode().Perm())
		}
		config, err := clientcmd.LoadFromFile(p.linked)
		mustBe(t, err)
		for name, user := range config.AuthInfos {
			if user.Token == "" || strings.Contains(output, user.Token) {
				t.Errorf("%s has no token, or it was shown", name)
			}
			if len(user.ClientKeyData)+len(user.ClientCertificateData) > 0 || user.Exec != nil {
				t.Errorf("%s holds something of the administrator's", name)
			}
		}
		if len(config.Contexts) != 2 || config.Contexts["north"] == nil || config.Contexts["south"] == nil {
			t.Errorf("contexts %v", config.Contexts)
		}
	})

	granted := p.dump(t)

	t.Run("a second time, all is unchanged", func(t *testing.T) {
		file, err := os.Stat(p.linked)
		mustBe(t, err)
		for _, line := range lines(p.link(t)) {
			if !strings.HasSuffix(line, " unchanged") {
				t.Error(line)
			}
		}
		same, err := os.Stat(p.linked)
		mustBe(t, err)
		if !os.SameFile(file, same) {
			t.Error("the kubeconfig was written again")
		}
		wantSame(t, granted, p.dump(t))
	})

	t.Run("a file that is not xcc's is not overwritten, and no cluster touched", func(t *testing.T) {
		content, err := os.ReadFile(p.admin)
		mustBe(t, err)
		code, output := p.run(t, p.admin, "link", "--output", p.admin)
		wantOneLine(t, code, output, "--output", p.admin)
		same, err := os.ReadFile(p.admin)
		mustBe(t, err)
		if !bytes.Equal(content, same) {
			t.Error("it was overwritten")
		}
	})

	t.Run("a side that is only a source may only read, and a wider link widens again", func(t *testing.T) {
		output := p.link(t, "--direction", "a-to-b")
		for _, line := range []string{"north: clusterrole xcc-target-write removed", "north: rolebinding xcc/xcc-daemon removed", "south: clusterrole xcc-target-write unchanged"} {
			if !strings.Contains(output, line+"\n") {
				t.Errorf("no %q in\n%s", line, output)
			}
		}
		p.link(t)
	})

	t.Run("new tokens take the place of the old", func(t *testing.T) {
		old, err := os.ReadFile(p.linked)
		mustBe(t, err)
		output := p.link(t, "--rotate")
		if !strings.Contains(output, "secret xcc/xcc-token created") || !strings.HasSuffix(output, "written\n") {
			t.Error(output)
		}
		file := filepath.Join(t.TempDir(), "old")
		mustBe(t, os.WriteFile(file, old, 0o600))
		mustBe(t, cluster.Eventually(t.Context(), "the old token ends", func(context.Context) error {
			if code, _ := p.run(t, file, "sync", "--once"); code == 0 {
				return errors.New("it works")
			}
			return nil
		}))
	})

	t.Run("xcc sync works with the kubeconfig", func(t *testing.T) {
		p.does(t, p.linked, "sync", "--once")
		for _, w := range ways {
			found, err := find(t.Context(), w.into, w.namespace, "from-"+w.from.Name)
			mustBe(t, err)
			if len(found.readyAddresses()) != 2 {
				t.Errorf("%s has %v", w.into.Name, found.readyAddresses())
			}
			joined, err := find(t.Context(), w.into, w.namespace, "cart")
			mustBe(t, err)
			if len(joined.readyAddresses()) != 4 {
				t.Errorf("of both clusters, %s has %v", w.into.Name, joined.readyAddresses())
			}
		}
	})

	t.Run("unlink asks first", func(t *testing.T) {
		code, output := p.run(t, p.admin, "unlink")
		wantOneLine(t, code, output, "--yes")
	})

	t.Run("unlink leaves both clusters as they were", func(t *testing.T) {
		golden(t, "unlink.txt", p.unlink(t))
		p.eventuallySame(t, before)
	})

	t.Run("what --print writes is the same as what link gives", func(t *testing.T) {
		for _, c := range p.clusters() {
			_, text := runXCC(t, nil, "link", "--print", "--side", map[*cluster.Cluster]string{p.north: "A", p.south: "b"}[c])
			applyYAML(t, c, text)
		}
		wantSame(t, granted, p.dump(t))
		for _, line := range lines(p.link(t)) {
			if strings.Contains(line, ": ") && !strings.HasSuffix(line, " unchanged") {
				t.Error(line)
			}
		}
		p.unlink(t)
		p.eventuallySame(t, before)
	})
}

// volatile are the parts of objects that say when, by whom and how often they were written; a token besides.
func volatile(object *unstructured.Unstructured) {
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(object.Object, "metadata", "labels", "kubernetes.io/legacy-token-last-used")
	unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "kubernetes.io/service-account.uid")
	unstructured.RemoveNestedField(object.Object, "spec", "renewTime")
	if object.GetKind() == "Secret" {
		unstructured.RemoveNestedField(object.Object, "data", "token")
	}
}

// dump gives all objects of both clusters but events, without their volatile parts.
func (p *linkedPair) dump(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, c := range p.clusters() {
		client, err := dynamic.NewForConfig(c.RESTConfig())
		mustBe(t, err)
		groups, err := c.Clientset().Discovery().ServerPreferredResources()
		mustBe(t, err)
		groups = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "create"}}, groups)
		for _, group := range groups {
			version, err := schema.ParseGroupVersion(group.GroupVersion)
			mustBe(t, err)
			for _, resource := range group.APIResources {
				if resource.Name == "events" {
					continue
				}
				list, err := client.Resource(version.WithResource(resource.Name)).List(t.Context(), metav1.ListOptions{})
				mustBe(t, err)
				for i := range list.Items {
					object := &list.Items[i]
					volatile(object)
					all[fmt.Sprintf("%s %s %s/%s", c.Name, object.GetKind(), object.GetNamespace(), object.GetName())] = object.Object
				}
			}
		}
	}
	return all
}

func wantSame(t *testing.T, want, got map[string]any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// eventuallySame waits until both clusters hold what they held: some controllers take a moment to follow.
func (p *linkedPair) eventuallySame(t *testing.T, want map[string]any) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "both clusters are as they were", func(context.Context) error {
		if diff := gocmp.Diff(want, p.dump(t)); diff != "" {
			return errors.New(diff)
		}
		return nil
	}))
}

// applyYAML applies the documents of a text, as a GitOps tool would.
func applyYAML(t *testing.T, c *cluster.Cluster, text string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.RESTConfig())
	mustBe(t, err)
	for _, object := range documents(t, text) {
		mustBe(t, daemon.Apply(t.Context(), client, object))
	}
}
