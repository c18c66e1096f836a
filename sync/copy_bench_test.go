package sync

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkObserve is what a direction remembers of a pointer, and what that costs: of a Service with ten addresses.
func BenchmarkObserve(b *testing.B) {
	r := rules()
	before := liveHeap()
	b.ReportAllocs()
	var copies []*Copy
	for n := 0; b.Loop(); n++ {
		uid := func(kind int) types.UID { return types.UID(fmt.Sprintf("%08x-1234-4234-8234-%012d", n, kind)) }
		source := sourceOf(exported(named("shop", fmt.Sprintf("web-%05d", n))), fullSlices(1, 10, 0)...)
		source.Service.UID = uid(0)
		pointer := r.project(source, Target{Network: ipv4Only})
		copies = append(copies,
			r.Observe(decoded(b, stands(pointer.Service, uid(1), fmt.Sprint(100000+n)), &corev1.Service{})),
			r.Observe(decoded(b, stands(pointer.Slices[0], uid(2), fmt.Sprint(200000+n)), &discoveryv1.EndpointSlice{})),
			r.Observe(decoded(b, stands(pointer.Endpoints, uid(3), fmt.Sprint(300000+n)), &corev1.Endpoints{})))
	}
	b.ReportMetric((liveHeap()-before)/float64(len(copies)/3), "B/Service")
	runtime.KeepAlive(copies)
}

func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// decoded gives an object as a watch does: what it refers to is its own.
func decoded[T interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}](b *testing.B, object, empty T) T {
	data, err := object.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	if err := empty.Unmarshal(data); err != nil {
		b.Fatal(err)
	}
	return empty
}
