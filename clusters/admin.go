package clusters

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// Admin is a cluster through an administrator's context: where xcc's identity is given and taken.
type Admin struct {
	options  Options
	config   *rest.Config
	raw      clientcmdapi.Config
	client   kubernetes.Interface
	objects  dynamic.Interface
	identity Identity
}

// OpenAdmin connects, and finds out which cluster it is.
func OpenAdmin(ctx context.Context, options Options) (*Admin, error) {
	config, raw, err := options.load()
	if err != nil {
		return nil, err
	}
	if options.Name == "" {
		options.Name = options.Context
	}
	a := &Admin{options: options, config: config, raw: raw}
	if a.client, err = kubernetes.NewForConfig(config); err == nil {
		a.objects, err = dynamic.NewForConfig(config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: context %q: %w", options.Flag, options.Context, err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if a.identity, _, err = identify(ctx, a.client); err != nil {
		return nil, fmt.Errorf("%s: context %s: %w", options.Flag, options.Context, err)
	}
	return a, nil
}

// Name is the display name.
func (a *Admin) Name() string { return a.options.Name }

// Identity tells the cluster from others.
func (a *Admin) Identity() Identity { return a.identity }

// Grant gives xcc's identity the rights of a part, and takes those that it was given for another. It tells what became of
// each object: "clusterrole xcc-source-read created".
func (a *Admin) Grant(ctx context.Context, part Part, tell func(string)) error {
	wanted, err := part.Objects()
	if err != nil {
		return err
	}
	for _, object := range wanted {
		outcome, err := a.apply(ctx, object)
		if err != nil {
			return fmt.Errorf("cluster %s: %s: %w", a.Name(), title(object), err)
		}
		tell(title(object) + " " + outcome)
	}
	surplus, err := a.granted(ctx, grantedKinds)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, object := range wanted {
		keep[title(object)] = true
	}
	for _, object := range surplus {
		if keep[title(object)] || object.GetKind() == "Namespace" {
			continue
		}
		if err := a.remove(ctx, object, tell); err != nil {
			return err
		}
	}
	return nil
}

// apply brings an object to the cluster, and says what that took.
func (a *Admin) apply(ctx context.Context, object *unstructured.Unstructured) (outcome string, err error) {
	before, err := a.of(object).Get(ctx, object.GetName(), metav1.GetOptions{})
	switch {
	case isAbsent(err):
		outcome = "created"
	case isPolicy(object) && isNoAPI(err):
		return "left out: this cluster is older than Kubernetes 1.30 and has no such kind", nil
	case err != nil:
		return "", err
	case object.GetKind() == "Namespace":
		// A namespace that stands is somebody's; one that unlink may delete was made here.
		return "unchanged", nil
	}
	after, err := a.of(object).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: linkManager, Force: true})
	switch {
	case err != nil:
		return "", err
	case outcome != "":
		return outcome, nil
	case reflect.DeepEqual(content(before), content(after)):
		return "unchanged", nil
	}
	return "configured", nil
}

// content is an object without what every write changes, and without the note of who wrote what.
func content(object *unstructured.Unstructured) map[string]any {
	object = object.DeepCopy()
	object.SetManagedFields(nil)
	object.SetResourceVersion("")
	return object.Object
}

func isPolicy(object *unstructured.Unstructured) bool {
	return strings.HasPrefix(object.GetKind(), "ValidatingAdmissionPolicy")
}

// isNoAPI reports whether the server knows no such kind. The path of a kind that is not served is no object's, so the
// answer is no Status.
func isNoAPI(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// granted lists the objects of some kinds that belong to the identity and were made by [Admin.Grant], whatever the part
// was that it had then.
func (a *Admin) granted(ctx context.Context, kinds []string) ([]*unstructured.Unstructured, error) {
	ever, err := Part{Source: true, Target: true, Lease: true, CreateNamespaces: true, LeaseNamespace: identityNamespace}.Objects()
	if err != nil {
		return nil, err
	}
	var found []*unstructured.Unstructured
	for _, kind := range kinds {
		names := map[string]bool{}
		var resource schema.GroupVersionResource
		for _, object := range ever {
			if object.GetKind() == kind {
				names[object.GetName()] = true
				resource, _ = meta.UnsafeGuessKindToResource(object.GroupVersionKind())
			}
		}
		list, err := a.objects.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: labelManagedBy + "=" + linkManager})
		if isNoAPI(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cluster %s: list %s: %w", a.Name(), resource.Resource, err)
		}
		for i := range list.Items {
			if object := &list.Items[i]; names[object.GetName()] || kind == "Namespace" {
				found = append(found, object)
			}
		}
	}
	return found, nil
}

// remove deletes an object if it is still the one that was read.
func (a *Admin) remove(ctx context.Context, object *unstructured.Unstructured, tell func(string)) error {
	err := a.of(object).Delete(ctx, object.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: ptr.To(object.GetUID()), ResourceVersion: ptr.To(object.GetResourceVersion())},
	})
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("cluster %s: delete %s: %w", a.Name(), title(object), err)
	}
	tell(title(object) + " removed")
	return nil
}

// of is the client for the kind and namespace of an object.
func (a *Admin) of(object *unstructured.Unstructured) dynamic.ResourceInterface {
	// A guess that is right for all kinds here, and needs no discovery.
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if object.GetNamespace() == "" {
		return a.objects.Resource(resource)
	}
	return a.objects.Resource(resource).Namespace(object.GetNamespace())
}
