package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// churnRate is how many changes of unexported Services are made in a second.
	churnRate = 100
	// receivedNoise is by how many bytes per second two measurements may differ: a probe more or less. If xcc were told of
	// the churn it would receive a hundred times as much.
	receivedNoise = 2000
	// cpuShareNoise is the same for the part of a core, in percent.
	cpuShareNoise = 0.2
)

// measureRest looks at an xcc that has nothing to do: first where nothing changes, and then where much changes that is not
// exported.
func (l *lab) measureRest(ctx context.Context) error {
	if err := l.sync(ctx, l.options.Services); err != nil {
		return err
	}
	if err := l.addUnexported(ctx); err != nil {
		return err
	}
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return err
	}
	l.say("xcc is at rest, and then %d pods in a second are replaced of Services that are not exported", churnRate)
	before, err := l.target.writes(ctx)
	if err != nil {
		return err
	}
	var rest, churn idleness
	for range l.options.Repetitions {
		if err := l.idle(ctx, xcc, &rest, func(ctx context.Context) error { return nil }); err != nil {
			return err
		}
		if err := l.idle(ctx, xcc, &churn, l.churn); err != nil {
			return err
		}
	}
	after, err := l.target.writes(ctx)
	if err != nil {
		return err
	}
	if l.options.selects("rest") {
		l.report.add(
			row{Name: fmt.Sprintf("at rest, %d Services: writes", l.exported), XCC: []float64{float64(after - before)}, Goal: goal{exactly, 0}},
			row{Name: fmt.Sprintf("at rest, %d Services: CPU", l.exported), Unit: "% of a core", XCC: rest.cpu, Goal: goal{ofValue, 0.5}},
		)
	}
	if l.options.selects("churn") {
		what := fmt.Sprintf("%d unexported Services, %d changes/s: ", l.unexported, churnRate)
		l.report.add(
			row{Name: what + "received", Unit: "B/s", Floor: rest.received, XCC: churn.received, Goal: goal{ofExcess, receivedNoise}, Note: "floor: at rest"},
			row{Name: what + "CPU", Unit: "% of a core", Floor: rest.cpu, XCC: churn.cpu, Goal: goal{ofExcess, cpuShareNoise}, Note: "floor: at rest"},
		)
	}
	return xcc.stop(ctx)
}

// idleness is what xcc used while it had nothing to do, for each repetition.
type idleness struct {
	cpu      []float64 // percent of a core
	received []float64 // bytes per second
}

// idle measures xcc while something is done, for as long as a measurement takes.
func (l *lab) idle(ctx context.Context, xcc *runningXCC, into *idleness, meanwhile func(context.Context) error) error {
	if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
		return err
	}
	before, err := xcc.usage()
	if err != nil {
		return err
	}
	window, cancel := context.WithTimeout(ctx, l.options.Duration)
	defer cancel()
	if err := meanwhile(window); err != nil {
		return err
	}
	<-window.Done()
	after, err := xcc.usage()
	if err != nil {
		return err
	}
	elapsed := after.at.Sub(before.at)
	into.cpu = append(into.cpu, 100*float64(after.cpu-before.cpu)/float64(elapsed))
	into.received = append(into.received, float64(after.received-before.received)/elapsed.Seconds())
	return ctx.Err()
}

// unexportedService is the nth of the Services that nobody has labelled.
func (l *lab) unexportedService(n int) service {
	s := l.exportedService(n)
	s.namespace, s.name, s.exported = unexportedNamespace, fmt.Sprintf("other-%05d", n), false
	return s
}

func (l *lab) addUnexported(ctx context.Context) error {
	l.say("the source gets %d Services that are not exported", l.options.Services)
	l.unexported = l.options.Services
	var all []service
	for n := range l.unexported {
		all = append(all, l.unexportedService(n))
	}
	return l.source.storage.create(ctx, all)
}

// churn replaces pods of unexported Services until ctx ends.
func (l *lab) churn(ctx context.Context) error {
	ticker := time.NewTicker(time.Second / churnRate)
	defer ticker.Stop()
	group, writing := errgroup.WithContext(context.WithoutCancel(ctx))
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-writing.Done():
			return group.Wait()
		case <-ticker.C:
			s, address := l.unexportedService(n%l.unexported), l.freshAddress()
			group.Go(func() error { return s.replacePod(writing, l.source.client, 0, address) })
		}
	}
}
