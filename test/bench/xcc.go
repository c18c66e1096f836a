package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"xcc/test/daemon"
)

// directions is how many xcc has; each says when it is in sync.
const directions = 2

// firstPass is what xcc logs when a direction has looked at all that there was.
const firstPass = `msg="first pass done"`

// runningXCC is a process of xcc between the two clusters.
type runningXCC struct {
	*daemon.Daemon
	started time.Time
	passes  *lineWatch
}

// startXCC runs xcc as its users do: with no flag but the contexts, unless some are given.
func (l *lab) startXCC(ctx context.Context, flags ...string) (*runningXCC, error) {
	arguments := append([]string{"sync", "--kubeconfig", l.target.kubeconfig, "--context-a", l.source.access.Context, "--context-b", l.target.access.Context, "--listen="}, l.options.Flags...)
	x := &runningXCC{started: time.Now(), passes: newLineWatch(firstPass, directions)}
	var err error
	x.Daemon, err = daemon.Start(ctx, daemon.Options{
		Binary: l.xcc, Arguments: append(arguments, flags...), Log: x.passes,
		Environment: append([]string{}, l.options.Environment...),
	})
	if err == nil {
		l.started = append(l.started, x)
	}
	return x, err
}

// awaitSync waits until both directions are in sync, and gives how long that took from the start of the process.
func (x *runningXCC) awaitSync(ctx context.Context) (time.Duration, error) {
	select {
	case <-x.passes.seen:
		return x.passes.last.Sub(x.started), nil
	case <-x.Exited():
		return 0, fmt.Errorf("xcc has exited before it was in sync:\n%s", x.tail())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// stop ends xcc in the orderly way.
func (x *runningXCC) stop(ctx context.Context) error {
	code, err := x.Terminate(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("xcc has exited with %d:\n%s", code, x.tail())
	}
	return err
}

// usage is what it has used so far.
func (x *runningXCC) usage() (usage, error) {
	return usageOf(x.PID())
}

// complaints are the errors and warnings that it logged.
func (x *runningXCC) complaints() error {
	for line := range strings.Lines(x.Log()) {
		if strings.Contains(line, "level=error") || strings.Contains(line, "level=warning") {
			return errors.New("xcc complains: " + strings.TrimSpace(line))
		}
	}
	return nil
}

func (x *runningXCC) tail() string {
	const length = 2000
	log := x.Log()
	return log[max(0, len(log)-length):]
}

// lineWatch waits for a number of lines that contain a text.
type lineWatch struct {
	text []byte
	seen chan struct{} // closed when the last of them has come
	last time.Time     // when that was; to be read after seen

	mu      sync.Mutex
	missing int
	partial []byte // of a line that has not ended yet
}

func newLineWatch(text string, count int) *lineWatch {
	return &lineWatch{text: []byte(text), missing: count, seen: make(chan struct{})}
}

// Write implements [io.Writer].
func (w *lineWatch) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := append(w.partial, data...)
	for {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			w.partial = bytes.Clone(rest)
			return len(data), nil
		}
		rest = after
		if w.missing > 0 && bytes.Contains(line, w.text) {
			if w.missing--; w.missing == 0 {
				w.last = time.Now()
				close(w.seen)
			}
		}
	}
}
