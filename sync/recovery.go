package sync

import (
	"sync"
	"time"
)

// RecoverAfter is how long a native Service must have kept enough ready addresses before failover takes the source's away
// again. As they come back at once when it has too few, failover changes sides no faster than this.
const RecoverAfter = 10 * time.Second

// recovery knows since when native Services have had enough ready addresses again. It forgets with the process: then the time
// starts anew, and what was added stands longer.
type recovery struct {
	// after is how long that has to last; with zero, no time at all.
	after time.Duration

	mu    sync.Mutex
	since map[Key]time.Time // monotonic
}

// isOver reports whether it has lasted long enough.
func (r *recovery) isOver(key Key) bool {
	if r.after == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	since, recovers := r.since[key]
	return recovers && time.Since(since) >= r.after
}

// note takes what a look at a name has found, and gives how long it has to last yet; nothing where nothing recovers.
func (r *recovery) note(key Key, plan Plan) (left time.Duration, recovers bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case plan.Yields:
		return 0, false
	case !plan.Recovers:
		delete(r.since, key)
		return 0, false
	}
	since, begun := r.since[key]
	if !begun {
		if r.since == nil {
			r.since = map[Key]time.Time{}
		}
		since = time.Now()
		r.since[key] = since
	}
	return max(0, r.after-time.Since(since)), true
}

// forget ends it for a name of which nothing is known for certain, or that has recovered.
func (r *recovery) forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, key)
}
