package main

import (
	"context"
	"fmt"
	"time"
)

// measureRestart compares how long xcc takes from its start until it knows that all is in sync with how long a bare client
// takes to list the same objects.
func (l *lab) measureRestart(ctx context.Context) error {
	if err := l.sync(ctx, l.options.Services); err != nil {
		return err
	}
	l.say("xcc starts with %d Services in sync", l.exported)
	ready := row{Name: fmt.Sprintf("restart with %d Services in sync: ready", l.exported), Unit: "s", Goal: goal{ofRatio, 1.3}, Note: "floor: bare lists of the same objects"}
	written := row{Name: fmt.Sprintf("restart with %d Services in sync: writes", l.exported), Goal: goal{exactly, 0}}
	err := l.turns(func() (func(), error) {
		floor, err := l.relist(ctx)
		if err != nil {
			return nil, err
		}
		xcc, writes, err := l.restart(ctx)
		written.XCC = append(written.XCC, float64(writes))
		return func() {
			ready.Floor, ready.XCC = append(ready.Floor, floor.Seconds()), append(ready.XCC, xcc.Seconds())
		}, err
	})
	if err != nil {
		return err
	}
	l.report.add(ready, written)
	return nil
}

func (l *lab) relist(ctx context.Context) (time.Duration, error) {
	if err := l.awaitQuiet(ctx); err != nil {
		return 0, err
	}
	return l.runFloor(ctx, job{Do: "list"})
}

// restart starts xcc, and gives how long it took until all was in sync, and how much it has written.
func (l *lab) restart(ctx context.Context) (elapsed time.Duration, written int, err error) {
	before, err := l.writes(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := l.awaitQuiet(ctx); err != nil {
		return 0, 0, err
	}
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return 0, 0, err
	}
	if elapsed, err = xcc.awaitSync(ctx); err != nil {
		return 0, 0, err
	}
	if err := xcc.stop(ctx); err != nil {
		return 0, 0, err
	}
	after, err := l.writes(ctx)
	return elapsed, after - before, err
}

// writes counts the writes of pointers' objects to both clusters so far.
func (l *lab) writes(ctx context.Context) (int, error) {
	source, err := l.source.writes(ctx)
	if err != nil {
		return 0, err
	}
	target, err := l.target.writes(ctx)
	return source + target, err
}

func (s *site) writes(ctx context.Context) (int, error) {
	asked, err := requestsTo(ctx, s.client)
	return asked.writes(), err
}
