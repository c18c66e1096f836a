package sync

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// drainTime is how long a write in hand may take after the hub was told to stop. It leaves the process time to end
// within ten seconds: two to give the Lease back, and one each for Events in hand and for answers on --listen.
const drainTime = 6 * time.Second

// Hub is the whole daemon: up to two directions that share nothing but the views of the clusters.
type Hub struct {
	// Mirrors are the directions, one or two.
	Mirrors []*Mirror
	// Workers is how many names a direction looks at at a time.
	Workers int
	// Once ends Run when every name that was found at the start is in line.
	Once bool

	running atomic.Bool
}

// Enqueue adds a name, something of which has changed on either side.
func (h *Hub) Enqueue(key Key) {
	for _, mirror := range h.Mirrors {
		mirror.enqueue(key)
	}
}

// EnqueueNamespace adds all names of a namespace that has come, gone or changed on either side.
func (h *Hub) EnqueueNamespace(name string) {
	for _, mirror := range h.Mirrors {
		mirror.enqueueNamespace(name)
	}
}

// EnqueueAll adds all names of each direction that has both sides synced.
func (h *Hub) EnqueueAll() {
	for _, mirror := range h.Mirrors {
		mirror.enqueueAll()
	}
}

// Run works until ctx ends, or, with Once, until the first pass is done; then it takes no more work, finishes the writes
// in hand and returns. It fails if, with Once, some name could not be brought in line.
func (h *Hub) Run(ctx context.Context) error {
	h.running.Store(true)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	writes, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var group sync.WaitGroup
	for _, mirror := range h.Mirrors {
		group.Go(func() { mirror.run(writes, h.Workers) })
		group.Go(func() { wait.UntilWithContext(ctx, mirror.tend, tendInterval) })
	}
	err := h.wait(ctx)
	stop()
	for _, mirror := range h.Mirrors {
		mirror.queue.ShutDown()
	}
	deadline := time.AfterFunc(drainTime, cancel)
	defer deadline.Stop()
	group.Wait()
	return err
}

func (h *Hub) wait(ctx context.Context) error {
	if !h.Once {
		<-ctx.Done()
		return nil
	}
	failures := 0
	for _, mirror := range h.Mirrors {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped before all was in sync: %w", context.Cause(ctx))
		case <-mirror.pass.done:
			failures += mirror.pass.failures()
		}
		if err := mirror.tendBrake(ctx); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d Services could not be brought in sync; the log says why", failures)
	}
	return nil
}
