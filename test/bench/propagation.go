package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// warmUp is how long changes are made before they count: the first ones meet cold caches, the floor's as xcc's.
	warmUp = time.Second
	// The Services whose pods change, if there are so many. There must be more of them than changes in a second, so that
	// each change is a write of its own.
	fewestChanging, mostChanging = 100, 1000
)

const busyFloorNote = "this floor writes the Endpoints, too"

// changing is how many Services there are while pods change.
func (l *lab) changing() int {
	return min(l.options.Services, min(max(l.options.Services/10, fewestChanging), mostChanging))
}

// measurePropagation compares how long a pod's replacement in the source takes to the target's slice. The floor writes the
// slice and nothing else; another one writes the Endpoints after it, as xcc does, which keeps the target as busy.
func (l *lab) measurePropagation(ctx context.Context) error {
	count := l.changing()
	if err := l.sync(ctx, count); err != nil {
		return err
	}
	o, err := l.observe(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	kept, err := l.target.storage.bookkeeping(ctx)
	if err != nil {
		return err
	}
	var written writtenPerChange
	for _, rate := range l.options.Rates {
		l.say("pods of %d Services are replaced, %d in a second", l.exported, rate)
		var floor, busyFloor, xcc latencies
		err := l.turns(l.options.Repetitions,
			noting(&floor, func() ([]float64, error) { return l.propagateBare(ctx, o, rate, kept, false) }),
			noting(&busyFloor, func() ([]float64, error) { return l.propagateBare(ctx, o, rate, kept, true) }),
			noting(&xcc, func() ([]float64, error) { return l.propagateXCC(ctx, o, rate, &written) }),
		)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("propagation at %d/s over %d Services", rate, l.exported)
		l.report.add(
			row{Name: what + ", p50", Unit: "ms", Floor: floor.quantiles(0.5), XCC: xcc.quantiles(0.5), Goal: goal{ofRatio, 1.15}},
			row{Name: what + ", p99", Unit: "ms", Floor: floor.quantiles(0.99), XCC: xcc.quantiles(0.99), Goal: goal{ofRatio, 1.5}},
			row{Name: what + ", p50", Unit: "ms", Floor: busyFloor.quantiles(0.5), XCC: xcc.quantiles(0.5), Note: busyFloorNote},
			row{Name: what + ", p99", Unit: "ms", Floor: busyFloor.quantiles(0.99), XCC: xcc.quantiles(0.99), Note: busyFloorNote},
		)
		l.report.plotLatencies(rate, floor.all(), xcc.all())
	}
	if l.options.selects("writes") {
		l.report.add(
			row{Name: "a pod replaced: slices written", XCC: written.slices, Goal: goal{exactly, 1}},
			row{Name: "a pod replaced: Endpoints written", XCC: written.endpoints, Goal: goal{exactly, 1}},
			row{Name: "a pod replaced: other writes", XCC: written.others, Goal: goal{exactly, 0}},
			row{Name: "a pod replaced: objects read", XCC: written.reads, Note: "with those of probes, xcc's and the API server's own"},
		)
	}
	return nil
}

// latencies has one series, in milliseconds, for each repetition.
type latencies [][]float64

func (l latencies) quantiles(part float64) []float64 {
	var all []float64
	for _, series := range l {
		all = append(all, quantile(series, part))
	}
	return all
}

func (l latencies) all() []float64 {
	var all []float64
	for _, series := range l {
		all = append(all, series...)
	}
	return all
}

// writtenPerChange has the requests to the target per change of a pod, for each turn, whether or not its times count.
type writtenPerChange struct {
	slices, endpoints, others, reads []float64
}

func (w *writtenPerChange) add(asked requests, changes int) {
	per := func(count int) float64 { return float64(count) / float64(changes) }
	slices, endpoints := asked["PUT endpointslices"], asked["PUT endpoints"]
	w.slices, w.endpoints = append(w.slices, per(slices)), append(w.endpoints, per(endpoints))
	w.others, w.reads = append(w.others, per(asked.writes()-slices-endpoints)), append(w.reads, per(asked.reads()))
}

// propagateBare gives the floor objects as a client leaves them that never thought of the API server's bookkeeping.
func (l *lab) propagateBare(ctx context.Context, o *observer, rate int, kept bookkeeping, writeEndpoints bool) ([]float64, error) {
	if err := l.target.storage.putBack(ctx, kept); err != nil {
		return nil, err
	}
	floor, err := l.startFloor(ctx, job{Do: "mirror", WriteEndpoints: writeEndpoints})
	if err != nil {
		return nil, err
	}
	if _, err := floor.await(ready); err != nil {
		return nil, err
	}
	if err := l.awaitQuiet(ctx, floor.pid()); err != nil {
		return nil, err
	}
	measured, err := l.replacePodsFor(ctx, o, rate)
	if err != nil {
		return nil, err
	}
	return measured, floor.stop()
}

func (l *lab) propagateXCC(ctx context.Context, o *observer, rate int, written *writtenPerChange) ([]float64, error) {
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return nil, err
	}
	if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
		return nil, err
	}
	before, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return nil, err
	}
	first := l.addresses
	measured, err := l.replacePodsFor(ctx, o, rate)
	if err != nil {
		return nil, err
	}
	if err := xcc.complaints(); err != nil {
		return nil, err
	}
	// The last change is counted whole: its Endpoints come after its slice.
	if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
		return nil, err
	}
	if err := xcc.stop(ctx); err != nil {
		return nil, err
	}
	after, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return nil, err
	}
	written.add(after.since(before), l.addresses-first)
	return measured, nil
}

// replacePodsFor replaces pods for the duration of a measurement, after a warm-up.
func (l *lab) replacePodsFor(ctx context.Context, o *observer, rate int) ([]float64, error) {
	begin, end := make(chan struct{}), make(chan struct{})
	defer time.AfterFunc(warmUp, func() { close(begin) }).Stop()
	defer time.AfterFunc(warmUp+l.options.Duration, func() { close(end) }).Stop()
	return l.replacePods(ctx, o, pace{perSecond: rate, services: shuffled(0, l.exported), until: end}, begin)
}
