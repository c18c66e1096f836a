package sync

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SourceReader reads the cluster that a direction mirrors from.
type SourceReader interface {
	// Verify proves that the connection leads to the cluster that it always led to, and gives that cluster's UID. It costs
	// a request only after a reconnect.
	Verify(ctx context.Context) (types.UID, error)
	// Exported gives the exported Service of the name and its slices as the watches last told: nil where there is none.
	// Slices without a Service are those of one that is gone. It fails until all watches are synced. The objects are shared
	// and must not be changed.
	Exported(key Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error)
	// Live reads the same from the API server, consistently, in a verified session. An error is never an absence.
	Live(ctx context.Context, key Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error)
	// Keys gives the names of all exported Services.
	Keys() []Key
}

// AddressOverlap knows the pod addresses that both clusters export.
type AddressOverlap interface {
	// Among gives those of them that are in the slices.
	Among(slices []*discoveryv1.EndpointSlice) []netip.Addr
}

// Heartbeat tells of a cluster that may not answer.
type Heartbeat interface {
	// Silence is how long ago it last answered.
	Silence() time.Duration
	// UID is the one that it had when it did.
	UID() types.UID
}

// Orders tell what an operator wants of a source, as the target keeps it.
type Orders interface {
	// Drained reports whether no address of the source is to be in the target.
	Drained(source types.UID) bool
}

// TargetReader tells what a direction's watches last told of its target.
type TargetReader interface {
	// Copies gives all objects with the follower label that belong to the name. It fails until all watches are synced.
	Copies(key Key) ([]*Copy, error)
	// Namespace gives the metadata of a namespace; nil where there is none.
	Namespace(name string) *metav1.ObjectMeta
	// Network gives the IP families and the service CIDRs.
	Network() ([]corev1.IPFamily, []netip.Prefix)
	// Keys gives the names of all pointers.
	Keys() []Key
}

// TargetWriter writes the target. Every write that succeeds is at once visible to the [TargetReader].
type TargetWriter interface {
	Create(ctx context.Context, object Object) (*Copy, error)
	// Update and Delete fail with a conflict where the object's UID or resourceVersion is not the one given. To delete what
	// is gone already is no error.
	Update(ctx context.Context, object Object) (*Copy, error)
	Delete(ctx context.Context, object Object) error
	// Lookup reads the object of the same kind and name from the API server, consistently; nil where there is none.
	Lookup(ctx context.Context, object Object) (*Copy, error)
}

// ObjectReader reads a cluster's objects whole.
type ObjectReader interface {
	// Read gives the object of the same kind and name as it stands; nil where there is none.
	Read(ctx context.Context, object Object) (Object, error)
}

// recheck is how often a name is looked at again that is taken in the target by an object without our marks: such an
// object is outside all watches.
const recheck = 5 * time.Second

// maxRounds bounds how often one look at a key plans anew because the target was not as its watches said.
const maxRounds = 5

// Direction says what a [Mirror] reads, writes and obeys.
type Direction struct {
	// Rules are complete but for the source's UID, which each look at a key proves anew.
	Rules  Rules
	Source SourceReader
	Target TargetReader
	Writer TargetWriter
	// To is the display name of the target.
	To string
	// Objects reads whole objects of the target, for those who show them; nothing is decided by it.
	Objects ObjectReader
	// Exports is the target in its other role, that of a source.
	Exports SourceReader
	// RecoverAfter is how long the target's own Service must keep enough ready addresses before failover ends; zero for not
	// at all.
	RecoverAfter time.Duration
	// Overlap is that of source and target.
	Overlap AddressOverlap
	// Brake bounds the withdrawals.
	Brake *Brake
	// Heartbeat is the source's.
	Heartbeat Heartbeat
	// Orders are an operator's about the source; nil for none.
	Orders Orders
	// WithdrawAfter is how long a source may be unreachable before its addresses are withdrawn; zero for ever.
	WithdrawAfter time.Duration
	// InScope leaves out the namespaces that the daemon is not to look at; what stands there is not touched either.
	InScope func(namespace string) bool
	// MayWrite, where it is set, is asked before each write: a daemon that was paused may have been replaced meanwhile.
	MayWrite func() error
	// DryRun logs the changes instead of writing them.
	DryRun bool
	// Observer counts what is done; nil for nobody.
	Observer Observer
	// SourceEvents and TargetEvents write Kubernetes Events in the two clusters; nil for none.
	SourceEvents, TargetEvents EventRecorder
	// Log has the fields "from" and "to".
	Log logrus.FieldLogger
}

// Mirror is one direction at work: it brings the target in line with the source, one key at a time.
type Mirror struct {
	Direction
	queue *Queue
	pass  *pass

	mu sync.Mutex
	// verdicts are shared by the many names that have the same one.
	verdicts map[Key]unique.Handle[Verdict]
	// foreign are the objects without our marks that were found in the way of a name.
	foreign map[Key][]*Copy
	// dated is when the source last changed, of each name of which it says.
	dated map[Key]int64
	// stale: the source has been silent for longer than WithdrawAfter.
	stale atomic.Bool
	// endpoints are the turns of the names that have Endpoints to update.
	endpoints *turns
	births    *births
	// mirroredEvents bounds the Events that say no more than that all is well.
	mirroredEvents *rate.Limiter

	recovery recovery

	looks, tending pulse
}

// NewMirror makes a direction ready to run. The name is that of its queue's metrics.
func NewMirror(name string, direction Direction) *Mirror {
	if direction.Observer == nil {
		direction.Observer = unobserved{}
	}
	mirror := &Mirror{
		Direction: direction,
		queue:     NewQueue(name),
		pass:      newPass(func() { direction.Log.Info("first pass done") }),
		verdicts:  map[Key]unique.Handle[Verdict]{},
		foreign:   map[Key][]*Copy{},
		dated:     map[Key]int64{},
		recovery:  recovery{after: direction.RecoverAfter},

		mirroredEvents: rate.NewLimiter(mirroredPerSecond, mirroredAtOnce),
	}
	mirror.endpoints, mirror.births = newTurns(mirror.queue.Add), newBirths(mirror.queue.AddBacklog)
	mirror.queue.lanes.waited = func(lane Lane, wait time.Duration) { mirror.Observer.Waited(lane, wait) }
	return mirror
}

// enqueueAll adds the union of the exported names and the pointers: drift, orphans and a restart are found the same way
// as a change. The first one to come with both sides synced is the first pass.
func (m *Mirror) enqueueAll() {
	if m.unsynced() != nil {
		return
	}
	keys := m.names()
	m.pass.begin(keys)
	// What the first pass has yet to try may be on neither side any more.
	for key := range keys.Insert(m.pass.left()...) {
		m.queue.AddBacklog(key)
	}
}

func (m *Mirror) enqueue(key Key) {
	if m.InScope(key.Namespace) {
		m.queue.Add(key)
	}
}

func (m *Mirror) enqueueNamespace(name string) {
	for key := range m.names() {
		if key.Namespace == name {
			m.queue.Add(key)
		}
	}
}

// run works until the queue is shut down. ctx is that of the writes: it ends after the queue does, so that a write in
// hand can finish.
func (m *Mirror) run(ctx context.Context, workers int) {
	m.births.allow(workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for m.work(ctx) {
			}
		})
	}
	group.Wait()
	m.endpoints.stop()
	m.births.stop()
}

// tendInterval is how often a direction looks after what no event tells of.
const tendInterval = 2 * time.Second

func (m *Mirror) work(ctx context.Context) bool {
	key, shutdown := m.queue.Get()
	if shutdown {
		return false
	}
	defer m.queue.Done(key)
	defer m.looks.begin()()
	if m.queue.ShuttingDown() {
		// A queue that is shut down gives out what is left in it; the next start finds it again.
		return true
	}
	verdict, err := m.reconcile(ctx, key)
	if errors.Is(err, errUnsynced) || errors.Is(err, errAwaitsBirth) {
		// All names are added again once the watches have told all there is, and a birth is when there is room for it.
		m.queue.Forget(key)
		return true
	}
	m.record(key, verdict)
	if errors.Is(err, errAwaitsTurn) {
		// It is added again when its turn has come.
		m.queue.Forget(key)
		return true
	}
	if err == nil {
		m.queue.Forget(key)
	} else if !m.queue.ShuttingDown() {
		m.Observer.Failed()
		m.queue.Retry(key)
	}
	m.pass.tried(key, err)
	return true
}

// reconcile brings one name in line, and gives its verdict. With an error, the verdict says what it waits for, and the
// name is to be looked at again.
func (m *Mirror) reconcile(ctx context.Context, key Key) (Verdict, error) {
	if m.endpoints.has(key) {
		// A turn that comes during this look is for the next one, for which the name is queued again.
		defer m.endpoints.giveBack(key)
	}
	verdict, err := m.bring(ctx, key)
	if !errors.Is(err, errAwaitsBirth) {
		// A name that was admitted need not come to be born. One that waits may be admitted by now, for the next look.
		m.births.end(key)
	}
	if (err != nil || verdict.Reason == Held) && m.drained() {
		return m.evacuate(ctx, key, verdict, err)
	}
	return verdict, err
}

func (m *Mirror) drained() bool {
	return m.Orders != nil && m.Orders.Drained(m.Heartbeat.UID())
}

// evacuate takes the addresses out of the pointer of a drained source that could not be planned for: it need not be
// reachable, nor its Service known. To empty a pointer on an operator's order needs no proof of the source, and as the
// Service stays, the delete brake has no part in it.
func (m *Mirror) evacuate(ctx context.Context, key Key, verdict Verdict, err error) (Verdict, error) {
	rules := m.Rules
	rules.Cluster = m.Heartbeat.UID()
	copies, unsynced := m.Target.Copies(key)
	if unsynced != nil {
		return verdict, err
	}
	if changes := rules.evacuation(copies); len(changes) > 0 {
		if failed := m.apply(ctx, rules, key, Plan{Changes: changes}); failed != nil {
			return verdict, errors.Join(err, failed)
		}
	}
	return verdict, err
}

func (m *Mirror) bring(ctx context.Context, key Key) (Verdict, error) {
	rules, err := m.provenRules(ctx)
	if err != nil {
		m.recovery.forget(key)
		return unproven(err), err
	}
	if err := m.refreshForeign(ctx, rules, key); err != nil {
		return pending(WriteFailed, "%v", err), err
	}
	for range maxRounds {
		look, err := m.look(ctx, rules, key)
		plan := look.Plan
		if err != nil {
			m.recovery.forget(key)
			return plan.Verdict, err
		}
		if left, recovers := m.recovery.note(key, plan); recovers {
			m.queue.RetryAfter(key, left)
		}
		held := false
		if !plan.Evacuates {
			held, err = m.brake(ctx, key, plan)
		}
		if held {
			return heldVerdict(plan.Verdict), nil
		}
		if err == nil {
			err = m.apply(ctx, rules, key, plan)
		}
		switch {
		case errors.Is(err, errStale):
			continue
		case errors.Is(err, errAwaitsTurn):
			m.tellDone(look)
			return plan.Verdict, err
		case errors.Is(err, errAwaitsBirth):
			return plan.Verdict, err
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return refused(NamespaceTerminating, "%v", err), err
		case err != nil:
			return pending(WriteFailed, "%v", err), err
		}
		if m.isForeign(key) {
			m.queue.RetryAfter(key, recheck)
		}
		if plan.Yields {
			m.recovery.forget(key)
		}
		m.tellDone(look)
		return plan.Verdict, nil
	}
	return pending(WriteFailed, "the target keeps changing under the writes"), errStale
}

// provenRules completes the rules with the UID of the source, which is proven to be the one at the other end; or, where an
// operator wants a silent source's addresses withdrawn, with the one that it had.
func (m *Mirror) provenRules(ctx context.Context) (Rules, error) {
	rules := m.Rules
	rules.Drained = m.drained()
	if m.stale.Load() {
		rules.Cluster = m.Heartbeat.UID()
		return rules, nil
	}
	var err error
	rules.Cluster, err = m.Source.Verify(ctx)
	return rules, err
}

// errUnsynced says that the watches have yet to tell all there is.
var errUnsynced = errors.New("not synced")

func unproven(err error) Verdict {
	return refused(SourceUnproven, "nothing is taken away until the source can be read: %v", err)
}

// tend looks after what no event tells of: that the brake was released from elsewhere, and that the source is silent.
func (m *Mirror) tend(ctx context.Context) {
	defer m.tending.begin()()
	if err := m.tendBrake(ctx); err != nil {
		m.Log.WithError(err).Debug("can't look after the delete brake")
	}
	stale := m.WithdrawAfter > 0 && m.Heartbeat.Silence() > m.WithdrawAfter
	if m.stale.Swap(stale) != stale {
		m.enqueueAll()
	}
}
