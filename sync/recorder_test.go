package sync

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// recorder notes what a mirror asks of its clusters, in order: "live", "create Service shop/web" and so on.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) note(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf(format, arguments...))
}

// take gives the calls since it was last asked.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// fakeSource is a source with a watch's view and a live one.
type fakeSource struct {
	*recorder
	mu        sync.Mutex
	uid       types.UID
	verifyErr error
	unsynced  bool
	cached    map[Key]Source
	live      map[Key]Source // where it differs from cached
	liveErr   error
}

func (s *fakeSource) set(edit func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit()
}

func (s *fakeSource) Verify(context.Context) (types.UID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uid, s.verifyErr
}

func (s *fakeSource) Exported(key Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsynced {
		return nil, nil, errors.New("the watches are not synced")
	}
	return s.cached[key].Service, s.cached[key].Slices, nil
}

func (s *fakeSource) Live(_ context.Context, key Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	s.note("live %s", key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.liveErr != nil {
		return nil, nil, s.liveErr
	}
	source, differs := s.live[key]
	if !differs {
		source = s.cached[key]
	}
	return source.Service, source.Slices, nil
}

func (s *fakeSource) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []Key
	for key := range s.cached {
		keys = append(keys, key)
	}
	return keys
}

// fakeTarget is a target whose API server is a [model]. Its watches show what has the follower label, unless it is
// hidden: the watch has yet to tell of it. A write and a lookup bring it out.
type fakeTarget struct {
	*recorder
	mu         sync.Mutex
	model      *model
	hidden     sets.Set[string]
	unsynced   bool
	network    Network
	namespaces map[string]*metav1.ObjectMeta
	// refuse is asked before each write and lookup; its error is the answer.
	refuse func(call string) error
	// lose is asked after each write; its error is the answer to a write that was made.
	lose func(call string) error
}

func (t *fakeTarget) set(edit func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	edit()
}

func (t *fakeTarget) Copies(key Key) ([]*Copy, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unsynced {
		return nil, errors.New("the watches are not synced")
	}
	return slices.DeleteFunc(t.model.copies(Rules{}, key), func(c *Copy) bool {
		return !c.Follower || t.hidden.Has(c.Kind.String()+"/"+c.Namespace+"/"+c.Name)
	}), nil
}

func (t *fakeTarget) Namespace(name string) *metav1.ObjectMeta {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.namespaces[name]
}

func (t *fakeTarget) Network() ([]corev1.IPFamily, []netip.Prefix) {
	return t.network.Families, t.network.ServiceCIDRs
}

func (t *fakeTarget) Keys() []Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := sets.New[Key]()
	for _, object := range t.model.objects {
		if c := (Rules{}).Observe(object); c.Follower {
			keys.Insert(c.Service())
		}
	}
	return keys.UnsortedList()
}

func (t *fakeTarget) Create(_ context.Context, object Object) (*Copy, error) {
	return t.do(Change{Create, object})
}

func (t *fakeTarget) Update(_ context.Context, object Object) (*Copy, error) {
	return t.do(Change{Update, object})
}

func (t *fakeTarget) Delete(_ context.Context, object Object) error {
	_, err := t.do(Change{Delete, object})
	return err
}

func (t *fakeTarget) do(change Change) (*Copy, error) {
	call := change.String()
	t.note("%s", call)
	if t.refuse != nil {
		if err := t.refuse(call); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	written, err := t.model.write(change)
	if err == nil && t.lose != nil {
		err = t.lose(call)
	}
	if err != nil {
		return nil, err
	}
	t.hidden.Delete(id(change.Object))
	if written == nil || kindOf(written) == KindNamespace {
		return nil, nil
	}
	return Rules{}.Observe(written), nil
}

// Lookup knows no Namespaces, as the real one.
func (t *fakeTarget) Lookup(_ context.Context, object Object) (*Copy, error) {
	call := fmt.Sprintf("look up %s %s/%s", kindOf(object), object.GetNamespace(), object.GetName())
	t.note("%s", call)
	if t.refuse != nil {
		if err := t.refuse(call); err != nil {
			return nil, err
		}
	}
	if kindOf(object) == KindNamespace {
		return nil, fmt.Errorf("%T is no part of a pointer", object)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hidden.Delete(id(object))
	if stored := t.model.get(object); stored != nil {
		return Rules{}.Observe(stored), nil
	}
	return nil, nil
}

// bench is a mirror from blue to green between two fakes.
type bench struct {
	*recorder
	source  *fakeSource
	target  *fakeTarget
	exports *fakeSource
	ledger  *fakeLedger
	mirror  *Mirror
	log     *logtest.Hook
}

// newBench makes a mirror of a source that has these Services, into a target that has the namespace shop and nothing in it.
func newBench(t testing.TB, sources ...Source) *bench {
	t.Helper()
	calls := &recorder{}
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	b := &bench{
		recorder: calls,
		source:   &fakeSource{recorder: calls, uid: blue, cached: map[Key]Source{}, live: map[Key]Source{}},
		target: &fakeTarget{
			recorder: calls, model: newModel(dualStack), hidden: sets.New[string](), network: dualStack,
			namespaces: map[string]*metav1.ObjectMeta{"shop": shop},
		},
		exports: &fakeSource{recorder: &recorder{}, uid: green, cached: map[Key]Source{}},
		ledger:  &fakeLedger{},
		log:     hook,
	}
	for _, source := range sources {
		b.source.cached[Key{Namespace: source.Service.Namespace, Name: source.Service.Name}] = source
	}
	rules := rules()
	rules.Cluster = ""
	b.mirror = NewMirror("test", Direction{
		Rules: rules, Source: b.source, Target: b.target, Writer: b.target, Exports: b.exports,
		Overlap: noOverlap{}, Heartbeat: silence(0), Brake: &Brake{Percent: 50, Ledger: b.ledger, Log: logger},
		InScope: func(string) bool { return true }, Log: logger,
	})
	t.Cleanup(b.mirror.queue.ShutDown)
	return b
}

// reconcile looks at the name once, and once more where its Endpoints come after its slices.
func (b *bench) reconcile(t testing.TB, key Key) (Verdict, error) {
	t.Helper()
	verdict, err := b.mirror.reconcile(t.Context(), key)
	if errors.Is(err, errAwaitsTurn) {
		b.awaitTurn(t, key)
		verdict, err = b.mirror.reconcile(t.Context(), key)
	}
	return verdict, err
}

// awaitTurn waits until the name is to be looked at again, as it has the turn to write Endpoints.
func (b *bench) awaitTurn(t testing.TB, key Key) {
	t.Helper()
	for !b.mirror.endpoints.has(key) {
		queued, shutdown := b.mirror.queue.Get()
		if shutdown {
			t.Fatalf("%s waits for ever", key)
		}
		b.mirror.queue.Done(queued)
	}
}

// settle looks at a name, which must succeed, and forgets the calls.
func (b *bench) settle(t testing.TB, key Key) {
	t.Helper()
	if verdict, err := b.reconcile(t, key); err != nil {
		t.Fatalf("%s: %v", verdict, err)
	}
	b.take()
}

type noOverlap struct{}

func (noOverlap) Among([]*discoveryv1.EndpointSlice) []netip.Addr { return nil }

type silence time.Duration

func (s silence) Silence() time.Duration { return time.Duration(s) }
func (silence) UID() types.UID           { return blue }
