package sync

import (
	"sync"
	"time"
)

// births bounds how many Services are created at a time for the backlog. An API server gives Service addresses out one at a
// time, and takes the longer for each the more are in use (k8s.io/kubernetes, pkg/registry/core/service/ipallocator: Used,
// which a metric asks for at each): what more workers ask for at a time is done no sooner, and a live change has to wait
// for it. So their number follows how long it takes.
type births struct {
	mu   sync.Mutex
	room sync.Cond
	// running are those under way; limit is how many there may be, and most how many there ever may.
	running, limit, most int
	// fastest is the least that one took so far: how far away the API server is.
	fastest time.Duration
}

const (
	// fewestBirths keep an API server busy that does one at a time, while the next is on its way.
	fewestBirths = 2
	// slowBirth is how long one may take before there are fewer of them, unless they always took half of that at the least.
	slowBirth = 100 * time.Millisecond
)

func newBirths() *births {
	b := &births{}
	b.room.L = &b.mu
	return b
}

// allow says how many workers there are.
func (b *births) allow(workers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most, b.limit = workers, workers
}

// begin waits until there may be one more.
func (b *births) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.running >= max(b.limit, 1) {
		b.room.Wait()
	}
	b.running++
}

// end makes room for another.
func (b *births) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	b.room.Broadcast()
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
	b.room.Broadcast()
}
