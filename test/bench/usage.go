package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used since it began, as Linux tells it.
type usage struct {
	at  time.Time
	cpu time.Duration
	// received are the bytes that it has read, from sockets and files.
	received int64
	// peak is the most memory that it had in use, in bytes.
	peak int64
}

func usageOf(pid int) (usage, error) {
	cpu, err := cpuOf(pid)
	if err != nil {
		return usage{}, err
	}
	received, err := procField(pid, "io", "rchar:")
	if err != nil {
		return usage{}, err
	}
	peak, err := procField(pid, "status", "VmHWM:")
	return usage{at: time.Now(), cpu: cpu, received: received, peak: peak * 1024}, err
}

// cpuOf adds up what the scheduler has counted for each thread, in nanoseconds; the times in /proc/pid/stat are in
// hundredths of a second. Go keeps its threads, so none is missed.
func cpuOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("CPU time of process %d: there is no /proc/%d/task/*/schedstat", pid, pid)
	}
	var sum time.Duration
	for _, file := range files {
		content, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // the thread has ended since
		}
		if err != nil {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(content))[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(nanoseconds)
	}
	return sum, nil
}

// procField reads a number from a file of /proc in which each line begins with its name.
func procField(pid int, file, name string) (int64, error) {
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, path)
}

// cpuDemand is the CPU time of the machine since it booted, in ticks: what it used, and what it would have used but its
// host gave to other guests.
type cpuDemand struct {
	used, stolen float64
}

// demandOfMachine reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal
// (proc_stat(5)). Where there is none, nothing is known and nothing is stolen.
func demandOfMachine() (d cpuDemand) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return d
	}
	line, _, _ := strings.Cut(string(content), "\n")
	for i, field := range strings.Fields(line) {
		ticks, err := strconv.ParseFloat(field, 64)
		switch {
		case err != nil:
		case i == 1, i == 2, i == 3, i == 6, i == 7:
			d.used += ticks
		case i == 8:
			d.stolen = ticks
		}
	}
	return d
}

// stolenSince is the part of the CPU time that the machine asked for and did not get.
func (d cpuDemand) stolenSince(before cpuDemand) float64 {
	stolen := d.stolen - before.stolen
	return stolen / max(1, stolen+d.used-before.used)
}

const (
	quietWindow  = 500 * time.Millisecond
	quietShare   = 0.1
	quietTimeout = 30 * time.Second
)

// awaitQuiet waits until the processes hardly use the CPU, so that what one measurement left behind is not counted with
// the next. It gives up after a while, without an error: it is to work on a machine that is never quiet, too.
func awaitQuiet(ctx context.Context, pids ...int) error {
	patience, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	ticker := time.NewTicker(quietWindow)
	defer ticker.Stop()
	before, err := cpuOfAll(pids)
	for err == nil {
		select {
		case <-patience.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		var now time.Duration
		if now, err = cpuOfAll(pids); err == nil && now-before < time.Duration(quietShare*float64(quietWindow)) {
			return nil
		}
		before = now
	}
	return err
}

func cpuOfAll(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		cpu, err := cpuOf(pid)
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}
