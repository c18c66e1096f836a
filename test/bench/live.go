package main

import (
	"context"
	"fmt"
)

// measureLive measures how long a change takes while xcc is busy with its initial sync. Most of the Services that change
// have no pointer yet. Changes count from the first pointer on, until the last.
func (l *lab) measureLive(ctx context.Context) error {
	if err := l.export(ctx, l.options.Services); err != nil {
		return err
	}
	if err := l.freshTarget(ctx); err != nil {
		return err
	}
	l.say("pods are replaced while xcc creates the pointers of %d Services", l.exported)
	o, err := l.observe(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return err
	}
	rate := l.options.Rates[0]
	changes, err := l.replacePods(ctx, o, pace{
		perSecond: rate, services: shuffled(0, l.exported), until: either(xcc.passes.seen, xcc.Exited()),
	}, o.first)
	if err != nil {
		return err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return err
	}
	l.mirrored = l.exported
	what := fmt.Sprintf("a live change during an initial sync of %d Services", l.exported)
	l.report.add(
		row{Name: what + ", p50", Unit: "ms", XCC: []float64{quantile(changes, 0.5)}},
		row{Name: what + ", p99", Unit: "ms", XCC: []float64{quantile(changes, 0.99)}, Goal: goal{ofValue, 250}, Note: fmt.Sprintf("%d changes, %d/s", len(changes), rate)},
	)
	return xcc.stop(ctx)
}

// either is closed when one of two channels is.
func either(a, b <-chan struct{}) <-chan struct{} {
	one := make(chan struct{})
	go func() {
		defer close(one)
		select {
		case <-a:
		case <-b:
		}
	}()
	return one
}
