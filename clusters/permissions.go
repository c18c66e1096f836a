package clusters

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
)

// Permission is one thing that the identity may need to do.
type Permission struct {
	Verb, Group, Resource string
	// Namespace and Name narrow it; empty for all.
	Namespace, Name string
	// Manifest is the file that gives it.
	Manifest string
	// Without says what becomes of xcc without it; empty where it can't work.
	Without string
}

func (p Permission) String() string {
	text := p.Verb + " " + p.Resource
	if p.Group != "" {
		text += "." + p.Group
	}
	if p.Name != "" {
		text += " " + p.Name
	}
	if p.Namespace != "" {
		text += " in namespace " + p.Namespace
	}
	return text
}

// Permissions are what the manifests' roles give for a part. The check asks for exactly what link grants.
func (p Part) Permissions() ([]Permission, error) {
	var all []Permission
	for _, file := range p.files() {
		objects, err := manifest(file)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			kind, namespace := object.GetKind(), ""
			if kind != "ClusterRole" && kind != "Role" {
				continue
			}
			if kind == "Role" {
				namespace = p.LeaseNamespace
			}
			var role rbacv1.ClusterRole
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
				return nil, fmt.Errorf("manifest %s: %w", file, err)
			}
			for _, rule := range role.Rules {
				all = append(all, p.permissionsOf(rule, namespace, file)...)
			}
		}
	}
	// What a target's role repeats of a source's is asked once.
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(p Permission) bool {
		known := seen[p.String()]
		seen[p.String()] = true
		return known
	}), nil
}

func (p Part) permissionsOf(rule rbacv1.PolicyRule, namespace, file string) []Permission {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var all []Permission
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			if resource == "leases" && !p.Lease {
				continue
			}
			for _, name := range names {
				for _, verb := range rule.Verbs {
					all = append(all, Permission{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name,
						Manifest: file, Without: p.without(resource, name)})
				}
			}
		}
	}
	return all
}

// without says what xcc does where it may not use a resource.
func (p Part) without(resource, name string) string {
	switch {
	case resource == "servicecidrs":
		return "the range of Service addresses is inferred"
	case resource == "namespaces" && name == metav1.NamespaceSystem:
		return "the UID of Service default/kubernetes stands for the cluster"
	case resource == "endpointslices" && !p.Target:
		return "Endpoints are read, which hold at most 1,000 addresses of a Service"
	case resource == "events":
		return "no Events are written"
	case resource == "configmaps":
		return "the count of the delete brake is lost with a restart, and a drain is not seen"
	}
	return ""
}

// ask gives those of the permissions that the token does not have.
func ask(ctx context.Context, client kubernetes.Interface, permissions []Permission) ([]Permission, error) {
	denied := make([]bool, len(permissions))
	errs := make([]error, len(permissions))
	workqueue.ParallelizeUntil(ctx, 8, len(permissions), func(i int) {
		p := permissions[i]
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: p.Verb, Group: p.Group, Resource: p.Resource, Namespace: p.Namespace, Name: p.Name,
			},
		}}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			errs[i] = fmt.Errorf("ask whether it may %s: %w", p, err)
			return
		}
		denied[i] = !answer.Status.Allowed
	})
	var missing []Permission
	for i, p := range permissions {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if denied[i] {
			missing = append(missing, p)
		}
	}
	return missing, context.Cause(ctx)
}

// grouped joins the permissions that differ by their verb only: "create, update services".
func grouped(permissions []Permission) []Permission {
	var all []Permission
	for _, p := range permissions {
		i := slices.IndexFunc(all, func(other Permission) bool {
			other.Verb = p.Verb
			return other == p
		})
		if i < 0 {
			all = append(all, p)
		} else if !slices.Contains(strings.Split(all[i].Verb, ", "), p.Verb) {
			all[i].Verb += ", " + p.Verb
		}
	}
	return all
}
