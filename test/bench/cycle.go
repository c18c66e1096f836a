package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// measureCycle compares how long it takes to bring all pointers into an empty target, and to take them away again, after
// all exported Services have gone at once.
func (l *lab) measureCycle(ctx context.Context) error {
	if err := l.export(ctx, l.options.Services); err != nil {
		return err
	}
	var floor, xcc cycle
	for n := range l.options.Cycles {
		// The turns change places, so that neither is always the first.
		turns := []func() error{
			func() error { return l.cycleBare(ctx, &floor) },
			func() error { return l.cycleXCC(ctx, &xcc) },
		}
		for i := range turns {
			if err := turns[(i+n)%len(turns)](); err != nil {
				return err
			}
		}
	}
	if l.options.selects("initial") {
		what := fmt.Sprintf("initial sync of %d Services × %d endpoints", l.exported, l.options.Endpoints)
		l.report.add(
			row{Name: what, Unit: "s", Floor: floor.create.granted, XCC: xcc.create.granted, Goal: goal{ofRatio, 1.15}, Note: grantedNote},
			row{Name: what + ": by the clock", Unit: "s", Floor: floor.create.clock, XCC: xcc.create.clock},
			row{Name: what + ": CPU", Unit: "s", Floor: floor.cpu, XCC: xcc.cpu},
			row{Name: what + ": peak memory", Unit: "MiB", Floor: floor.peak, XCC: xcc.peak, Goal: goal{ofValue, 120}},
			row{Name: what + ": objects read", Unit: "per Service", XCC: xcc.reads},
		)
	}
	if l.options.selects("withdraw") {
		what := fmt.Sprintf("%d Services × %d endpoints withdrawn", l.exported, l.options.Endpoints)
		l.report.add(
			row{Name: what, Unit: "s", Floor: floor.remove.granted, XCC: xcc.remove.granted, Goal: goal{ofRatio, 1.3}, Note: grantedNote},
			row{Name: what + ": by the clock", Unit: "s", Floor: floor.remove.clock, XCC: xcc.remove.clock},
			row{Name: what + ": requests to the target", Unit: "per Service", Floor: floor.requests, XCC: xcc.requests},
		)
	}
	return nil
}

// cycle has what was measured in each repetition.
type cycle struct {
	create, remove times
	cpu, peak      []float64 // of the creation: seconds, MiB
	reads          []float64 // of single objects, per Service
	requests       []float64 // of the removal, per Service
}

// times are how long something took, in seconds, for each repetition: by the clock, and without the part of that in which
// the machine's host did not give it the CPU time that it asked for. These take minutes and are limited by the CPU; the
// host may be another one in the next.
type times struct {
	clock, granted []float64
}

const grantedNote = "the part of the time is left out in which CPU time that was asked for was not given"

func (t *times) add(elapsed time.Duration, before cpuDemand) {
	t.clock = append(t.clock, elapsed.Seconds())
	t.granted = append(t.granted, elapsed.Seconds()*(1-demandOfMachine().stolenSince(before)))
}

func (l *lab) cycleBare(ctx context.Context, into *cycle) error {
	if err := l.freshTarget(ctx); err != nil {
		return err
	}
	l.say("the floor creates the pointers of %d Services", l.exported)
	work := job{Do: "create", Services: l.exported, Endpoints: l.options.Endpoints}
	demand := demandOfMachine()
	floor, err := l.startFloor(ctx, work)
	if err != nil {
		return err
	}
	elapsed, err := floor.await(done)
	if err != nil {
		return err
	}
	into.create.add(elapsed, demand)
	used, err := usageOf(floor.pid())
	if err != nil {
		return err
	}
	into.cpu, into.peak = append(into.cpu, used.cpu.Seconds()), append(into.peak, float64(used.peak)/mebibyte)
	if err := floor.stop(); err != nil {
		return err
	}
	if err := l.wantPointers(ctx); err != nil || !l.options.selects("withdraw") {
		return err
	}
	work.Do = "delete"
	return l.withdraw(ctx, into, func() error {
		_, err := l.runFloor(ctx, work)
		return err
	})
}

func (l *lab) cycleXCC(ctx context.Context, into *cycle) error {
	if err := l.freshTarget(ctx); err != nil {
		return err
	}
	l.say("xcc creates the pointers of %d Services", l.exported)
	before, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	demand := demandOfMachine()
	xcc, err := l.startXCC(ctx, "--max-delete-percent", "100")
	if err != nil {
		return err
	}
	elapsed, err := xcc.awaitSync(ctx)
	if err != nil {
		return err
	}
	into.create.add(elapsed, demand)
	used, err := xcc.usage()
	if err != nil {
		return err
	}
	into.cpu, into.peak = append(into.cpu, used.cpu.Seconds()), append(into.peak, float64(used.peak)/mebibyte)
	after, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	into.reads = append(into.reads, float64(after.since(before).reads())/float64(l.exported))
	l.mirrored = l.exported
	if err := l.wantPointers(ctx); err != nil {
		return err
	}
	if l.options.selects("withdraw") {
		if err := l.withdraw(ctx, into, func() error { return nil }); err != nil {
			return err
		}
	}
	if err := xcc.complaints(); err != nil {
		return err
	}
	return xcc.stop(ctx)
}

// withdraw takes all exported Services away from the source, until the target has none of their pointers, and puts them
// back. follow is called at the same moment: xcc learns from the source what to do, and the floor has to be told. That the
// source is busy with it is so in both turns.
func (l *lab) withdraw(ctx context.Context, into *cycle, follow func() error) error {
	all, err := l.source.storage.dump(ctx, storedPrefixes()...)
	if err != nil {
		return err
	}
	l.mirrored = 0
	err = l.measureRemoval(ctx, into, func() error {
		var group errgroup.Group
		group.Go(func() error { return l.source.storage.remove(ctx, all) })
		group.Go(follow)
		return group.Wait()
	})
	if err != nil {
		return err
	}
	return l.source.storage.restore(context.WithoutCancel(ctx), all)
}

// removalTimeout bounds how long the last pointer may take to go.
const removalTimeout = 20 * time.Minute

// measureRemoval measures how long it takes from the call of remove until the target has no pointer any more.
func (l *lab) measureRemoval(ctx context.Context, into *cycle, remove func() error) error {
	if err := l.awaitQuiet(ctx); err != nil {
		return err
	}
	l.say("the Services are withdrawn")
	before, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	started, demand := time.Now(), demandOfMachine()
	removed := make(chan error, 1)
	go func() { removed <- remove() }()
	if err := l.target.storage.awaitEmpty(waiting); err != nil {
		return err
	}
	into.remove.add(time.Since(started), demand)
	if err := <-removed; err != nil {
		return err
	}
	after, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	asked := after.since(before)
	into.requests = append(into.requests, float64(asked.writes()+asked.reads())/float64(l.exported))
	return nil
}

// wantPointers fails unless the target has exactly the pointers of all exported Services.
func (l *lab) wantPointers(ctx context.Context) error {
	count := int64(l.exported)
	return l.target.storage.wantCount(ctx, count, count, count)
}
