package sync

import (
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// turns lets updates of Endpoints go one at a time, and while no slice is being written. Those who forward traffic read
// slices only, and Endpoints are as costly to write: they are not to hold slices up, and where the target is at its limit
// a name's are written once for all that has changed meanwhile. Names wait for their turn outside the workers, in the
// order in which they asked.
type turns struct {
	mu sync.Mutex
	// slices is how many of them are being written.
	slices int
	// holder has the turn, if taken, since then.
	holder  Key
	taken   bool
	since   time.Time
	waiting []waitingKey
	asked   sets.Set[Key] // those waiting
}

type waitingKey struct {
	key   Key
	since time.Time
}

// turnPatience is how long a name waits for a moment in which no slice is written, and how long for another that has the
// turn: a write that hangs is overtaken.
const turnPatience = time.Second

func newTurns() *turns {
	return &turns{asked: sets.New[Key]()}
}

// beginSlice and endSlice enclose the write of a slice. The latter may give the turn, as does giveBack.
func (t *turns) beginSlice() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slices++
}

func (t *turns) endSlice() (next Key, given bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slices--
	return t.give()
}

// take gives the name the turn, or has it wait for it. Who waits for longer than turnPatience should ask again.
func (t *turns) take(key Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken && t.holder == key {
		return true
	}
	if !t.asked.Has(key) {
		t.asked.Insert(key)
		t.waiting = append(t.waiting, waitingKey{key, time.Now()})
	}
	// Another that waits before it is given the turn when the last slice is written.
	if t.waiting[0].key != key {
		return false
	}
	_, given := t.give()
	return given
}

// giveBack ends the name's turn, if it has it, and gives it to the next, which is to be looked at again.
func (t *turns) giveBack(key Key) (next Key, given bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.taken || t.holder != key {
		return next, false
	}
	t.taken = false
	return t.give()
}

func (t *turns) give() (next Key, given bool) {
	switch {
	case len(t.waiting) == 0,
		t.taken && time.Since(t.since) < turnPatience,
		t.slices > 0 && time.Since(t.waiting[0].since) < turnPatience:
		return next, false
	}
	next, t.waiting = t.waiting[0].key, t.waiting[1:]
	t.asked.Delete(next)
	t.holder, t.taken, t.since = next, true, time.Now()
	return next, true
}

// endpointsDelay is how long after its slices a name's Endpoints are written: the target's watches are to tell of the
// slices first. What changes within it is written once.
const endpointsDelay = 10 * time.Millisecond

// errAwaitsTurn says that all was written but Endpoints, which wait for a turn.
var errAwaitsTurn = errors.New("the Endpoints wait for their turn")

// mayWait reports whether the rest of a plan is an update of Endpoints that does not empty them.
func mayWait(plan Plan, rest []Change) bool {
	return len(rest) == 1 && rest[0].Operation == Update && kindOf(rest[0].Object) == KindEndpoints && !plan.Destroys()
}
