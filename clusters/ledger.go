package clusters

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Ledger keeps a few values in a ConfigMap of one cluster.
type Ledger struct {
	// Cluster is where the ConfigMap is, About the cluster that it is about: its UID is part of the name.
	Cluster, About *Cluster
	// Namespace is that of the ConfigMap. It must exist.
	Namespace string
}

func (l Ledger) name() string {
	return brakeName(l.About.Identity().UID())
}

func brakeName(source types.UID) string {
	return "xcc-brake-" + string(source)
}

// Load gives the values and their version; none where nothing was stored yet.
func (l Ledger) Load(ctx context.Context) (values map[string]string, version string, err error) {
	err = l.Cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		found, err := client.CoreV1().ConfigMaps(l.Namespace).Get(ctx, l.name(), metav1.GetOptions{})
		if isAbsent(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ConfigMap %s/%s: %w", l.Namespace, l.name(), err)
		}
		values, version = found.Data, found.ResourceVersion
		return nil
	})
	return values, version, err
}

// Store replaces the values if they still have the version, and gives the new one; it fails with a conflict if not.
func (l Ledger) Store(ctx context.Context, values map[string]string, version string) (next string, err error) {
	err = l.Cluster.request(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		ledger := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.name(), ResourceVersion: version},
			Data:       values,
		}
		configMaps := client.CoreV1().ConfigMaps(l.Namespace)
		var stored *corev1.ConfigMap
		var err error
		if version == "" {
			stored, err = configMaps.Create(ctx, ledger, metav1.CreateOptions{FieldManager: fieldManager})
		} else {
			stored, err = configMaps.Update(ctx, ledger, metav1.UpdateOptions{FieldManager: fieldManager})
		}
		if err != nil {
			return fmt.Errorf("write ConfigMap %s/%s: %w", l.Namespace, l.name(), err)
		}
		next = stored.ResourceVersion
		return nil
	})
	return next, err
}
