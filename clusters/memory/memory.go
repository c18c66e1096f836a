// Package memory measures, in benchmarks, what is held for as long as it is needed.
package memory

import (
	"runtime"
	"testing"
)

// Held reports what is held after keep was called with ever new numbers, for each of them in that unit. What keep fills must be
// in use after that.
func Held(b *testing.B, unit string, keep func(n int)) {
	before := liveHeap()
	b.ReportAllocs()
	n := 0
	for ; b.Loop(); n++ {
		keep(n)
	}
	b.ReportMetric((liveHeap()-before)/float64(n), unit)
}

func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// Decoded gives an object as a watch does: what it refers to is its own.
func Decoded[T interface {
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
