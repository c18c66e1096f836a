package sync

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/clusters/memory"
)

// BenchmarkObserve is what a direction remembers of a pointer, and what that costs: of a Service with ten addresses.
func BenchmarkObserve(b *testing.B) {
	r := rules()
	var copies []*Copy
	memory.Held(b, "B/Service", func(n int) {
		uid := func(kind int) types.UID { return types.UID(fmt.Sprintf("%08x-1234-4234-8234-%012d", n, kind)) }
		source := sourceOf(exported(named("shop", fmt.Sprintf("web-%05d", n))), fullSlices(1, 10, 0)...)
		source.Service.UID = uid(0)
		pointer := r.project(source, Target{Network: ipv4Only})
		copies = append(copies,
			r.Observe(memory.Decoded(b, stands(pointer.Service, uid(1), fmt.Sprint(100000+n)), &corev1.Service{})),
			r.Observe(memory.Decoded(b, stands(pointer.Slices[0], uid(2), fmt.Sprint(200000+n)), &discoveryv1.EndpointSlice{})),
			r.Observe(memory.Decoded(b, stands(pointer.Endpoints, uid(3), fmt.Sprint(300000+n)), &corev1.Endpoints{})))
	})
	runtime.KeepAlive(copies)
}
