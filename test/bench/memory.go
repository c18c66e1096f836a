package main

import (
	"context"
	"fmt"
)

const mebibyte = 1 << 20

// memoryPoint is the most memory that an xcc has used that was started with so many endpoints in sync.
type memoryPoint struct {
	endpoints int
	bytes     float64
}

// measureSmallMemory starts xcc with all in sync at sizes that are smaller than the last one.
func (l *lab) measureSmallMemory(ctx context.Context) error {
	for _, count := range []int{l.changing(), l.options.Services / 3} {
		if count < l.mirrored || count == l.options.Services {
			continue
		}
		if err := l.addMemoryPoint(ctx, count); err != nil {
			return err
		}
	}
	return nil
}

// measureMemory does the same at the full size, and reports all.
func (l *lab) measureMemory(ctx context.Context) error {
	if err := l.addMemoryPoint(ctx, l.options.Services); err != nil {
		return err
	}
	first, last := l.memory[0], l.memory[len(l.memory)-1]
	l.report.add(
		row{Name: fmt.Sprintf("peak memory, %d endpoints in sync, after a start", last.endpoints), Unit: "MiB", XCC: []float64{last.bytes / mebibyte}, Goal: goal{ofValue, 120}},
		row{Name: fmt.Sprintf("peak memory per endpoint, %d in sync", last.endpoints), Unit: "B", XCC: []float64{last.bytes / float64(last.endpoints)}},
	)
	if first != last {
		l.report.add(row{
			Name: fmt.Sprintf("peak memory per endpoint, from %d to %d", first.endpoints, last.endpoints), Unit: "B",
			XCC: []float64{(last.bytes - first.bytes) / float64(last.endpoints-first.endpoints)},
		})
	}
	l.report.plotMemory(l.memory)
	return nil
}

func (l *lab) addMemoryPoint(ctx context.Context, count int) error {
	if err := l.sync(ctx, count); err != nil {
		return err
	}
	l.say("memory with %d Services in sync", l.exported)
	peak, err := l.peakAtStart(ctx)
	l.memory = append(l.memory, memoryPoint{l.exported * l.options.Endpoints, peak})
	return err
}

func (l *lab) peakAtStart(ctx context.Context) (float64, error) {
	xcc, err := l.startXCC(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := xcc.awaitSync(ctx); err != nil {
		return 0, err
	}
	if err := l.awaitQuiet(ctx, xcc.PID()); err != nil {
		return 0, err
	}
	used, err := xcc.usage()
	if err != nil {
		return 0, err
	}
	return float64(used.peak), xcc.stop(ctx)
}
