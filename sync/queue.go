package sync

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
)

// Failed keys are tried again after retryFirst, then twice that, up to retryLast.
const (
	retryFirst = 10 * time.Millisecond
	retryLast  = 5 * time.Second
)

// Queue holds the keys that a direction has to look at, each at most once, in two lanes: a live change overtakes the
// backlog of a start. It is client-go's workqueue, which never gives a key to two workers at a time, with other storage.
type Queue struct {
	workqueue.TypedRateLimitingInterface[Key]
	urgent *keySet
	// patient are the keys of the backlog that workers have in hand.
	patient *keySet
	lanes   *lanes
}

// Lane is one of the two that a queue has.
type Lane string

// The lanes: live changes go before the backlog.
const (
	LaneLive    Lane = "live"
	LaneBacklog Lane = "backlog"
)

// NewQueue makes an empty queue. The name is that of its metrics.
func NewQueue(name string) *Queue {
	urgent, patient := &keySet{keys: sets.New[Key]()}, &keySet{keys: sets.New[Key]()}
	lanes := newLanes(urgent, patient)
	keys := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[Key]{Name: name, Queue: lanes})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[Key]{Name: name, Queue: keys})
	return &Queue{
		urgent:  urgent,
		patient: patient,
		lanes:   lanes,
		TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[Key](retryFirst, retryLast),
			workqueue.TypedRateLimitingQueueConfig[Key]{Name: name, DelayingQueue: delaying}),
	}
}

// Add adds a key that something has happened to.
func (q *Queue) Add(key Key) {
	q.urgent.insert(key)
	q.TypedRateLimitingInterface.Add(key)
}

// AddBacklog adds a key that nothing has happened to.
func (q *Queue) AddBacklog(key Key) {
	q.TypedRateLimitingInterface.Add(key)
}

// Done ends the work on a key.
func (q *Queue) Done(key Key) {
	q.patient.delete(key)
	q.TypedRateLimitingInterface.Done(key)
}

// isPatient reports whether a key in hand is of the backlog.
func (q *Queue) isPatient(key Key) bool {
	return q.patient.has(key)
}

// Retry adds a key again after a failure, later each time. It waits its turn in the backlog: however many keys fail, they
// delay no live change.
func (q *Queue) Retry(key Key) {
	q.AddRateLimited(key)
}

// RetryAfter adds a key again after a time, to look again at what no watch tells of.
func (q *Queue) RetryAfter(key Key, delay time.Duration) {
	q.AddAfter(key, delay)
}

// Depth is how many keys wait in a lane.
func (q *Queue) Depth(lane Lane) int {
	return int(q.lanes.of(lane).depth.Load())
}

// keySet is shared by those who add to the queue and its storage, which asks it when it learns of a key.
type keySet struct {
	mu   sync.Mutex
	keys sets.Set[Key]
}

func (s *keySet) insert(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys.Insert(key)
}

func (s *keySet) delete(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys.Delete(key)
}

func (s *keySet) has(key Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.Has(key)
}

// lanes is the storage of the queue: two queues of keys, of which the live one goes first. The workqueue calls it under
// its own lock.
type lanes struct {
	// urgent are the keys that something has happened to since a worker last took them.
	urgent *keySet
	// patient are those that were taken from the backlog, until the work on them is done.
	patient       *keySet
	live, waiting lane
	// places are those of the waiting keys in their lane.
	places map[Key]*list.Element
	// waited is told how long a key was in its lane; nil for nobody.
	waited func(lane Lane, wait time.Duration)
}

// lane holds keys in their order. Its depth may be asked for at any time.
type lane struct {
	name  Lane
	keys  *list.List // of queued
	depth atomic.Int64
}

type queued struct {
	key   Key
	since time.Time
}

func (l *lane) push(key Key) *list.Element {
	l.depth.Add(1)
	return l.keys.PushBack(queued{key, time.Now()})
}

func (l *lane) remove(place *list.Element) queued {
	l.depth.Add(-1)
	return l.keys.Remove(place).(queued)
}

var _ workqueue.Queue[Key] = &lanes{}

func newLanes(urgent, patient *keySet) *lanes {
	return &lanes{
		urgent: urgent, patient: patient,
		live: lane{name: LaneLive, keys: list.New()}, waiting: lane{name: LaneBacklog, keys: list.New()},
		places: map[Key]*list.Element{},
	}
}

func (l *lanes) of(name Lane) *lane {
	if name == LaneLive {
		return &l.live
	}
	return &l.waiting
}

// Push is called with a key that is not queued.
func (l *lanes) Push(key Key) {
	if l.urgent.has(key) {
		l.live.push(key)
		return
	}
	l.places[key] = l.waiting.push(key)
}

// Touch is called when a queued key is added again: if something has happened to it now, it changes lanes.
func (l *lanes) Touch(key Key) {
	if place, waits := l.places[key]; waits && l.urgent.has(key) {
		delete(l.places, key)
		l.waiting.remove(place)
		l.live.push(key)
	}
}

func (l *lanes) Len() int {
	return l.live.keys.Len() + l.waiting.keys.Len()
}

func (l *lanes) Pop() Key {
	lane := &l.live
	if lane.keys.Len() == 0 {
		lane = &l.waiting
	}
	taken := lane.remove(lane.keys.Front())
	delete(l.places, taken.key)
	if lane == &l.waiting {
		l.patient.insert(taken.key)
		if lane.keys.Len() == 0 {
			// A map keeps the memory of the most that it ever held.
			l.places = map[Key]*list.Element{}
		}
	}
	l.urgent.delete(taken.key)
	if l.waited != nil {
		l.waited(lane.name, time.Since(taken.since))
	}
	return taken.key
}
