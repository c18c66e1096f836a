package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"golang.org/x/sync/errgroup"
)

// pace says which changes are made in the source, and how fast.
type pace struct {
	perSecond int
	// services are the numbers of those whose pods are replaced, in turns.
	services []int
	// until ends the changes.
	until <-chan struct{}
}

// replacePods replaces one pod at a time at an even pace, whether or not the last one has arrived, and gives how long each
// took from when the source had stored it until the target's slice showed it, in milliseconds. Only those made after begin
// was closed are counted. They are made in the source's storage: an API server's answer comes when its watches have told of
// the change already, the later the busier the machine is, so it can't begin what is measured.
func (l *lab) replacePods(ctx context.Context, o *observer, p pace, begin <-chan struct{}) ([]float64, error) {
	ticker := time.NewTicker(time.Second / time.Duration(p.perSecond))
	defer ticker.Stop()
	group, writing := errgroup.WithContext(ctx)
	var changes []*podChange
	for n, open := 0, true; open; n++ {
		s := l.exportedService(p.services[n%len(p.services)])
		change := &podChange{service: types.NamespacedName{Namespace: s.namespace, Name: s.name}, address: l.freshAddress()}
		if isClosed(begin) {
			changes = append(changes, change)
		}
		o.expect(change)
		group.Go(func() error {
			err := l.source.storage.replacePod(writing, s, 0, change.address)
			change.acknowledged = time.Now()
			return err
		})
		select {
		case <-ticker.C:
			open = !isClosed(p.until)
		case <-p.until:
			open = false
		case <-writing.Done():
			open = false
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := o.await(ctx); err != nil {
		return nil, err
	}
	latencies := make([]float64, 0, len(changes))
	for _, change := range changes {
		latencies = append(latencies, milliseconds(change.seen.Sub(change.acknowledged)))
	}
	return latencies, nil
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}
