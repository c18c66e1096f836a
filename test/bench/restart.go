package main

import (
	"context"
	"fmt"
)

// restartTurns is how many turns are made here for each of another experiment: they take seconds, so that more of them cost
// little, and make the median a steadier one.
const restartTurns = 3

// measureRestart compares how long xcc takes from its start until it knows that all is in sync with how long a bare client
// takes to list the same objects.
func (l *lab) measureRestart(ctx context.Context) error {
	if err := l.sync(ctx, l.options.Services); err != nil {
		return err
	}
	l.say("xcc starts with %d Services in sync", l.exported)
	ready := row{Name: fmt.Sprintf("restart with %d Services in sync: ready", l.exported), Unit: "s", Goal: goal{ofRatio, 1.3}, Note: "floor: bare lists of the same objects"}
	written := row{Name: fmt.Sprintf("restart with %d Services in sync: writes", l.exported), Goal: goal{exactly, 0}}
	err := l.turns(restartTurns*l.options.Repetitions,
		noting(&ready.Floor, func() (float64, error) { return l.relist(ctx) }),
		noting(&ready.XCC, func() (float64, error) {
			took, writes, err := l.restart(ctx)
			written.XCC = append(written.XCC, float64(writes))
			return took, err
		}),
	)
	if err != nil {
		return err
	}
	l.report.add(ready, written)
	return nil
}

// relist gives how long a bare client takes, in seconds.
func (l *lab) relist(ctx context.Context) (float64, error) {
	if err := l.awaitQuiet(ctx); err != nil {
		return 0, err
	}
	took, err := l.runFloor(ctx, job{Do: "list"})
	return took.Seconds(), err
}

// restart starts xcc, and gives how long it took until all was in sync, in seconds, and how much it has written.
func (l *lab) restart(ctx context.Context) (seconds float64, written int, err error) {
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
	took, err := xcc.awaitSync(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := xcc.stop(ctx); err != nil {
		return 0, 0, err
	}
	after, err := l.writes(ctx)
	return took.Seconds(), after - before, err
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
