package clusters

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"xcc/manifests"
)

// The names of xcc's identity, as the manifests have them.
const (
	identityNamespace = "xcc"
	identityName      = "xcc"
	tokenSecret       = "xcc-token"
)

// labelManagedBy is on every object that [Admin.Grant] makes, with the value linkManager. What is without it is not
// removed.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	linkManager    = "xcc-link"
)

// Part is what a cluster is for xcc, which decides what the identity may do there.
type Part struct {
	// Source: Services are mirrored from it. Target: they are mirrored into it.
	Source, Target bool
	// Lease: daemons keep the Lease there by which they agree.
	Lease bool
	// CreateNamespaces: a namespace that is missing there is created.
	CreateNamespaces bool
	// LeaseNamespace is where the Lease is, and what else the daemon keeps.
	LeaseNamespace string
}

// files are the manifests that give the rights, and not one right more. To look at a target is to read it as a source,
// too: what it exports itself is no name for a pointer.
func (p Part) files() []string {
	files := []string{"namespace.yaml", "rbac-source.yaml", "rbac-events.yaml"}
	if p.Target {
		files = append(files, "rbac-target.yaml", "admission-identity.yaml", "admission-marks.yaml")
	}
	if p.Target || p.Lease {
		files = append(files, "rbac-daemon.yaml")
	}
	if p.Target && p.CreateNamespaces {
		files = append(files, "rbac-create-namespaces.yaml")
	}
	return files
}

// Objects are what the identity consists of in a cluster that has this part, in the order in which they are applied.
func (p Part) Objects() ([]*unstructured.Unstructured, error) {
	all := []*unstructured.Unstructured{namespace(p.LeaseNamespace), tokenObject()}
	for _, file := range p.files() {
		objects, err := manifest(file)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if kind := object.GetKind(); kind == "Role" || kind == "RoleBinding" {
				object.SetNamespace(p.LeaseNamespace)
			}
			all = append(all, object)
		}
	}
	if p.LeaseNamespace == identityNamespace || !p.Target && !p.Lease {
		all = all[1:]
	}
	for _, object := range all {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[labelManagedBy] = linkManager
		object.SetLabels(labels)
	}
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(birthOrder(a.GetKind()), birthOrder(b.GetKind())), cmp.Compare(a.GetName(), b.GetName()))
	})
	return all, nil
}

// grantedKinds are all kinds of the identity's objects. A policy stands before its binding, and the bindings that give
// rights come last, so that the identity can do nothing before the policies bind it.
var grantedKinds = []string{
	"Namespace", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "Secret",
}

func birthOrder(kind string) int {
	return slices.Index(grantedKinds, kind)
}

// YAML gives objects as the documents of one file. Equal objects give equal bytes.
func YAML(objects []*unstructured.Unstructured) ([]byte, error) {
	var all bytes.Buffer
	for _, object := range objects {
		document, err := sigsyaml.Marshal(object.Object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", title(object), err)
		}
		all.WriteString("---\n")
		all.Write(document)
	}
	return all.Bytes(), nil
}

func manifest(file string) ([]*unstructured.Unstructured, error) {
	content, err := manifests.Files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		object := &unstructured.Unstructured{}
		if err == nil {
			err = sigsyaml.Unmarshal(document, &object.Object)
		}
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", file, err)
		}
		objects = append(objects, object)
	}
}

func namespace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
}

// tokenObject is a Secret that Kubernetes puts a token into. A daemon on a management host needs one that lives: what the
// TokenRequest API gives ends within hours on many clusters, and who may ask for another can do so for ever. This one
// ends when the Secret is deleted.
func tokenObject() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
		"metadata": map[string]any{
			"name": tokenSecret, "namespace": identityNamespace,
			"annotations": map[string]any{"kubernetes.io/service-account.name": identityName},
		},
	}}
}

// title names an object for people: "clusterrole xcc-source-read".
func title(object *unstructured.Unstructured) string {
	name := object.GetName()
	if object.GetNamespace() != "" {
		name = object.GetNamespace() + "/" + name
	}
	return strings.ToLower(object.GetKind()) + " " + name
}
