package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// awake keeps the machine's CPUs from sleeping, with a loop for each that runs only where nobody else wants to
// (SCHED_IDLE, sched(7)). The CPU of a virtual machine that sleeps is its host's to give to others, and whoever wakes it
// has to wait for them: where a change comes every 50 ms and takes 3, more than half of the CPU time was missing at times.
type awake []*exec.Cmd

// stayAwake begins it. Where it fails, measuring goes on without the loops that could not be started.
func stayAwake(ctx context.Context) (awake, error) {
	var loops awake
	for range runtime.NumCPU() {
		loop := exec.CommandContext(ctx, "chrt", "-i", "0", "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			return loops, fmt.Errorf("the CPUs may sleep: %w", err)
		}
		loops = append(loops, loop)
	}
	return loops, nil
}

// close ends it. A loop that has ended already is no error.
func (a awake) close() {
	for _, loop := range a {
		_ = loop.Process.Kill()
		_ = loop.Wait()
	}
}
