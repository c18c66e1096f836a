package sync

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func keyOf(name string) Key { return Key{Namespace: "shop", Name: name} }

// drain takes all that is in the queue, in order.
func drain(q *Queue) []string {
	var names []string
	for q.Len() > 0 {
		key, _ := q.Get()
		q.Forget(key)
		q.Done(key)
		names = append(names, key.Name)
	}
	return names
}

func TestQueueOrder(t *testing.T) {
	tests := []struct {
		name string
		add  func(*Queue)
		want []string
	}{
		{"the backlog keeps its order", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
		}, []string{"a", "b"}},
		{"a live change overtakes the backlog", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			q.Add(keyOf("c"))
		}, []string{"c", "a", "b"}},
		{"live changes keep their order", func(q *Queue) {
			q.Add(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			q.Add(keyOf("c"))
		}, []string{"a", "c", "b"}},
		{"a change of a key in the backlog moves it, once", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			q.Add(keyOf("b"))
			q.Add(keyOf("b"))
		}, []string{"b", "a"}},
		{"a live key stays live when the backlog names it too", func(q *Queue) {
			q.Add(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			q.AddBacklog(keyOf("a"))
		}, []string{"a", "b"}},
		{"a key that moved once can wait in the backlog again", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			q.Add(keyOf("a"))
			key, _ := q.Get()
			q.Done(key)
			q.AddBacklog(keyOf("a"))
			q.Add(keyOf("c"))
		}, []string{"c", "b", "a"}},
		{"a change while the key is worked at is live", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			key, _ := q.Get()
			q.Add(key)
			q.Done(key)
		}, []string{"a", "b"}},
		{"a change while the key is worked at stays live when that work fails", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			key, _ := q.Get()
			q.Add(key)
			q.Retry(key)
			q.Done(key)
		}, []string{"a", "b"}},
		{"a change while the key is worked at stays live when the backlog names it too", func(q *Queue) {
			q.AddBacklog(keyOf("a"))
			q.AddBacklog(keyOf("b"))
			key, _ := q.Get()
			q.Add(key)
			q.AddBacklog(key)
			q.Done(key)
		}, []string{"a", "b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := NewQueue("test")
			defer q.ShutDown()
			test.add(q)
			if diff := cmp.Diff(test.want, drain(q)); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetryWaitsInTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue("test")
		defer q.ShutDown()
		q.Retry(keyOf("failed"))
		q.RetryAfter(keyOf("later"), time.Millisecond)
		if q.Len() > 0 {
			t.Error("a retry is there at once")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		q.Add(keyOf("live"))
		names := drain(q)
		if len(names) != 3 || names[0] != "live" {
			t.Errorf("order: %q", names)
		}
	})
}

func TestQueueDoesNotGrow(t *testing.T) {
	tests := []struct {
		name string
		add  func(*Queue)
	}{
		{"a live key that is added 10,000 times", func(q *Queue) {
			for range 10_000 {
				q.Add(keyOf("a"))
			}
		}},
		{"a key in the backlog that is added 10,000 times", func(q *Queue) {
			for range 10_000 {
				q.AddBacklog(keyOf("a"))
			}
		}},
		{"a key that is added to both lanes 10,000 times", func(q *Queue) {
			for range 10_000 {
				q.AddBacklog(keyOf("a"))
				q.Add(keyOf("a"))
			}
		}},
		{"a key that moves and is worked at 10,000 times behind a full backlog", func(q *Queue) {
			for range 10_000 {
				q.AddBacklog(keyOf("a"))
				q.Add(keyOf("a"))
				key, _ := q.Get()
				q.Done(key)
			}
			q.Add(keyOf("a"))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := NewQueue("test")
			defer q.ShutDown()
			test.add(q)
			if q.Len() != 1 {
				t.Errorf("one key counts as %d", q.Len())
			}
			if places := q.lanes.live.keys.Len() + q.lanes.waiting.keys.Len(); places > 1 {
				t.Errorf("one key holds %d places", places)
			}
		})
	}
}

func TestNoKeyHasTwoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue("test")
		var worked [5]int
		busy := make(chan int, 100)
		for range 8 {
			go func() {
				for {
					key, shutdown := q.Get()
					if shutdown {
						return
					}
					i := int(key.Name[0] - '0')
					worked[i]++ // unsynchronized: the race detector sees two workers with one key
					time.Sleep(time.Millisecond)
					worked[i]++
					busy <- i
					q.Done(key)
				}
			}()
		}
		go func() {
			for range busy {
			}
		}()
		for range 200 {
			for i := range 5 {
				q.Add(keyOf(fmt.Sprint(i)))
				q.AddBacklog(keyOf(fmt.Sprint(i)))
			}
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		q.ShutDown()
		synctest.Wait()
		close(busy)
		for i, count := range worked {
			if count == 0 || count%2 != 0 {
				t.Errorf("key %d was worked at %d half times", i, count)
			}
		}
	})
}
