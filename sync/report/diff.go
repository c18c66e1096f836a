package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	stdsync "sync"

	"github.com/aymanbagabas/go-udiff"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"xcc/sync"
)

// Diff writes what a sync would change now, as a unified diff of YAML for each object, and reports whether there is
// anything. It fails where what it writes may not be all. What there is to remark on all of it goes to remark.
func Diff(ctx context.Context, hub *sync.Hub, out io.Writer, remark func(string)) (bool, error) {
	if err := hub.WaitSynced(ctx); err != nil {
		return false, err
	}
	differs := false
	var all []error
	for _, mirror := range hub.Mirrors {
		looks, errs := mirror.Inspect(ctx, mirror.Names(), hub.Workers)
		all = append(all, errs...)
		var changes []sync.Change
		for _, look := range looks {
			changes = append(changes, look.Plan.Changes...)
		}
		differs = differs || len(changes) > 0
		if err := writeChanges(ctx, mirror, changes, hub.Workers, out); err != nil {
			return differs, errors.Join(append(all, err)...)
		}
		for _, text := range foresee(ctx, mirror, looks) {
			remark(text)
		}
	}
	return differs, errors.Join(all...)
}

// writeChanges writes the changes in their order. What stands is read some objects at a time.
func writeChanges(ctx context.Context, mirror *sync.Mirror, changes []sync.Change, readers int, out io.Writer) error {
	for len(changes) > 0 {
		batch := changes[:min(len(changes), readers)]
		changes = changes[len(batch):]
		stands, errs := make([]sync.Object, len(batch)), make([]error, len(batch))
		var group stdsync.WaitGroup
		for i, change := range batch {
			if change.Operation != sync.Create {
				group.Go(func() { stands[i], errs[i] = mirror.Objects.Read(ctx, change.Object) })
			}
		}
		group.Wait()
		for i, change := range batch {
			if errs[i] != nil {
				return errs[i]
			}
			text, err := unified(mirror.To, stands[i], change)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// unified is the diff of one object.
func unified(cluster string, stands sync.Object, change sync.Change) (string, error) {
	name := fmt.Sprintf("%s/%s", cluster, identify(change.Object))
	before, after := name, name
	old, err := decided(stands)
	if err != nil {
		return "", err
	}
	next := ""
	if change.Operation == sync.Delete {
		after = "/dev/null"
	} else if next, err = decided(change.Object); err != nil {
		return "", err
	}
	if old == "" {
		before = "/dev/null"
	}
	text, err := udiff.ToUnified(before, after, old, udiff.Lines(old, next), udiff.DefaultContextLines)
	if err != nil {
		return "", fmt.Errorf("compare %s: %w", name, err)
	}
	return fmt.Sprintf("%s %s\n%s", change.Operation, name, text), nil
}

// identify names an object as kubectl diff does: v1.Service.shop.cart.
func identify(object sync.Object) string {
	version, kind := kindOf(object)
	text := version + "." + kind
	if object.GetNamespace() != "" {
		text += "." + object.GetNamespace()
	}
	return text + "." + object.GetName()
}

func kindOf(object sync.Object) (version, kind string) {
	switch object.(type) {
	case *corev1.Namespace:
		return "v1", sync.KindNamespace.String()
	case *corev1.Service:
		return "v1", sync.KindService.String()
	case *discoveryv1.EndpointSlice:
		return "discovery.k8s.io/v1", sync.KindEndpointSlice.String()
	}
	return "v1", sync.KindEndpoints.String()
}

// decided is the YAML of an object without what its API server puts in; empty for none.
func decided(object sync.Object) (string, error) {
	if object == nil {
		return "", nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", fmt.Errorf("write %s as YAML: %w", identify(object), err)
	}
	fields["apiVersion"], fields["kind"] = kindOf(object)
	if meta, ok := fields["metadata"].(map[string]any); ok {
		decideMeta(meta)
	}
	delete(fields, "status")
	if spec, ok := fields["spec"].(map[string]any); ok {
		decideSpec(spec)
	}
	text, err := yaml.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("write %s as YAML: %w", identify(object), err)
	}
	return string(text), nil
}

// decideMeta keeps of the metadata what xcc decides. The owner of a slice is not known by UID before it is made.
func decideMeta(meta map[string]any) {
	maps.DeleteFunc(meta, func(key string, _ any) bool {
		return !slices.Contains([]string{"name", "namespace", "labels", "annotations", "ownerReferences", "finalizers"}, key)
	})
	owners, _ := meta["ownerReferences"].([]any)
	for _, owner := range owners {
		if owner, ok := owner.(map[string]any); ok && owner["uid"] == "" {
			delete(owner, "uid")
		}
	}
}

// decideSpec takes out of a Service's spec, or a Namespace's, what the API server allocates, and the target ports, which
// mean nothing without a selector.
func decideSpec(spec map[string]any) {
	if spec["clusterIP"] != corev1.ClusterIPNone {
		delete(spec, "clusterIP")
	}
	delete(spec, "clusterIPs")
	ports, _ := spec["ports"].([]any)
	for _, port := range ports {
		if port, ok := port.(map[string]any); ok {
			delete(port, "targetPort")
		}
	}
}
