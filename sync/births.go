package sync

import (
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// births bounds how many Services are created at a time. An API server gives Service addresses out one at a time, and takes
// the longer for each the more are in use (k8s.io/kubernetes, pkg/registry/core/service/ipallocator: Used, which a metric
// asks for at each): what more workers ask for at a time is done no sooner, and a live change has to wait for it. So their
// number follows how long it takes. Those of live changes wait for nobody, and take their room from the backlog. Names wait
// outside the workers, which live changes need.
type births struct {
	// call is called with a name that may be born now, and had to wait.
	call func(Key)

	mu sync.Mutex
	// admitted are those that may be born now; limit is how many of them there are when one of the backlog has to wait, and
	// most the most that this can be.
	admitted    sets.Set[Key]
	limit, most int
	waiting     []Key
	asked       sets.Set[Key] // those waiting
	// fastest is the least that one took so far: how far away the API server is.
	fastest time.Duration
}

const (
	// fewestBirths keep an API server busy that does one at a time, while the next is on its way.
	fewestBirths = 2
	// slowBirth is how long one may take before there are fewer of them, unless they always took half of that at the least.
	slowBirth = 100 * time.Millisecond
)

func newBirths(call func(Key)) *births {
	return &births{call: call, admitted: sets.New[Key](), asked: sets.New[Key]()}
}

// errAwaitsBirth says that nothing was written yet, as the Service waits to be created.
var errAwaitsBirth = errors.New("the Service waits to be created")

// allow says how many workers there are.
func (b *births) allow(workers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most, b.limit = workers, workers
}

// begin reports whether the name may be born now, as all may but those of the backlog, which are patient. If not, it is
// called when it may.
func (b *births) begin(key Key, patient bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !patient {
		b.admitted.Insert(key)
	}
	if !b.admitted.Has(key) && !b.asked.Has(key) {
		b.asked.Insert(key)
		b.waiting = append(b.waiting, key)
		b.admit(key)
	}
	return b.admitted.Has(key)
}

// end makes room for another, if the name was admitted.
func (b *births) end(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.admitted.Has(key) {
		b.admitted.Delete(key)
		b.admit(Key{})
	}
}

// admit lets in as many of those that wait as there is room for, and calls all but the one that asks. The caller holds the lock.
func (b *births) admit(asking Key) {
	for len(b.waiting) > 0 && b.admitted.Len() < max(b.limit, 1) {
		first := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.asked.Delete(first)
		b.admitted.Insert(first)
		if first != asking {
			b.call(first)
		}
	}
}

// depth is how many names wait.
func (b *births) depth() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// stop forgets all names, once no worker is left.
func (b *births) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = nil
	b.asked.Clear()
	b.admitted.Clear()
}

// learn takes how long a creation took that was made: a failure says nothing about that.
func (b *births) learn(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fastest == 0 || took < b.fastest {
		b.fastest = took
	}
	switch slow := max(slowBirth, 2*b.fastest); {
	case took > slow:
		b.limit = max(min(fewestBirths, b.most), b.limit-1)
	case took < slow/2:
		b.limit = min(b.most, b.limit+1)
	}
	b.admit(Key{})
}
