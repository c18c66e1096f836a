package daemon

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"xcc/clusters"
	"xcc/test/cluster"
)

// Namespace and ServiceAccount are those of xcc's identity.
const (
	Namespace      = "xcc"
	ServiceAccount = "xcc"
)

// All is a cluster in all parts that it can have for xcc.
var All = clusters.Part{Source: true, Target: true, Lease: true, CreateNamespaces: true, LeaseNamespace: Namespace}

// Grant gives xcc's identity the rights of a part, as `xcc link` does, but for the objects that leaveOut chooses; nil for
// none. It gives the access of the identity. What it was given before it keeps.
func Grant(ctx context.Context, c *cluster.Cluster, part clusters.Part, leaveOut func(kind, name string) bool) (cluster.Access, error) {
	objects, err := part.Objects()
	if err != nil {
		return cluster.Access{}, err
	}
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		return cluster.Access{}, err
	}
	for _, object := range objects {
		if leaveOut != nil && leaveOut(object.GetKind(), object.GetName()) {
			continue
		}
		if err := Apply(ctx, client, object); err != nil {
			return cluster.Access{}, fmt.Errorf("cluster %s: apply %s %s: %w", c.Name, object.GetKind(), object.GetName(), err)
		}
	}
	return c.ServiceAccount(ctx, Namespace, ServiceAccount, 24*time.Hour)
}

// Apply applies an object, as a GitOps tool would.
func Apply(ctx context.Context, client dynamic.Interface, object *unstructured.Unstructured) error {
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	var objects dynamic.ResourceInterface = client.Resource(resource)
	if object.GetNamespace() != "" {
		objects = client.Resource(resource).Namespace(object.GetNamespace())
	}
	_, err := objects.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "gitops"})
	return err
}
