package clusters

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// Load gives the values and their version; none where nothing was stored yet. ok is false where there is no such namespace,
// or the token may not write there.
func (l Ledger) Load(ctx context.Context) (values map[string]string, version string, ok bool, err error) {
	s, err := l.Cluster.session()
	if err != nil {
		return nil, "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.verify(ctx); err != nil {
		return nil, "", false, err
	}
	found, err := s.client.CoreV1().ConfigMaps(l.Namespace).Get(ctx, l.name(), metav1.GetOptions{})
	switch {
	case err == nil:
		return found.Data, found.ResourceVersion, true, nil
	case apierrors.IsForbidden(err):
		return nil, "", false, nil
	case !isAbsent(err):
		return nil, "", false, fmt.Errorf("cluster %s: read ConfigMap %s/%s: %w", l.Cluster.Name(), l.Namespace, l.name(), err)
	}
	created, err := s.client.CoreV1().ConfigMaps(l.Namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.name()},
	}, metav1.CreateOptions{FieldManager: fieldManager})
	switch {
	case err == nil:
		return nil, created.ResourceVersion, true, nil
	case apierrors.IsForbidden(err), isAbsent(err):
		return nil, "", false, nil
	}
	return nil, "", false, fmt.Errorf("cluster %s: create ConfigMap %s/%s: %w", l.Cluster.Name(), l.Namespace, l.name(), err)
}

// Store replaces the values if they still have the version, and gives the new one; it fails with a conflict if not.
func (l Ledger) Store(ctx context.Context, values map[string]string, version string) (string, error) {
	s, err := l.Cluster.session()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.verify(ctx); err != nil {
		return "", err
	}
	updated, err := s.client.CoreV1().ConfigMaps(l.Namespace).Update(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.name(), ResourceVersion: version},
		Data:       values,
	}, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return "", fmt.Errorf("cluster %s: write ConfigMap %s/%s: %w", l.Cluster.Name(), l.Namespace, l.name(), err)
	}
	return updated.ResourceVersion, nil
}
