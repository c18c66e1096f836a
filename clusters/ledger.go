package clusters

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ledger keeps a few values in a ConfigMap of one cluster.
type Ledger struct {
	// Cluster is where the ConfigMap is, About the cluster that it is about: its UID is part of the name.
	Cluster, About *Cluster
	// Namespace is that of the ConfigMap. It must exist.
	Namespace string
}

func (l Ledger) name() string {
	return "xcc-brake-" + string(l.About.Identity().UID())
}

// Load gives the values and their version; none where nothing was stored yet.
func (l Ledger) Load(ctx context.Context) (values map[string]string, version string, err error) {
	s, ctx, cancel, err := l.Cluster.proven(ctx)
	if err != nil {
		return nil, "", err
	}
	defer cancel()
	found, err := s.client.CoreV1().ConfigMaps(l.Namespace).Get(ctx, l.name(), metav1.GetOptions{})
	if isAbsent(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("cluster %s: read ConfigMap %s/%s: %w", l.Cluster.Name(), l.Namespace, l.name(), err)
	}
	return found.Data, found.ResourceVersion, nil
}

// Store replaces the values if they still have the version, and gives the new one; it fails with a conflict if not.
func (l Ledger) Store(ctx context.Context, values map[string]string, version string) (string, error) {
	s, ctx, cancel, err := l.Cluster.proven(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	ledger := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.name(), ResourceVersion: version},
		Data:       values,
	}
	configMaps := s.client.CoreV1().ConfigMaps(l.Namespace)
	var stored *corev1.ConfigMap
	if version == "" {
		stored, err = configMaps.Create(ctx, ledger, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		stored, err = configMaps.Update(ctx, ledger, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return "", fmt.Errorf("cluster %s: write ConfigMap %s/%s: %w", l.Cluster.Name(), l.Namespace, l.name(), err)
	}
	return stored.ResourceVersion, nil
}
