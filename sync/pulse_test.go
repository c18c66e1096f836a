package sync

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStuckWork(t *testing.T) {
	tests := []struct {
		name  string
		waits time.Duration // of each write
		after time.Duration
		stuck bool
	}{
		{name: "writes that a cluster answers late are no reason to give up", waits: 29 * time.Second, after: 10 * time.Minute},
		{name: "a write that takes long is not stuck at once", waits: time.Hour, after: stuckAfter},
		{name: "a write that never ends is", waits: time.Hour, after: stuckAfter + time.Second, stuck: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, many(20)...)
				b.target.refuse = func(string) error {
					time.Sleep(test.waits)
					return nil
				}
				hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 1}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- hub.Run(ctx) }()
				hub.EnqueueAll()
				time.Sleep(test.after)
				if err := hub.Stuck(); (err != nil) != test.stuck {
					t.Errorf("stuck: %v, want %t", err, test.stuck)
				}
				stop()
				<-done
			})
		})
	}
}

func TestNothingToDoIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(3)...)
		hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 2}
		if hub.Running() || hub.Passed() || !strings.Contains(hub.Summary(), "reading") {
			t.Errorf("before it runs: running %t, passed %t, %q", hub.Running(), hub.Passed(), hub.Summary())
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- hub.Run(ctx) }()
		hub.EnqueueAll()
		time.Sleep(time.Hour)
		if err := hub.Stuck(); err != nil {
			t.Error(err)
		}
		if !hub.Running() || !hub.Passed() || hub.Summary() != "3 mirrored, 0 pending, 0 refused" {
			t.Errorf("at rest: running %t, passed %t, %q", hub.Running(), hub.Passed(), hub.Summary())
		}
		stop()
		<-done
	})
}
