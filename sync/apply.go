package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// errStale says that the target is not as the watches told. What it is has been read, and the plan is to be made again.
var errStale = errors.New("the target is not as the watches told")

// apply carries the plan's changes out, in their order, and stops at the first that fails: every beginning of the order
// is safe, and the next look at the key goes on from there.
func (m *Mirror) apply(ctx context.Context, rules Rules, key Key, plan Plan) error {
	if len(plan.Changes) == 0 {
		return nil
	}
	log := m.Log.WithField("service", key)
	if m.DryRun {
		log.Infof("would %s", Summary(plan.Changes))
		return nil
	}
	if slices.ContainsFunc(plan.Changes, isBirth) && !m.births.begin(key, m.queue.isPatient(key)) {
		return errAwaitsBirth
	}
	var owner types.UID
	done, rest := 0, plan.Changes
	defer func() {
		if done > 0 {
			log.Info(Summary(plan.Changes[:done]))
		}
	}()
	for len(rest) > 0 {
		if m.queue.ShuttingDown() && done > 0 {
			return nil
		}
		if mayWait(plan, rest) && (done > 0 || !m.endpoints.has(key)) {
			m.endpoints.ask(key)
			return errAwaitsTurn
		}
		batch := rest[:batchLength(rest)]
		for _, change := range batch {
			setOwner(change.Object, owner)
		}
		written, err := m.writeAll(ctx, rules, key, batch)
		if err != nil {
			return err
		}
		if written != nil && written.Kind == KindService {
			owner = written.UID
		}
		done, rest = done+len(batch), rest[len(batch):]
	}
	return nil
}

// maxBatch is how many slices of one Service are written at a time.
const maxBatch = 8

// batchLength is how many of the first changes may be made at the same time: slices that are created, or deleted. Updates
// keep their order, in which those that gain addresses go first.
func batchLength(changes []Change) int {
	first := changes[0]
	length := 1
	for first.Operation != Update && kindOf(first.Object) == KindEndpointSlice && length < min(len(changes), maxBatch) &&
		changes[length].Operation == first.Operation && kindOf(changes[length].Object) == KindEndpointSlice {
		length++
	}
	return length
}

// writeAll makes a batch of changes at the same time. It gives what the first one wrote.
func (m *Mirror) writeAll(ctx context.Context, rules Rules, key Key, batch []Change) (*Copy, error) {
	if len(batch) == 1 {
		return m.write(ctx, rules, key, batch[0])
	}
	errs := make([]error, len(batch))
	var group sync.WaitGroup
	for i, change := range batch {
		group.Go(func() { _, errs[i] = m.write(ctx, rules, key, change) })
	}
	group.Wait()
	return nil, errors.Join(errs...)
}

// setOwner makes a slice the property of a Service that was created just now; no owner leaves it as it is.
func setOwner(object Object, owner types.UID) {
	if slice, ok := object.(*discoveryv1.EndpointSlice); ok && owner != "" && len(slice.OwnerReferences) > 0 {
		slice.OwnerReferences[0].UID = owner
	}
}

// write is the one place where the target is changed. Before a Service is born it looks for somebody's Endpoints of the
// name; where a write meets something else than was planned with, it reads what that is.
func (m *Mirror) write(ctx context.Context, rules Rules, key Key, change Change) (*Copy, error) {
	if err := guard(change); err != nil {
		return nil, err
	}
	defer m.looks.step()
	if isBirth(change) {
		defer m.births.end(key)
	}
	if m.MayWrite != nil {
		if err := m.MayWrite(); err != nil {
			return nil, fmt.Errorf("%s: %w", change, err)
		}
	}
	if isBirth(change) {
		endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		found, err := m.lookUp(ctx, rules, key, endpoints)
		if err != nil {
			return nil, fmt.Errorf("look for Endpoints before %s: %w", change, err)
		}
		if found != nil && !rules.owns(found) {
			return nil, errStale
		}
	}
	if kindOf(change.Object) == KindEndpointSlice {
		m.endpoints.beginSlice()
		defer m.endpoints.endSlice()
	}
	var written *Copy
	var err error
	switch change.Operation {
	case Create:
		began := time.Now()
		written, err = m.Writer.Create(ctx, change.Object)
		if isBirth(change) && err == nil {
			m.births.learn(time.Since(began))
		}
	case Update:
		written, err = m.Writer.Update(ctx, change.Object)
	case Delete:
		err = m.Writer.Delete(ctx, change.Object)
	}
	m.Observer.Wrote(change, err)
	switch {
	case err == nil, apierrors.IsAlreadyExists(err) && kindOf(change.Object) == KindNamespace:
		return written, nil
	case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), change.Operation == Update && apierrors.IsNotFound(err):
		if _, lookErr := m.lookUp(ctx, rules, key, change.Object); lookErr != nil {
			return nil, fmt.Errorf("%s: %w", change, lookErr)
		}
		return nil, errStale
	}
	return nil, fmt.Errorf("%s: %w", change, err)
}

// guard holds every write to the form that makes it safe, whatever the planner says: an update or delete names the very
// object and version that was proven ours, and what is written carries our marks.
func guard(change Change) error {
	object := change.Object
	if change.Operation != Create && (object.GetUID() == "" || object.GetResourceVersion() == "") {
		return fmt.Errorf("%s: no UID or resourceVersion to hold it to", change)
	}
	if _, isNamespace := object.(*corev1.Namespace); isNamespace && change.Operation == Create {
		return nil
	}
	if change.Operation != Delete && (object.GetLabels()[LabelExport] != Follower || OriginOf(object).Cluster == "") {
		return fmt.Errorf("%s: without our marks", change)
	}
	return nil
}

func isBirth(change Change) bool {
	_, isService := change.Object.(*corev1.Service)
	return isService && change.Operation == Create
}

// lookUp reads an object from the target; nil where there is none. What is not ours is remembered as being in the way of the
// name.
func (m *Mirror) lookUp(ctx context.Context, rules Rules, key Key, object Object) (*Copy, error) {
	c, err := m.Writer.Lookup(ctx, object)
	if err != nil || c == nil || rules.owns(c) {
		return c, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.foreign[key] = append(m.foreign[key], c)
	return c, nil
}

// refreshForeign looks again at the objects that were in the way of a name.
func (m *Mirror) refreshForeign(ctx context.Context, rules Rules, key Key) error {
	m.mu.Lock()
	before := m.foreign[key]
	delete(m.foreign, key)
	m.mu.Unlock()
	isExported := m.targetExports(key)
	for i, c := range before {
		if isExported && c.Kind != KindEndpointSlice {
			// It is no longer outside all watches, or belongs to what is not.
			continue
		}
		if _, err := m.lookUp(ctx, rules, key, deletion(c).Object); err != nil {
			m.mu.Lock()
			m.foreign[key] = append(m.foreign[key], before[i:]...)
			m.mu.Unlock()
			return fmt.Errorf("look at what is in the way: %w", err)
		}
	}
	return nil
}

func (m *Mirror) isForeign(key Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.foreign[key]) > 0
}

// Summary says in one line what changes do: "create Service, create 2 EndpointSlices, update Endpoints".
func Summary(changes []Change) string {
	var parts []string
	for i := 0; i < len(changes); {
		kind, count := kindOf(changes[i].Object), 0
		what, operation := kind.String(), changes[i].Operation
		for ; i < len(changes) && changes[i].Operation == operation && kindOf(changes[i].Object) == kind; i++ {
			count++
		}
		if count > 1 {
			what = fmt.Sprintf("%d %ss", count, kind)
		}
		parts = append(parts, fmt.Sprintf("%s %s", operation, what))
	}
	return strings.Join(parts, ", ")
}
