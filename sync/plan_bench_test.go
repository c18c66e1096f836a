package sync

import (
	"fmt"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// BenchmarkPlan is what a look at a key costs beside its requests. Nearly all looks are of one of these two: nothing has
// changed that xcc decides, or one pod has.
func BenchmarkPlan(b *testing.B) {
	for _, count := range []int{1, 10, 50} {
		for _, size := range []int{10, 100} {
			name := fmt.Sprintf("%dx%d", count, size)
			b.Run("in-sync/"+name, func(b *testing.B) { benchmarkInSync(b, count, size) })
			b.Run("pod-replaced/"+name, func(b *testing.B) { benchmarkPodReplaced(b, count, size) })
		}
	}
}

func benchmarkInSync(b *testing.B, count, size int) {
	r := rules(func(r *Rules) { r.Memory = NewMemory() })
	source := sourceOf(exported(), fullSlices(count, size, 0)...)
	target := targetOf(standing(r, source)...)
	if changes := r.Plan(source, target).Changes; len(changes) > 0 {
		b.Fatalf("not in sync: %v", changes)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Plan(source, target)
	}
}

// benchmarkPodReplaced has two versions of the first slice take turns: as after a watch event, the slice that has changed
// is a new object, and the others are those that were there before.
func benchmarkPodReplaced(b *testing.B, count, size int) {
	r := rules(func(r *Rules) { r.Memory = NewMemory() })
	before := sourceOf(exported(), fullSlices(count, size, 0)...)
	after := sourceOf(before.Service, append(fullSlices(1, size, 1), before.Slices[1:]...)...)
	targets := []Target{targetOf(standing(r, after)...), targetOf(standing(r, before)...)}
	sources := []Source{before, after}
	for i := range sources {
		if changes := r.Plan(sources[i], targets[i]).Changes; len(changes) != 2 {
			b.Fatalf("not one slice and the Endpoints to write: %v", changes)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Plan(sources[i%2], targets[i%2])
	}
}

// fullSlices makes slices of so many endpoints each; the generation is in the address of the first one, which is also
// the first of all: the Endpoints of a large Service hold only so many.
func fullSlices(count, size, generation int) []*discoveryv1.EndpointSlice {
	var all []*discoveryv1.EndpointSlice
	for n := range count {
		var endpoints []discoveryv1.Endpoint
		for i := range size {
			endpoints = append(endpoints, ready(fmt.Sprintf("10.1.%d.%d", n, i+1)))
		}
		endpoints[0].Addresses = []string{fmt.Sprintf("10.0.%d.%d", n, generation)}
		all = append(all, sliceOf(fmt.Sprintf("web-%02d", n), endpoints...))
	}
	return all
}
