package sync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBirthsFollowHowLongTheyTake(t *testing.T) {
	long := func(took time.Duration, times int) (all []time.Duration) {
		for range times {
			all = append(all, took)
		}
		return all
	}
	tests := []struct {
		name  string
		took  []time.Duration
		limit int
	}{
		{"fast ones stay many", long(10*time.Millisecond, 20), 8},
		{"slow ones become few", append(long(10*time.Millisecond, 1), long(200*time.Millisecond, 3)...), 5},
		{"never fewer than keep the API server busy", append(long(10*time.Millisecond, 1), long(time.Second, 20)...), fewestBirths},
		{"what is between is left as it is", slices.Concat(long(10*time.Millisecond, 1), long(200*time.Millisecond, 3), long(80*time.Millisecond, 5)), 5},
		{"when they are fast again, there are more", append(long(time.Second, 20), long(20*time.Millisecond, 20)...), 8},
		{"an API server that is far away is not slow", long(300*time.Millisecond, 20), 8},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBirths(func(Key) {})
			b.allow(8)
			for _, took := range test.took {
				b.learn(took)
			}
			if b.limit != test.limit {
				t.Errorf("%d at a time, not %d", b.limit, test.limit)
			}
		})
	}
}

// TestALiveChangeDoesNotWaitForTheBacklogsBirths: however few of the backlog are created at a time. It takes the room of one.
func TestALiveChangeDoesNotWaitForTheBacklogsBirths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sourceOf(exported()))
		delete(b.source.cached, web)
		for n := range fewestBirths + 2 {
			name := fmt.Sprintf("web-%d", n)
			b.source.cached[keyOf(name)] = sourceOf(exported(named(keyOf(name).Namespace, name)))
		}
		underWay := make(chan string, len(b.source.cached)+1)
		b.target.refuse = func(call string) error {
			if name, isBirth := strings.CutPrefix(call, "create Service "); isBirth {
				underWay <- name
				time.Sleep(time.Second)
			}
			return nil
		}
		b.source.unsynced = true
		// There are no more workers than may create: those of the backlog wait outside.
		hub := running(t, fewestBirths+1, b.mirror)
		synctest.Wait()
		for n := range 2 * len(b.source.cached) {
			b.mirror.births.learn(time.Duration(n) * time.Second)
		}
		b.source.set(func() { b.source.unsynced = false })
		hub.EnqueueAll()
		synctest.Wait()
		if len(underWay) != fewestBirths {
			t.Errorf("%d of the backlog are created at a time, not %d", len(underWay), fewestBirths)
		}
		time.Sleep(time.Second / 2)
		b.source.set(func() { b.source.cached[web] = sourceOf(exported()) })
		hub.Enqueue(web)
		synctest.Wait()
		if len(underWay) != fewestBirths+1 {
			t.Errorf("the live one waits for them")
		}
		time.Sleep(time.Second * 3 / 4)
		if rest := len(underWay) - fewestBirths - 1; rest != fewestBirths-1 {
			t.Errorf("%d of the backlog are created beside the live one, not %d", rest, fewestBirths-1)
		}
		time.Sleep(time.Minute)
		if len(underWay) != cap(underWay) {
			t.Errorf("%d of %d were created in the end", len(underWay), cap(underWay))
		}
	})
}

// TestABirthThatHadToWaitIsPlannedAnew: meanwhile another daemon may have taken over, or the Service may be gone.
func TestABirthThatHadToWaitIsPlannedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sourceOf(exported()))
		other := keyOf("other")
		b.mirror.births.begin(other, true)
		hub := running(t, 1, b.mirror)
		hub.EnqueueAll()
		synctest.Wait()
		if calls := b.take(); len(calls) > 0 {
			t.Fatalf("it does not wait: %q", calls)
		}
		if depth := b.mirror.Depth(LaneBacklog); depth != 1 {
			t.Errorf("%d wait in the backlog, not 1", depth)
		}
		b.source.set(func() { delete(b.source.cached, web) })
		b.mirror.births.end(other)
		synctest.Wait()
		if calls := b.take(); len(calls) > 0 {
			t.Errorf("it has looked and written: %q", calls)
		}
		if depth := b.mirror.Depth(LaneBacklog); depth != 0 || !b.mirror.births.begin(other, true) {
			t.Errorf("it keeps its room, and %d wait", depth)
		}
	})
}

func TestAFailureSaysNothingAboutHowLongABirthTakes(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.target.refuse = func(call string) error {
		if strings.HasPrefix(call, "create Service") {
			return errors.New("connection refused")
		}
		return nil
	}
	if _, err := b.reconcile(t, web); err == nil || b.mirror.births.fastest != 0 {
		t.Errorf("%v; learnt: %s", err, b.mirror.births.fastest)
	}
}
