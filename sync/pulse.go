package sync

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// stuckAfter is how long work that has begun may make no step. Each step is bounded by the time of a request, so work that
// is slow because a cluster is slow goes on.
const stuckAfter = 5 * time.Minute

// pulse tells work that goes on from work that has stopped in the middle.
type pulse struct {
	mu    sync.Mutex
	open  int
	moved time.Time
}

// begin notes that a piece of work has begun. Its end is the function that is given back.
func (p *pulse) begin() (end func()) {
	p.move(1)
	return func() { p.move(-1) }
}

// step notes that work that has begun goes on.
func (p *pulse) step() { p.move(0) }

func (p *pulse) move(count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += count
	p.moved = time.Now()
}

// stopped is how long none of the work that has begun has moved.
func (p *pulse) stopped() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == 0 {
		return 0
	}
	return time.Since(p.moved)
}

// Running tells whether Run has begun: a daemon that stands by has not.
func (h *Hub) Running() bool {
	return h.running.Load()
}

// Passed tells whether each direction has read both clusters and brought every name that it found in line.
func (h *Hub) Passed() bool {
	for _, mirror := range h.Mirrors {
		if !mirror.pass.isDone() {
			return false
		}
	}
	return true
}

// Stuck fails where a direction has stopped in the middle of its work, as no fault of a cluster can make it. It takes every lock that
// the work takes, and does not return where one is never given back.
func (h *Hub) Stuck() error {
	for _, mirror := range h.Mirrors {
		mirror.queue.Len()
		for _, part := range []*pulse{&mirror.looks, &mirror.tending} {
			if stopped := part.stopped(); stopped > stuckAfter {
				return fmt.Errorf("the direction from %s has made no step for %s", mirror.Rules.Name, stopped.Round(time.Second))
			}
		}
	}
	return nil
}

// Summary is in one line how far the first pass is, or what the verdicts are.
func (h *Hub) Summary() string {
	counts := map[State]int{}
	var open []string
	for _, mirror := range h.Mirrors {
		if progress := mirror.pass.progress(); progress != "" {
			open = append(open, "from "+mirror.Rules.Name+": "+progress)
		}
		for state, count := range mirror.states() {
			counts[state] += count
		}
	}
	if len(open) > 0 {
		return "first pass " + strings.Join(open, ", ")
	}
	return fmt.Sprintf("%d mirrored, %d pending, %d refused", counts[Mirrored], counts[Pending], counts[Refused])
}

// states counts the verdicts.
func (m *Mirror) states() map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[State]int{}
	for _, verdict := range m.verdicts {
		counts[verdict.Value().State]++
	}
	return counts
}
