package sync

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Observer is told what a direction does, to count it. Its methods are called by all workers and must not block.
type Observer interface {
	// Wrote: a write was tried, and made if there is no error.
	Wrote(change Change, err error)
	// Propagated: a change that the source dates was carried out, that long after it had happened.
	Propagated(lag time.Duration)
	// Waited: a name was that long in a lane of the queue.
	Waited(lane Lane, wait time.Duration)
	// Failed: a name could not be brought in line, and is to be tried again.
	Failed()
}

type unobserved struct{}

func (unobserved) Wrote(Change, error)        {}
func (unobserved) Propagated(time.Duration)   {}
func (unobserved) Waited(Lane, time.Duration) {}
func (unobserved) Failed()                    {}

// EventRecorder writes Kubernetes Events in one cluster, where it may. It must not block.
type EventRecorder interface {
	Event(about runtime.Object, eventType, reason, message string)
}

// tellDone tells of a plan that was carried out.
func (m *Mirror) tellDone(look Look) {
	if m.DryRun {
		return
	}
	m.tellLag(look)
	if look.Plan.Verdict.State != Mirrored {
		return
	}
	if look.changesHands() {
		m.tellJoined(look.Key, look.Plan.Verdict.Reason)
	}
	for _, change := range look.Plan.Changes {
		if isBirth(change) {
			m.tellMirrored(look.Key)
		}
	}
}

// changesHands reports whether the plan gives a Service of the target's own the first addresses of the source, or takes
// them all away for the target's own sake.
func (l Look) changesHands() bool {
	begins := l.Target.exports() && len(l.Plan.Changes) > 0 && l.Plan.Verdict.Reason != Standby && len(ofKind(l.Target.Copies, KindEndpointSlice)) == 0
	return begins || l.Plan.Yields
}

// tellLag tells how long a change took to get here, once for each. What was changed before the daemon came is not told:
// nobody was there to carry it.
func (m *Mirror) tellLag(look Look) {
	if changed, news := m.date(look); news {
		m.Observer.Propagated(time.Since(changed))
	}
}

// date notes when the source last changed a name, and reports whether that change was carried here just now.
func (m *Mirror) date(look Look) (changed time.Time, news bool) {
	wrote := len(look.Plan.Changes) > 0
	m.mu.Lock()
	defer m.mu.Unlock()
	before, seen := m.dated[look.Key]
	if seen && !wrote {
		return changed, false
	}
	changed, known := LastChange(slices.Concat(look.Source.Slices, look.Target.Native.Slices))
	if !known || look.Plan.Yields {
		return changed, false
	}
	m.dated[look.Key] = changed.UnixNano()
	return changed, wrote && before != changed.UnixNano() && (seen || m.pass.isDone())
}

// tellVerdict writes Events about a verdict that is another than before.
func (m *Mirror) tellVerdict(key Key, before, verdict Verdict) {
	switch {
	case m.DryRun, verdict.Reason == SourceUnproven:
	case verdict.State == Refused:
		m.tellSource(key, corev1.EventTypeWarning, string(verdict.Reason), "no whole pointer in "+m.To+": "+verdict.Message)
		m.tellPointer(key, corev1.EventTypeWarning, string(verdict.Reason), verdict.Message)
	case verdict.State == Mirrored && before.State == Refused && before.Reason != SourceUnproven && verdict.Reason == "":
		m.tellMirrored(key)
	}
}

// tellJoined writes an Event on both Services of a name that both clusters export.
func (m *Mirror) tellJoined(key Key, reason Reason) {
	source, native := "", ""
	switch reason {
	case Joined:
		source, native = "its addresses stand in the Service of its name in %s as well", "has the addresses of the Service of its name in %s as well"
	case FailedOver:
		source = "its addresses stand in the Service of its name in %s as well, which has too few ready ones of its own"
		native = "has the addresses of the Service of its name in %s as well, as too few of its own are ready"
	case Standby:
		source = "its addresses are gone from the Service of its name in %s, which has enough ready ones of its own again"
		native = "has enough ready addresses of its own again, so those of %s are gone"
	}
	m.tellSource(key, corev1.EventTypeNormal, string(reason), fmt.Sprintf(source, m.To))
	if service, _, err := m.Exports.Exported(key); err == nil && service != nil && m.TargetEvents != nil {
		m.TargetEvents.Event(reference(key, service.UID), corev1.EventTypeNormal, string(reason), fmt.Sprintf(native, m.Rules.Name))
	}
}

// Of so many names that are mirrored at once is told by Events; beyond that, of mirroredPerSecond. The Events of an initial
// sync would otherwise be more than what they tell of. The log has a line for each.
const (
	mirroredAtOnce    = 100
	mirroredPerSecond = 1
)

func (m *Mirror) tellMirrored(key Key) {
	if !m.mirroredEvents.Allow() {
		return
	}
	m.tellSource(key, corev1.EventTypeNormal, string(Mirrored), "has a pointer in "+m.To)
	m.tellPointer(key, corev1.EventTypeNormal, string(Mirrored), "is the pointer of the Service in "+m.Rules.Name)
}

func (m *Mirror) tellSource(key Key, eventType, reason, message string) {
	if m.SourceEvents == nil {
		return
	}
	if service, _, err := m.Source.Exported(key); err == nil && service != nil {
		m.SourceEvents.Event(reference(key, service.UID), eventType, reason, message)
	}
}

func (m *Mirror) tellPointer(key Key, eventType, reason, message string) {
	if m.TargetEvents == nil {
		return
	}
	copies, err := m.Target.Copies(key)
	if pointer, _, _ := m.Pointer(Target{Copies: copies}); err == nil && pointer != nil {
		m.TargetEvents.Event(reference(key, pointer.UID), eventType, reason, message)
	}
}

func reference(key Key, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: KindService.String(), Namespace: key.Namespace, Name: key.Name, UID: uid}
}

// Depth is how many names wait in a lane, those of the backlog that wait to be born among them.
func (m *Mirror) Depth(lane Lane) int {
	depth := m.queue.Depth(lane)
	if lane == LaneBacklog {
		depth += m.births.depth()
	}
	return depth
}

// Pointers counts those that stand in the target.
func (m *Mirror) Pointers() int {
	return m.countPointers()
}

// Waiting says what the direction waits for before it has done its first pass; nil when it has, and sees both clusters.
func (m *Mirror) Waiting() error {
	if err := m.unsynced(); err != nil {
		return err
	}
	if progress := m.pass.progress(); progress != "" {
		return fmt.Errorf("the first pass: %s", progress)
	}
	return nil
}
