package sync

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
)

func TestPass(t *testing.T) {
	failure := errors.New("quota")
	a, b := keyOf("a"), keyOf("b")
	tests := []struct {
		name     string
		do       func(*pass)
		done     bool
		failures int
	}{
		{"a pass that has not begun is not done", func(*pass) {}, false, 0},
		{"a pass over nothing is done at once", func(p *pass) { p.begin(nil) }, true, 0},
		{"a pass is not done before each key was tried", func(p *pass) {
			p.begin(sets.New(a, b))
			p.tried(a, nil)
		}, false, 0},
		{"a pass is done when each key succeeded", func(p *pass) {
			p.begin(sets.New(a, b))
			p.tried(b, nil)
			p.tried(a, nil)
		}, true, 0},
		{"a key that failed once is waited for", func(p *pass) {
			p.begin(sets.New(a))
			p.tried(a, failure)
		}, false, 0},
		{"a key that fails and then succeeds is no failure", func(p *pass) {
			p.begin(sets.New(a))
			for range passTries - 1 {
				p.tried(a, failure)
			}
			p.tried(a, nil)
		}, true, 0},
		{"a key that fails too often is given up", func(p *pass) {
			p.begin(sets.New(a, b))
			p.tried(b, nil)
			for range passTries {
				p.tried(a, failure)
			}
		}, true, 1},
		{"other keys don't matter", func(p *pass) {
			p.begin(sets.New(a))
			p.tried(b, nil)
		}, false, 0},
		{"what comes after the end changes nothing", func(p *pass) {
			p.begin(sets.New(a))
			p.tried(a, nil)
			for range 2 * passTries {
				p.tried(a, failure)
			}
		}, true, 0},
		{"only the first beginning counts", func(p *pass) {
			p.begin(sets.New(a))
			p.begin(sets.New(a, b))
			p.tried(a, nil)
		}, true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ended := 0
			p := newPass(func() { ended++ })
			test.do(p)
			if done := p.isDone(); done != test.done || (ended == 1) != test.done {
				t.Errorf("done: %t, told %d times; want %t", done, ended, test.done)
			}
			if failures := p.failures(); failures != test.failures {
				t.Errorf("%d failures, want %d", failures, test.failures)
			}
		})
	}
}

func TestAPassHasSeenAllWhenEachKeyWasLookedAt(t *testing.T) {
	a, b := keyOf("a"), keyOf("b")
	p := newPass(func() {})
	p.saw(a)
	if p.sawAll() {
		t.Error("before it has begun")
	}
	p.begin(sets.New(a, b))
	p.saw(a)
	for range passTries {
		p.tried(b, errors.New("the source is away"))
	}
	p.tried(a, nil)
	if !p.isDone() || p.sawAll() {
		t.Errorf("done: %t, seen all: %t, with one that could not be looked at", p.isDone(), p.sawAll())
	}
	p.saw(b)
	if !p.sawAll() {
		t.Error("not when that was looked at after the end")
	}
}
