package clusters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
)

// Disarm takes the identity's rights and its token, so that a daemon that still runs makes nothing anew of what is
// withdrawn.
func (a *Admin) Disarm(ctx context.Context, tell func(string)) error {
	return a.removeGranted(ctx, []string{"ClusterRoleBinding", "RoleBinding", "Secret"}, tell)
}

// Revoke takes what is left of the identity, what the daemon has kept about other clusters, and the namespaces that were
// made for both and hold nothing else.
func (a *Admin) Revoke(ctx context.Context, others []types.UID, leaseNamespace string, tell func(string)) error {
	rest := slices.DeleteFunc(slices.Clone(grantedKinds), func(kind string) bool { return kind == "Namespace" })
	slices.Reverse(rest)
	if err := a.removeGranted(ctx, rest, tell); err != nil {
		return err
	}
	if err := a.forget(ctx, others, leaseNamespace, tell); err != nil {
		return err
	}
	namespaces, err := a.granted(ctx, []string{"Namespace"})
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		if err := a.removeNamespace(ctx, namespace, tell); err != nil {
			return err
		}
	}
	return nil
}

func (a *Admin) removeGranted(ctx context.Context, kinds []string, tell func(string)) error {
	found, err := a.granted(ctx, kinds)
	if err != nil {
		return err
	}
	for _, object := range found {
		if err := a.remove(ctx, object, tell); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes what a daemon keeps: the brake's count, the drains and the Lease.
func (a *Admin) forget(ctx context.Context, others []types.UID, namespace string, tell func(string)) error {
	type kept struct{ apiVersion, kind, name string }
	all := []kept{{"v1", "ConfigMap", drainName}, {"coordination.k8s.io/v1", "Lease", leaseName}}
	for _, other := range others {
		all = append(all, kept{"v1", "ConfigMap", brakeName(other)})
	}
	for _, kept := range all {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": kept.apiVersion, "kind": kept.kind}}
		object.SetNamespace(namespace)
		found, err := a.of(object).Get(ctx, kept.name, metav1.GetOptions{})
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cluster %s: %s %s/%s: %w", a.Name(), kept.kind, namespace, kept.name, err)
		}
		if err := a.remove(ctx, found, tell); err != nil {
			return err
		}
	}
	return nil
}

// namespaceWait is how long a namespace may take to go.
const namespaceWait = time.Minute

// removeNamespace deletes a namespace in which nothing is but what Kubernetes puts into each, and waits until it is gone.
func (a *Admin) removeNamespace(ctx context.Context, namespace *unstructured.Unstructured, tell func(string)) error {
	left, err := a.firstIn(ctx, namespace.GetName())
	switch {
	case err != nil:
		tell(fmt.Sprintf("%s left: can't see whether anything else is in it: %v", title(namespace), err))
		return nil
	case left != "":
		tell(fmt.Sprintf("%s left: %s is in it", title(namespace), left))
		return nil
	}
	if err := a.remove(ctx, namespace, tell); err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, namespaceWait, true, func(ctx context.Context) (bool, error) {
		_, err := a.client.CoreV1().Namespaces().Get(ctx, namespace.GetName(), metav1.GetOptions{})
		return isAbsent(err), nil
	})
	if err != nil {
		return fmt.Errorf("cluster %s: %s is deleted and still there: %w", a.Name(), title(namespace), err)
	}
	return nil
}

// firstIn names an object that somebody has put into a namespace; empty where there is none.
func (a *Admin) firstIn(ctx context.Context, namespace string) (string, error) {
	groups, err := a.client.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		return "", err
	}
	for _, group := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "create"}}, groups) {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return "", err
		}
		for _, resource := range group.APIResources {
			if resource.Name == "events" {
				continue
			}
			list, err := a.objects.Resource(version.WithResource(resource.Name)).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 3})
			if err != nil {
				return "", errors.Join(fmt.Errorf("list %s", resource.Name), err)
			}
			for i := range list.Items {
				if object := &list.Items[i]; !isGivenToAll(object) {
					return title(object), nil
				}
			}
		}
	}
	return "", nil
}

// isGivenToAll reports whether Kubernetes puts such an object into every namespace.
func isGivenToAll(object *unstructured.Unstructured) bool {
	return object.GetKind() == "ServiceAccount" && object.GetName() == "default" ||
		object.GetKind() == "ConfigMap" && object.GetName() == "kube-root-ca.crt"
}
