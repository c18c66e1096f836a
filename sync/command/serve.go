package command

import (
	"context"
	"errors"
	stdsync "sync"

	"xcc/clusters"
)

// serve keeps both clusters connected, and works when it is known who they are. The connections outlive the work, so that
// a write in hand can finish.
func serve(ctx context.Context, a, b *clusters.Cluster, once bool, work func(context.Context) error) error {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer disconnect()
	for _, cluster := range []*clusters.Cluster{a, b} {
		group.Go(func() {
			if err := cluster.Run(connected, once); err != nil {
				stop(err)
			}
		})
	}
	for _, cluster := range []*clusters.Cluster{a, b} {
		select {
		case <-cluster.Identified():
		case <-working.Done():
			return stopped(working)
		}
	}
	if err := differ(a, b); err != nil {
		return err
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
