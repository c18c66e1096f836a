package main

import (
	"context"
	"errors"
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
		if err := l.cycle(ctx, &floor, &xcc, n%2); err != nil {
			return err
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

func (t *times) add(s span) {
	t.clock, t.granted = append(t.clock, s.clock), append(t.granted, s.granted)
}

// span is one of them.
type span struct {
	clock, granted float64
}

func (s *span) add(elapsed time.Duration, before cpuDemand) {
	s.clock += elapsed.Seconds()
	s.granted += elapsed.Seconds() * (1 - demandOfMachine().stolenSince(before))
}

// cycle has the floor and xcc create all pointers, and then take them away, side by side, each on clusters of its own. The
// floor is first with 0, xcc with 1.
func (l *lab) cycle(ctx context.Context, floor, xcc *cycle, first int) (err error) {
	if err := l.freshTarget(ctx); err != nil {
		return err
	}
	bare := l.target
	defer func() { err = errors.Join(err, bare.stop(context.WithoutCancel(ctx))) }()
	l.target = nil
	if err := l.freshTarget(ctx); err != nil {
		return err
	}
	if err := l.createSideBySide(ctx, bare, floor, xcc, first); err != nil || !l.options.selects("withdraw") {
		return err
	}
	spare, err := l.spareSource(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spare.stop(context.WithoutCancel(ctx))) }()
	return l.removeSideBySide(ctx, spare, bare, floor, xcc, first)
}

// createSideBySide has the floor create the pointers in bare, and xcc in the lab's target.
func (l *lab) createSideBySide(ctx context.Context, bare *site, floor, xcc *cycle, first int) error {
	l.say("the floor and xcc each create the pointers of %d Services", l.exported)
	before, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	var client *runningFloor
	var daemon *runningXCC
	theirs := contender{sites: []*site{bare}, start: func() (_ process, await func() error, err error) {
		client, err = l.startFloorOn(ctx, bare, job{Do: "create", Services: l.exported, Endpoints: l.options.Endpoints})
		return client, func() error { _, err := client.await(done); return err }, err
	}}
	ours := contender{sites: []*site{l.target}, start: func() (_ process, await func() error, err error) {
		daemon, err = l.startXCC(ctx)
		return daemon, func() error { _, err := daemon.awaitSync(ctx); return err }, err
	}}
	if err := sideBySide(ctx, first, &theirs, &ours); err != nil {
		return err
	}
	if err := errors.Join(floor.note(theirs.spent, client.pid()), xcc.note(ours.spent, daemon.PID())); err != nil {
		return err
	}
	after, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return err
	}
	xcc.reads = append(xcc.reads, float64(after.since(before).reads())/float64(l.exported))
	l.mirrored = l.exported
	return errors.Join(l.wantPointers(ctx, bare), l.wantPointers(ctx, l.target), daemon.complaints(), daemon.stop(ctx), client.stop())
}

// note takes down what the creation has cost.
func (c *cycle) note(spent span, pid int) error {
	c.create.add(spent)
	used, err := usageOf(pid)
	c.cpu, c.peak = append(c.cpu, used.cpu.Seconds()), append(c.peak, float64(used.peak)/mebibyte)
	return err
}

// removalTimeout bounds how long the last pointer may take to go.
const removalTimeout = 40 * time.Minute

// removeSideBySide has all Services go from two sources at once: the lab's, which xcc watches, and spare, which nobody does.
// The floor is told when to delete their pointers, in bare; that a source is busy with it is so for both.
func (l *lab) removeSideBySide(ctx context.Context, spare, bare *site, floor, xcc *cycle, first int) error {
	daemon, err := l.startXCC(ctx, "--max-delete-percent", "100")
	if err != nil {
		return err
	}
	if _, err := daemon.awaitSync(ctx); err != nil {
		return err
	}
	all, err := l.source.storage.dump(ctx, storedPrefixes()...)
	if err != nil {
		return err
	}
	if err := awaitQuietSites(ctx, []*site{l.source, l.target, spare, bare}, daemon.PID()); err != nil {
		return err
	}
	l.say("the Services are withdrawn")
	ctx, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	var client *runningFloor
	theirs := contender{sites: []*site{spare, bare}, start: func() (_ process, await func() error, err error) {
		client, err = l.startFloorOn(ctx, bare, job{Do: "delete", Services: l.exported, Endpoints: l.options.Endpoints})
		if err != nil {
			return nil, nil, err
		}
		finished := func() error { _, err := client.await(done); return err }
		return client, withdraw(ctx, all, spare, bare, finished), nil
	}}
	ours := contender{sites: []*site{l.source, l.target}, client: daemon, start: func() (process, func() error, error) {
		return daemon, withdraw(ctx, all, l.source, l.target), nil
	}}
	askedBefore, err := requestsToEach(ctx, bare, l.target)
	if err != nil {
		return err
	}
	if err := sideBySide(ctx, first, &theirs, &ours); err != nil {
		return err
	}
	asked, err := requestsToEach(ctx, bare, l.target)
	if err != nil {
		return err
	}
	floor.noteRemoval(theirs.spent, asked[0].since(askedBefore[0]), l.exported)
	xcc.noteRemoval(ours.spent, asked[1].since(askedBefore[1]), l.exported)
	l.mirrored = 0
	return errors.Join(daemon.complaints(), daemon.stop(ctx), client.stop(), l.source.storage.restore(ctx, all))
}

// noteRemoval takes down how long the removal of so many Services took, and what the target was asked for.
func (c *cycle) noteRemoval(spent span, asked requests, services int) {
	c.remove.add(spent)
	c.requests = append(c.requests, float64(asked.writes()+asked.reads())/float64(services))
}

// withdraw begins to take objects away from a source. What it gives waits until a target has no pointer any more, and for
// others.
func withdraw(ctx context.Context, all []stored, source, target *site, others ...func() error) (await func() error) {
	group, ctx := errgroup.WithContext(ctx)
	for _, other := range others {
		group.Go(other)
	}
	group.Go(func() error { return source.storage.remove(ctx, all) })
	group.Go(func() error { return target.storage.awaitEmpty(ctx) })
	return group.Wait
}

// wantPointers fails unless a target has exactly the pointers of all exported Services.
func (l *lab) wantPointers(ctx context.Context, target *site) error {
	count := int64(l.exported)
	return target.storage.wantCount(ctx, count, count, count)
}
