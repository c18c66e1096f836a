package clusters

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
)

// lacksRight asks for something, and reports whether the token has no right to it. Any other failure is an error.
//
// An API server that has just started forbids everything for a moment, until it has read its RBAC rules, and what it
// forbids then must not be taken for what a token may not do. It has read them when it is ready: the check "informer-sync"
// of /readyz says so.
func lacksRight(ctx context.Context, client kubernetes.Interface, ask func() error) (bool, error) {
	err := ask()
	if !apierrors.IsForbidden(err) {
		return false, err
	}
	if notReady := client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); notReady != nil {
		return false, fmt.Errorf("%w; and the API server does not say that it is ready: %w", err, notReady)
	}
	if err = ask(); apierrors.IsForbidden(err) {
		return true, nil
	}
	return false, err
}
