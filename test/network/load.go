//go:build linux

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Request is one request of a load.
type Request struct {
	Started, Ended time.Time
	// Answer is what came, unless Err says why nothing came.
	Answer Answer
	Err    error
}

// Load is a steady stream of requests from one pod to one target. Each is made when its time has come, however long those
// before it take, over a connection of its own, and once.
type Load struct {
	cancel  context.CancelFunc
	stopped chan struct{}

	mu       sync.Mutex
	requests []Request // in the order in which they ended
}

// StartLoad asks a target, as Get does, so many times a second, until Stop.
func (p *Pod) StartLoad(target string, perSecond int) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{cancel: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		var running sync.WaitGroup
		defer running.Wait()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				running.Go(func() { l.ask(p, target) })
			}
		}
	}()
	return l
}

func (l *Load) ask(from *Pod, target string) {
	request := Request{Started: time.Now()}
	// What runs when the load is stopped is still answered: a request that was cut off would say nothing.
	request.Answer, request.Err = from.Get(context.Background(), target)
	request.Ended = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, request)
}

// Requests are those that have ended so far.
func (l *Load) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Stop makes no more requests, waits for those under way, and gives all of them.
func (l *Load) Stop() []Request {
	l.cancel()
	<-l.stopped
	return l.Requests()
}

// Count is a summary of requests.
type Count struct {
	Requests, Lost int
	// Answered counts by who answered: "prod-east/cart-0".
	Answered map[string]int
	// Reasons counts the lost by why, and First is when each was met first, after the first request.
	Reasons map[string]int
	First   map[string]time.Duration
}

// Counted summarizes requests.
func Counted(requests []Request) Count {
	count := Count{Requests: len(requests), Answered: map[string]int{}, Reasons: map[string]int{}, First: map[string]time.Duration{}}
	requests = slices.SortedFunc(slices.Values(requests), func(a, b Request) int { return a.Started.Compare(b.Started) })
	for _, request := range requests {
		if request.Err != nil {
			why := reason(request.Err)
			if count.Reasons[why] == 0 {
				count.First[why] = request.Started.Sub(requests[0].Started)
			}
			count.Lost++
			count.Reasons[why]++
			continue
		}
		count.Answered[request.Answer.Cluster+"/"+request.Answer.Pod]++
	}
	return count
}

// String is one line.
func (c Count) String() string {
	text := fmt.Sprintf("%d requests, %d lost", c.Requests, c.Lost)
	var reasons []string
	for reason, count := range c.Reasons {
		reasons = append(reasons, fmt.Sprintf("%d %s, first after %s", count, reason, c.First[reason].Round(time.Millisecond)))
	}
	if len(reasons) > 0 {
		slices.Sort(reasons)
		text += " (" + strings.Join(reasons, ", ") + ")"
	}
	return text
}

// reason is what an error has in common with others of its kind.
func reason(err error) string {
	var lookup *net.DNSError
	var number syscall.Errno
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "name not found"
	case errors.As(err, &lookup):
		return "name server: " + lookup.Err
	case errors.As(err, &number):
		return number.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	}
	return err.Error()
}
