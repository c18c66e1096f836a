package sync

import (
	"sync"
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
	backlog *backlog
}

// NewQueue makes an empty queue. The name is that of its metrics.
func NewQueue(name string) *Queue {
	waiting := &backlog{keys: sets.New[Key]()}
	return &Queue{
		backlog: waiting,
		TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[Key](retryFirst, retryLast),
			workqueue.TypedRateLimitingQueueConfig[Key]{
				Name: name,
				DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[Key]{
					Name:  name,
					Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[Key]{Name: name, Queue: &lanes{backlog: waiting, isLive: map[Key]bool{}}}),
				}),
			}),
	}
}

// AddBacklog adds a key that nothing has happened to.
func (q *Queue) AddBacklog(key Key) {
	q.backlog.insert(key)
	q.TypedRateLimitingInterface.Add(key)
}

// Add adds a key that something has happened to.
func (q *Queue) Add(key Key) {
	q.backlog.delete(key)
	q.TypedRateLimitingInterface.Add(key)
}

// Retry adds a key again after a failure, later each time. It waits its turn in the backlog: however many keys fail, they
// delay no live change.
func (q *Queue) Retry(key Key) {
	q.backlog.insert(key)
	q.AddRateLimited(key)
}

// RetryAfter adds a key again after a time, to look again at what no watch tells of.
func (q *Queue) RetryAfter(key Key, delay time.Duration) {
	q.backlog.insert(key)
	q.AddAfter(key, delay)
}

// backlog is the set of keys that may wait. It is shared by those who add and the storage of the queue, which asks it
// when it learns of a key.
type backlog struct {
	mu   sync.Mutex
	keys sets.Set[Key]
}

func (b *backlog) insert(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys.Insert(key)
}

func (b *backlog) delete(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys.Delete(key)
}

func (b *backlog) has(key Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys.Has(key)
}

// lanes is the storage of the queue: two queues of keys, of which the live one goes first. The workqueue calls it under
// its own lock.
type lanes struct {
	backlog *backlog
	live    []Key
	waiting []Key
	// isLive tells of each key that is queued whether it is in the live lane. A key that moved there leaves its place in
	// the other lane behind, which is passed over when its turn comes.
	isLive map[Key]bool
}

var _ workqueue.Queue[Key] = &lanes{}

func (l *lanes) Push(key Key) {
	if l.backlog.has(key) {
		l.isLive[key] = false
		l.waiting = append(l.waiting, key)
		return
	}
	l.isLive[key] = true
	l.live = append(l.live, key)
}

// Touch is called when a queued key is added again.
func (l *lanes) Touch(key Key) {
	if live, queued := l.isLive[key]; queued && !live && !l.backlog.has(key) {
		l.isLive[key] = true
		l.live = append(l.live, key)
	}
}

func (l *lanes) Len() int {
	return len(l.isLive)
}

func (l *lanes) Pop() Key {
	for {
		lane, fromLive := &l.live, true
		if len(l.live) == 0 {
			lane, fromLive = &l.waiting, false
		}
		key := (*lane)[0]
		*lane = (*lane)[1:]
		if live, queued := l.isLive[key]; queued && live == fromLive {
			delete(l.isLive, key)
			l.backlog.delete(key)
			return key
		}
	}
}
