package sync

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
)

// passTries is how often a failing key is tried before a pass counts it as failed and ends without it.
const passTries = 5

// pass follows a set of keys until each was brought in line, or failed for good. There is one per direction: that of its
// start.
type pass struct {
	mu     sync.Mutex
	begun  bool
	open   map[Key]int // tries so far
	failed sets.Set[Key]
	unseen sets.Set[Key] // of which it is not known yet whether they are to be withdrawn
	begins chan struct{} // closed when the keys are set
	done   chan struct{}
	onDone func()
}

// newPass makes a pass that calls onDone when it has ended.
func newPass(onDone func()) *pass {
	return &pass{failed: sets.New[Key](), begins: make(chan struct{}), done: make(chan struct{}), onDone: onDone}
}

// begin sets the keys; all but the first call are ignored.
func (p *pass) begin(keys sets.Set[Key]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun {
		return
	}
	close(p.begins)
	p.begun, p.open, p.unseen = true, make(map[Key]int, len(keys)), keys.Clone()
	for key := range keys {
		p.open[key] = 0
	}
	p.endIfDone()
}

func (p *pass) tried(key Key, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tries, open := p.open[key]
	if !open {
		return
	}
	if err != nil && tries+1 < passTries {
		p.open[key] = tries + 1
		return
	}
	if err != nil {
		p.failed.Insert(key)
	}
	delete(p.open, key)
	p.endIfDone()
}

// saw notes that a key was looked at, with success, whatever became of its writes.
func (p *pass) saw(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unseen.Delete(key)
}

// sawAll reports whether all keys were looked at. Unlike the end of the pass, that waits for every one.
func (p *pass) sawAll() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun && p.unseen.Len() == 0
}

// left are the keys that were neither brought in line nor given up yet.
func (p *pass) left() []Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.open))
}

func (p *pass) endIfDone() {
	if len(p.open) == 0 {
		p.open = nil
		close(p.done)
		p.onDone()
	}
}

func (p *pass) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failures counts the keys that failed for good.
func (p *pass) failures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed.Len()
}

// progress says what there is still to do; nothing when all is done.
func (p *pass) progress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.begun:
		return "reading"
	case len(p.open) > 0:
		return fmt.Sprintf("%d names to go", len(p.open))
	default:
		return ""
	}
}
