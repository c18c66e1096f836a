package sync

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// fakeLedger keeps the brake's count in memory, in versions, as a ConfigMap would.
type fakeLedger struct {
	mu      sync.Mutex
	err     error
	values  map[string]string
	version int
	stores  int
	// meets is called once, before a store: somebody else is faster.
	meets func()
}

// now gives the values while a daemon may write them.
func (l *fakeLedger) now() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.values)
}

func (l *fakeLedger) Load(context.Context) (map[string]string, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, "", l.err
	}
	return maps.Clone(l.values), strconv.Itoa(l.version), nil
}

func (l *fakeLedger) Store(_ context.Context, values map[string]string, version string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if meets := l.meets; meets != nil {
		l.meets = nil
		meets()
	}
	if l.err != nil {
		return "", l.err
	}
	if version != strconv.Itoa(l.version) {
		return "", apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "ledger", errors.New("another version"))
	}
	l.values, l.version, l.stores = maps.Clone(values), l.version+1, l.stores+1
	return strconv.Itoa(l.version), nil
}
