package clusters

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Identity tells clusters apart, whatever their URLs and names say. Kubernetes has no identifier for a whole cluster;
// the UID of kube-system, which lives as long as the cluster, serves everywhere as one.
type Identity struct {
	// System is the UID of the kube-system Namespace; empty where the token may not read it.
	System types.UID
	// API is the UID of the Service default/kubernetes, which a token that may read Services can always read.
	API types.UID
}

// UID is what stands for the cluster in the marks.
func (i Identity) UID() types.UID {
	if i.System != "" {
		return i.System
	}
	return i.API
}

// Same reports whether both are identities of one cluster. kube-system decides where both know it.
func (i Identity) Same(other Identity) bool {
	if i.System != "" && other.System != "" {
		return i.System == other.System
	}
	return i.API != "" && i.API == other.API
}

// identify reads the identity of the cluster at the other end, and the resourceVersion that its store has reached.
func identify(ctx context.Context, client kubernetes.Interface) (Identity, string, error) {
	var identity Identity
	version := ""
	// A list of one, because the answer to a get would not tell how far the store is.
	var namespaces *corev1.NamespaceList
	hidden, err := lacksRight(ctx, client, func() (err error) {
		namespaces, err = client.CoreV1().Namespaces().List(ctx, oneByName(metav1.NamespaceSystem))
		return err
	})
	switch {
	case err != nil:
		return identity, "", fmt.Errorf("read namespace kube-system: %w", err)
	case hidden:
	case len(namespaces.Items) != 1:
		// Every cluster has it. To go on with the other UID would be to take the cluster for another.
		return identity, "", errors.New("the server knows no namespace kube-system, so it can't be told from another")
	default:
		identity.System, version = namespaces.Items[0].UID, namespaces.ResourceVersion
	}
	services, err := client.CoreV1().Services(metav1.NamespaceDefault).List(ctx, oneByName("kubernetes"))
	if err != nil {
		return identity, "", fmt.Errorf("read service default/kubernetes: %w", err)
	}
	if len(services.Items) == 1 {
		identity.API, version = services.Items[0].UID, services.ResourceVersion
	}
	if identity.UID() == "" {
		return identity, "", errors.New("the server knows no service default/kubernetes, so it can't be told from another")
	}
	return identity, version, nil
}

func oneByName(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
}

// isAbsent reports whether the API server itself says that an object is not there. A proxy's or load balancer's 404
// looks the same to apierrors.IsNotFound; it has no Status as body, which client-go notes as a cause.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
