package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// many are exported Services web-0, web-1 and so on, each with one slice.
func many(count int) []Source {
	var all []Source
	for i := range count {
		service := exported(named("shop", fmt.Sprintf("web-%d", i)))
		all = append(all, sourceOf(service, sliceOf(service.Name+"-1", ready("10.0.0.1"))))
	}
	return all
}

func TestHubLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := newBench(t, many(20)...)
	hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 4, Once: true}
	hub.EnqueueAll()
	if err := hub.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if count := len(b.target.model.objects); count != 60 {
		t.Errorf("20 Services made %d objects, not 60", count)
	}
}

func TestHubEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(3)...)
		hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 2}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- hub.Run(ctx) }()
		hub.EnqueueAll()
		synctest.Wait()
		if count := len(b.target.model.objects); count != 9 {
			t.Errorf("3 Services made %d objects, not 9", count)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("a hub that was told to stop failed: %v", err)
		}
	})
}

func TestOnce(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*bench)
		fails bool
	}{
		{name: "nothing exported and nothing there ends at once", edit: func(b *bench) { clear(b.source.cached) }},
		{name: "all in line ends well", edit: func(*bench) {}},
		{name: "a refusal is in line", edit: func(b *bench) { delete(b.target.namespaces, "shop") }},
		{
			name: "a name that can't be written fails", fails: true,
			edit: func(b *bench) { b.target.refuse = refusing("web-1 ", errors.New("quota")) },
		},
		{
			name: "a name that fails at first and then works is no failure",
			edit: func(b *bench) {
				tries := 0
				b.target.refuse = func(call string) error {
					if call == "create Service shop/web-1" {
						if tries++; tries < passTries {
							return errors.New("quota")
						}
					}
					return nil
				}
			},
		},
		{
			name: "a source that can't be read fails", fails: true,
			edit: func(b *bench) { b.source.verifyErr = errors.New("no route to host") },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, many(3)...)
				test.edit(b)
				hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 2, Once: true}
				hub.EnqueueAll()
				if err := hub.Run(t.Context()); (err != nil) != test.fails {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestOnceThatIsStoppedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(3)...)
		b.source.unsynced = true
		hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 2, Once: true}
		hub.EnqueueAll()
		ctx, stop := context.WithCancelCause(t.Context())
		stop(errors.New("terminated"))
		if err := hub.Run(ctx); err == nil || !strings.Contains(err.Error(), "terminated") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestShutdownFinishesTheWriteInHandAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(50)...)
		ctx, stop := context.WithCancel(t.Context())
		inHand, answer := make(chan string), make(chan struct{})
		b.target.refuse = func(call string) error {
			if strings.HasPrefix(call, "create") {
				inHand <- call
				<-answer
			}
			return nil
		}
		hub := &Hub{Mirrors: []*Mirror{b.mirror}, Workers: 1}
		done := make(chan error)
		go func() { done <- hub.Run(ctx) }()
		hub.EnqueueAll()
		first := <-inHand
		b.take()
		stop()
		synctest.Wait()
		close(answer)
		var later []string
		for running := true; running; {
			select {
			case call := <-inHand:
				later = append(later, call)
			case err := <-done:
				running = false
				if err != nil {
					t.Error(err)
				}
			}
		}
		if len(later) > 0 {
			t.Errorf("after SIGTERM in the middle of %q there were %d more writes: %q", first, len(later), later)
		}
		if b.target.model.objects[KindService.String()+"/"+strings.TrimPrefix(first, "create Service ")] == nil {
			t.Errorf("%s was not finished", first)
		}
	})
}

func TestDirectionsDoNotDelayEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, well := newBench(t, many(3)...), newBench(t, many(3)...)
		release := make(chan struct{})
		stuck.target.refuse = func(string) error {
			<-release
			return errors.New("too late")
		}
		hub := &Hub{Mirrors: []*Mirror{stuck.mirror, well.mirror}, Workers: 2}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- hub.Run(ctx) }()
		hub.EnqueueAll()
		synctest.Wait()
		if count := len(well.target.model.objects); count != 9 {
			t.Errorf("beside a stuck direction, 3 Services made %d objects, not 9", count)
		}
		close(release)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNamespaceOfAllItsNames(t *testing.T) {
	other := exported(named("other", "web"))
	b := newBench(t, append(many(2), sourceOf(other))...)
	hub := &Hub{Mirrors: []*Mirror{b.mirror}}
	hub.EnqueueNamespace("shop")
	var got []string
	for b.mirror.queue.Len() > 0 {
		key, _ := b.mirror.queue.Get()
		b.mirror.queue.Done(key)
		got = append(got, key.String())
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"shop/web-0", "shop/web-1"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func refusing(part string, err error) func(string) error {
	return func(call string) error {
		if strings.HasPrefix(call, "create") && strings.Contains(call+" ", part) {
			return err
		}
		return nil
	}
}
