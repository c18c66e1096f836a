package command

import (
	"context"
	"errors"
	stdsync "sync"

	"xcc/clusters"
)

// errInterrupted says that a signal has come before the work could begin.
var errInterrupted = errors.New("interrupted")

// serve keeps clusters connected, one or two, and works when it is known who they are. The connections outlive the work,
// so that a write in hand can finish. With once it fails at a cluster's first problem.
func serve(ctx context.Context, once bool, work func(context.Context) error, sides ...*clusters.Cluster) error {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer disconnect()
	for _, cluster := range sides {
		group.Go(func() {
			if err := cluster.Run(connected, once); err != nil {
				stop(err)
			}
		})
	}
	for _, cluster := range sides {
		select {
		case <-cluster.Identified():
		case <-working.Done():
			if err := stopped(working); err != nil {
				return err
			}
			return errInterrupted
		}
	}
	for _, other := range sides[1:] {
		if err := differ(sides[0], other); err != nil {
			return err
		}
	}
	if err := work(working); err != nil {
		return err
	}
	return stopped(working)
}

// stopped gives the reason why the context ended; nil where that was a signal.
func stopped(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
