package sync

import (
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
)

// turns bounds how many names are in one kind of work at a time. The others wait outside the workers, in the order in
// which they asked, and each once however often it asks.
type turns struct {
	mu      sync.Mutex
	free    int
	holding sets.Set[Key]
	waiting []Key
	asked   sets.Set[Key] // those waiting
}

func newTurns(count int) *turns {
	return &turns{free: count, holding: sets.New[Key](), asked: sets.New[Key]()}
}

// take gives the name a turn, or has it wait for one.
func (t *turns) take(key Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.holding.Has(key):
	case t.free > 0:
		t.free--
		t.holding.Insert(key)
	case t.asked.Has(key):
		return false
	default:
		t.asked.Insert(key)
		t.waiting = append(t.waiting, key)
		return false
	}
	return true
}

// giveBack gives a name's turn back, if it has one, to the one that has waited longest, which is to be looked at again.
func (t *turns) giveBack(key Key) (next Key, waited bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.holding.Has(key) {
		return next, false
	}
	t.holding.Delete(key)
	if len(t.waiting) == 0 {
		t.free++
		return next, false
	}
	next, t.waiting = t.waiting[0], t.waiting[1:]
	t.asked.Delete(next)
	t.holding.Insert(next)
	return next, true
}

// endpointsTurns is how many updates of Endpoints a direction makes at a time. Those who forward traffic read slices,
// and Endpoints are as costly to write: where the target is at its limit, they must not hold the slices of others up.
// There a name's Endpoints are written once for all that has changed meanwhile.
const endpointsTurns = 2

// errAwaitsTurn says that all was written but Endpoints, which wait for a turn.
var errAwaitsTurn = errors.New("the Endpoints wait for their turn")

// mayWait reports whether the rest of a plan is an update of Endpoints that does not empty them.
func mayWait(plan Plan, rest []Change) bool {
	return len(rest) == 1 && rest[0].Operation == Update && kindOf(rest[0].Object) == KindEndpoints && !plan.Destroys()
}
