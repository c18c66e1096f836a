package clusters

import (
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// drainName is the ConfigMap of a target that says which sources are drained: a key for each, its UID, and its name as
// the value, for people. It stands in the target because the source may be what is out of reach, and it is one for all
// sources because a daemon that has never reached its own doesn't know that one's UID.
const drainName = "xcc-drain"

// Drains is the view of the sources that operators have drained, as one target tells them.
type Drains struct {
	cluster   *Cluster
	namespace string
	changed   func()

	mu      sync.Mutex
	drained map[string]string
	warned  bool
}

// Drains adds a view of the drained sources; changed is called when they are others than before. It must be called before
// Run. What can't be read stays as it was last known.
func (c *Cluster) Drains(namespace string, changed func()) *Drains {
	d := &Drains{cluster: c, namespace: namespace, changed: changed}
	c.views = append(c.views, d)
	return d
}

// Drained reports whether an operator wants no addresses of a source in the target.
func (d *Drains) Drained(source types.UID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, drained := d.drained[string(source)]
	return source != "" && drained
}

// prepare reads the drains before a session is used: no address is put back that is not to be there.
func (d *Drains) prepare(ctx context.Context, s *session) error {
	return d.refresh(ctx, s)
}

func (d *Drains) refresh(ctx context.Context, s *session) error {
	found, err := s.client.CoreV1().ConfigMaps(d.namespace).Get(ctx, drainName, metav1.GetOptions{})
	d.mu.Lock()
	defer d.mu.Unlock()
	var drained map[string]string
	switch {
	case isAbsent(err):
	case apierrors.IsForbidden(err):
		if !d.warned {
			d.warned = true
			d.cluster.log.WithError(err).Warn("may not read which sources are drained; a drain has no effect here")
		}
		return nil
	case err != nil:
		return fmt.Errorf("read ConfigMap %s/%s: %w", d.namespace, drainName, err)
	default:
		drained = found.Data
	}
	if !maps.Equal(d.drained, drained) {
		d.drained = drained
		go d.changed()
	}
	return nil
}

func (d *Drains) reflectors(*session) []*cache.Reflector { return nil }

// SetDrained notes in the cluster that a source is drained, or no longer, and reports whether that is new.
func (c *Cluster) SetDrained(ctx context.Context, namespace string, source types.UID, name string, drained bool) (changed bool, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		return c.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
			changed, err = setDrained(ctx, client, namespace, source, name, drained)
			return err
		})
	})
	return changed, err
}

func setDrained(ctx context.Context, client kubernetes.Interface, namespace string, source types.UID, name string, drained bool) (bool, error) {
	configMaps := client.CoreV1().ConfigMaps(namespace)
	found, err := configMaps.Get(ctx, drainName, metav1.GetOptions{})
	absent := isAbsent(err)
	if err != nil && !absent {
		return false, fmt.Errorf("read ConfigMap %s/%s: %w", namespace, drainName, err)
	}
	if absent {
		found = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: drainName}}
	}
	if _, is := found.Data[string(source)]; is == drained {
		return false, nil
	}
	if found.Data == nil {
		found.Data = map[string]string{}
	}
	if drained {
		found.Data[string(source)] = name
	} else {
		delete(found.Data, string(source))
	}
	if absent {
		_, err = configMaps.Create(ctx, found, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		_, err = configMaps.Update(ctx, found, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return false, fmt.Errorf("write ConfigMap %s/%s: %w", namespace, drainName, err)
	}
	return true, nil
}
