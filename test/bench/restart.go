package main

import (
	"context"
	"fmt"
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
	for range l.options.Repetitions {
		if err := l.awaitQuiet(ctx); err != nil {
			return err
		}
		elapsed, err := l.runFloor(ctx, job{Do: "list"})
		if err != nil {
			return err
		}
		ready.Floor = append(ready.Floor, elapsed.Seconds())
		before, err := l.writes(ctx)
		if err != nil {
			return err
		}
		if err := l.awaitQuiet(ctx); err != nil {
			return err
		}
		xcc, err := l.startXCC(ctx)
		if err != nil {
			return err
		}
		if elapsed, err = xcc.awaitSync(ctx); err != nil {
			return err
		}
		ready.XCC = append(ready.XCC, elapsed.Seconds())
		if err := xcc.stop(ctx); err != nil {
			return err
		}
		after, err := l.writes(ctx)
		if err != nil {
			return err
		}
		written.XCC = append(written.XCC, float64(after-before))
	}
	l.report.add(ready, written)
	return nil
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
