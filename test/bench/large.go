package main

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// largeAddresses is where the addresses of the large Services begin.
	largeAddresses = 16 << 16
	// maxEndpoints is how many addresses Kubernetes keeps in one Endpoints object.
	maxEndpoints = 1000
	// largeChangesPerSecond is how many changes are made for each second of -duration.
	largeChangesPerSecond = 10
)

// measureLarge compares what a change of one pod costs in a Service of one slice and in one of many. Its CPU time is
// xcc's own, per change, one change after the other. The floor of the large Service is the small one; with Endpoints, it
// is the small one without them, and a bare client that does nothing but write Endpoints of that size.
func (l *lab) measureLarge(ctx context.Context) (err error) {
	small := service{namespace: largeNamespace, name: "small", exported: true, number: largeAddresses, endpoints: sliceSize}
	large := service{namespace: largeNamespace, name: "large", exported: true, number: largeAddresses + sliceSize, endpoints: l.options.Large}
	for _, s := range []service{small, large} {
		if err := s.create(ctx, l.source.client); err != nil {
			return err
		}
	}
	l.say("a pod is replaced in a Service of %d endpoints, and in one of %d", small.endpoints, large.endpoints)
	slicesOnly, err := l.compareLarge(ctx, small, large, "slices")
	if err != nil {
		return err
	}
	both, err := l.compareLarge(ctx, small, large, "both")
	if err != nil {
		return err
	}
	bare, err := l.measureBareEndpoints(ctx, min(large.endpoints, maxEndpoints))
	if err != nil {
		return err
	}
	what := fmt.Sprintf("a pod of %d replaced", large.endpoints)
	l.report.add(
		row{Name: what + ": slices written", Unit: "", XCC: slicesOnly.writes, Goal: goal{exactly, 1}},
		row{Name: what + ": CPU, slices", Unit: "ms", Floor: slicesOnly.small, XCC: slicesOnly.large,
			Note: fmt.Sprintf("floor: the same in a Service of %d", small.endpoints)},
		row{Name: what + ": CPU, both", Unit: "ms", Floor: sums(slicesOnly.small, bare), XCC: both.large, Goal: goal{ofRatio, cpuNoise},
			Note: fmt.Sprintf("floor: the same in a Service of %d without Endpoints, and a bare client's write of %d Endpoints", small.endpoints, min(large.endpoints, maxEndpoints))},
		row{Name: fmt.Sprintf("a pod of %d replaced: CPU, both", small.endpoints), Unit: "ms", XCC: both.small},
	)
	// What was written for these Services is not to be part of anything else.
	for _, s := range []service{small, large} {
		err = errors.Join(err,
			l.source.client.CoreV1().Services(s.namespace).Delete(ctx, s.name, metav1.DeleteOptions{}),
			l.source.client.DiscoveryV1().EndpointSlices(s.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=" + s.name}))
	}
	if err != nil {
		return err
	}
	return l.freshTarget(ctx)
}

// cpuNoise is what two measurements of the same CPU time differ by.
const cpuNoise = 1.1

// largeComparison has xcc's CPU time per change, in milliseconds, and the writes of slices per change of the large one.
type largeComparison struct {
	small, large, writes []float64
}

func (l *lab) compareLarge(ctx context.Context, small, large service, api string) (c largeComparison, err error) {
	xcc, err := l.startXCC(ctx, "--endpoints-api", api)
	if err != nil {
		return c, err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return c, err
	}
	o, err := l.observe(ctx)
	if err != nil {
		return c, err
	}
	defer o.close()
	for range l.options.Repetitions {
		if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
			return c, err
		}
		cpu, _, err := l.changeOneByOne(ctx, o, xcc, small)
		if err != nil {
			return c, err
		}
		c.small = append(c.small, cpu)
		cpu, writes, err := l.changeOneByOne(ctx, o, xcc, large)
		if err != nil {
			return c, err
		}
		c.large, c.writes = append(c.large, cpu), append(c.writes, writes)
	}
	return c, xcc.stop(ctx)
}

// changeOneByOne replaces one pod after the other, each when the last one has arrived, and gives xcc's CPU time, in
// milliseconds, and the writes of slices for each.
func (l *lab) changeOneByOne(ctx context.Context, o *observer, xcc *runningXCC, s service) (cpu, writes float64, err error) {
	changes := l.changes()
	requestsBefore, err := requestsTo(ctx, l.target.client)
	if err != nil {
		return 0, 0, err
	}
	before, err := cpuOf(xcc.PID())
	if err != nil {
		return 0, 0, err
	}
	for n := range changes {
		change := &podChange{service: types.NamespacedName{Namespace: s.namespace, Name: s.name}, address: l.freshAddress()}
		o.expect(change)
		if err := s.replacePod(ctx, l.source.client, n%s.slices(), change.address); err != nil {
			return 0, 0, err
		}
		if err := o.await(ctx); err != nil {
			return 0, 0, err
		}
	}
	// The last change is counted whole: the API server counts a write when it has been answered, and the Endpoints come after.
	if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
		return 0, 0, err
	}
	after, err := cpuOf(xcc.PID())
	if err != nil {
		return 0, 0, err
	}
	requestsAfter, err := requestsTo(ctx, l.target.client)
	written := requestsAfter.since(requestsBefore)["PUT endpointslices"]
	return milliseconds(after-before) / float64(changes), float64(written) / float64(changes), err
}

func (l *lab) changes() int {
	return max(20, int(l.options.Duration.Seconds()*largeChangesPerSecond))
}

// measureBareEndpoints gives the CPU time, in milliseconds, of a client for each write of Endpoints of that size.
func (l *lab) measureBareEndpoints(ctx context.Context, endpoints int) ([]float64, error) {
	var samples []float64
	for range l.options.Repetitions {
		floor, err := l.startFloor(ctx, job{Do: "endpoints", Endpoints: endpoints, Changes: l.changes()})
		if err != nil {
			return nil, err
		}
		if _, err := floor.await(ready); err != nil {
			return nil, err
		}
		before, err := cpuOf(floor.pid())
		if err != nil {
			return nil, err
		}
		if _, err := floor.await(done); err != nil {
			return nil, err
		}
		after, err := cpuOf(floor.pid())
		if err != nil {
			return nil, err
		}
		samples = append(samples, milliseconds(after-before)/float64(l.changes()))
		if err := floor.stop(); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// sums adds two series of values, one by one.
func sums(a, b []float64) []float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i] + b[i]
	}
	return all
}
