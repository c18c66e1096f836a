package sync

import (
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// turns lets updates of Endpoints go one at a time, after the slices, and while no slice is being written. Those who
// forward traffic read slices only, and Endpoints are as costly to write: they are not to hold slices up, and where the
// target is at its limit a name's are written once for all that has changed meanwhile. Names wait for their turn outside
// the workers, in the order in which they asked.
type turns struct {
	// call is called with a name that has been given the turn.
	call func(Key)

	mu sync.Mutex
	// slices is how many of them are being written.
	slices int
	// holder has the turn, if taken, since then.
	holder  Key
	taken   bool
	since   time.Time
	waiting []waitingKey
	asked   sets.Set[Key] // those waiting
	// timer is for when the first that waits may go for no other cause than that time has passed.
	timer *time.Timer
}

type waitingKey struct {
	key   Key
	since time.Time
}

const (
	// turnDelay is how long a name waits at the least: the target's watches are to tell of the slices first. What changes
	// within it is written once.
	turnDelay = 3 * time.Millisecond
	// turnPatience is how long a name waits for a moment in which no slice is written, and how long for another that has
	// the turn: a write that hangs is overtaken.
	turnPatience = time.Second
)

func newTurns(call func(Key)) *turns {
	return &turns{call: call, asked: sets.New[Key]()}
}

// beginSlice and endSlice enclose the write of a slice.
func (t *turns) beginSlice() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slices++
}

func (t *turns) endSlice() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slices--
	t.give()
}

// has reports whether the name has the turn.
func (t *turns) has(key Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taken && t.holder == key
}

// ask has the name wait for the turn. It is called when it has it.
func (t *turns) ask(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.asked.Has(key) {
		t.asked.Insert(key)
		t.waiting = append(t.waiting, waitingKey{key, time.Now()})
	}
	t.give()
}

// giveBack ends the name's turn, if it has it.
func (t *turns) giveBack(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken && t.holder == key {
		t.taken = false
		t.give()
	}
}

// stop forgets all that wait.
func (t *turns) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = nil
	t.asked.Clear()
}

// give gives the first that waits the turn, or sees to it that this is tried again in time. The caller holds the lock.
func (t *turns) give() {
	if len(t.waiting) == 0 {
		return
	}
	first := t.waiting[0]
	left := turnDelay - time.Since(first.since)
	if t.slices > 0 {
		left = turnPatience - time.Since(first.since)
	}
	if t.taken {
		left = max(left, turnPatience-time.Since(t.since))
	}
	if left > 0 {
		t.wake(left)
		return
	}
	t.waiting = t.waiting[1:]
	t.asked.Delete(first.key)
	t.holder, t.taken, t.since = first.key, true, time.Now()
	t.call(first.key)
	t.give()
}

func (t *turns) wake(after time.Duration) {
	if t.timer != nil {
		t.timer.Reset(after)
		return
	}
	t.timer = time.AfterFunc(after, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.give()
	})
}

// errAwaitsTurn says that all was written but Endpoints, which wait for a turn.
var errAwaitsTurn = errors.New("the Endpoints wait for their turn")

// mayWait reports whether the rest of a plan is an update of Endpoints that does not empty them.
func mayWait(plan Plan, rest []Change) bool {
	return len(rest) == 1 && rest[0].Operation == Update && kindOf(rest[0].Object) == KindEndpoints && !plan.Destroys()
}
