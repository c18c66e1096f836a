package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// floorArgument makes this program the floor: a process of its own, as xcc is one.
const floorArgument = "floor"

// The words that the floor says, each on a line.
const (
	ready = "ready" // it works, until its standard input ends
	done  = "done"  // the work that it was given is done
)

// job is what the floor is to do. It is the first line of its standard input.
type job struct {
	// Do is one of the names in [bareJobs].
	Do string
	// Kubeconfig has the contexts Source and Target, with xcc's own rights: the floor passes the same admission.
	Kubeconfig, Source, Target string
	// Origin is the source's UID, for the marks.
	Origin types.UID
	// Services is how many there are, Endpoints how many each of them has.
	Services, Endpoints int
	// WriteEndpoints makes it write the Endpoints, too, where it mirrors slices.
	WriteEndpoints bool
	// Changes is how often it writes.
	Changes int
}

// runningFloor is a process that does a job.
type runningFloor struct {
	command *exec.Cmd
	stdin   io.Closer
	words   *bufio.Scanner
	started time.Time
}

// startFloor runs the floor with a job, in which the clusters need not be said.
func (l *lab) startFloor(ctx context.Context, job job) (*runningFloor, error) {
	return l.startFloorOn(ctx, l.target, job)
}

func (l *lab) startFloorOn(ctx context.Context, target *site, job job) (*runningFloor, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	job.Kubeconfig, job.Source, job.Target, job.Origin = target.kubeconfig, l.source.access.Context, target.access.Context, l.source.uid
	work, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	f := &runningFloor{command: exec.CommandContext(ctx, executable, floorArgument)}
	f.command.Stderr = l.log
	stdin, err := f.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	f.stdin = stdin
	stdout, err := f.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.words = bufio.NewScanner(stdout)
	f.started = time.Now()
	if err := f.command.Start(); err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	_, err = stdin.Write(append(work, '\n'))
	return f, err
}

// await waits until the floor says the word, and gives how long that took from the start of the process.
func (f *runningFloor) await(word string) (time.Duration, error) {
	if f.words.Scan() && f.words.Text() == word {
		return time.Since(f.started), nil
	}
	return 0, errors.Join(fmt.Errorf("the floor says %q, not %q", f.words.Text(), word), f.stop())
}

// stop ends the floor.
func (f *runningFloor) stop() error {
	if err := f.stdin.Close(); err != nil {
		return err
	}
	for f.words.Scan() {
		continue // what it still says is of no interest, but it must be able to say it
	}
	if err := f.command.Wait(); err != nil {
		return fmt.Errorf("the floor: %w", err)
	}
	return nil
}

// runFloor runs the floor until the job is done, and gives how long that took from the start of the process.
func (l *lab) runFloor(ctx context.Context, job job) (time.Duration, error) {
	floor, err := l.startFloor(ctx, job)
	if err != nil {
		return 0, err
	}
	elapsed, err := floor.await(done)
	if err != nil {
		return 0, err
	}
	return elapsed, floor.stop()
}

func (f *runningFloor) pid() int {
	return f.command.Process.Pid
}

// Signal sends the process a signal.
func (f *runningFloor) Signal(signal os.Signal) error {
	return f.command.Process.Signal(signal)
}
