// Package daemon runs xcc as its users do: as a process of its own, with a kubeconfig that holds nothing but the
// identity of its manifests.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"xcc/test/cluster"
)

// Options say how to run xcc.
type Options struct {
	// Binary is from [cluster.BuildXCC].
	Binary string
	// Arguments come after the program's name.
	Arguments []string
	// Environment is all of it; nothing is inherited.
	Environment []string
	// Log receives what xcc writes to standard error; nil for nowhere.
	Log io.Writer
}

// Daemon is a running xcc.
type Daemon struct {
	command *exec.Cmd
	exited  chan struct{}
	err     error
	log     lockedBuffer
}

// Start starts xcc. The process ends when ctx does, at the latest.
func Start(ctx context.Context, options Options) (*Daemon, error) {
	d := &Daemon{exited: make(chan struct{})}
	d.command = exec.CommandContext(ctx, options.Binary, options.Arguments...)
	// A nil environment would be that of the test.
	d.command.Env = append([]string{}, options.Environment...)
	d.command.Stdout, d.command.Stderr = &d.log, &d.log
	if options.Log != nil {
		d.command.Stderr = io.MultiWriter(&d.log, options.Log)
	}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("start xcc: %w", err)
	}
	go func() {
		d.err = d.command.Wait()
		close(d.exited)
	}()
	return d, nil
}

// Sync starts `xcc sync` between two clusters, with the access given to each, and the flags given. It listens nowhere
// unless they say so, because many run at a time.
func Sync(ctx context.Context, binary, directory string, a, b cluster.Access, flags ...string) (*Daemon, error) {
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := cluster.WriteKubeconfig(kubeconfig, a, b); err != nil {
		return nil, err
	}
	return Start(ctx, Options{Binary: binary, Arguments: append([]string{
		"sync", "--kubeconfig", kubeconfig, "--context-a", a.Context, "--context-b", b.Context, "--listen=",
	}, flags...)})
}

// Link has xcc give itself its identity in two clusters, by an administrator's access to each, and gives the path of the
// kubeconfig that it writes. The flags are those of `xcc link`.
func Link(ctx context.Context, binary, directory string, a, b cluster.Access, flags ...string) (string, error) {
	admin, linked := filepath.Join(directory, "admin.kubeconfig"), filepath.Join(directory, "xcc.kubeconfig")
	if err := cluster.WriteKubeconfig(admin, a, b); err != nil {
		return "", err
	}
	d, err := Start(ctx, Options{Binary: binary, Arguments: append([]string{
		"link", "--kubeconfig", admin, "--context-a", a.Context, "--context-b", b.Context, "--output", linked,
	}, flags...)})
	if err != nil {
		return "", err
	}
	code, err := d.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("xcc link exited with %d:\n%s", code, d.Log())
	}
	return linked, err
}

// PID is the process.
func (d *Daemon) PID() int {
	return d.command.Process.Pid
}

// Log is what it has written so far.
func (d *Daemon) Log() string {
	return d.log.String()
}

// Exited is closed when the process has ended.
func (d *Daemon) Exited() <-chan struct{} {
	return d.exited
}

// Wait waits for the process to end, and gives its exit code; -1 where a signal ended it.
func (d *Daemon) Wait(ctx context.Context) (int, error) {
	select {
	case <-d.exited:
		return d.command.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for xcc to exit: %w", context.Cause(ctx))
	}
}

// patience is how long a daemon has to end. xcc promises 10 seconds; a busy machine may need more.
const patience = time.Minute

// Terminate asks it to end, as systemd does, and waits. One that does not end is killed, and the error says what it was
// doing.
func (d *Daemon) Terminate(ctx context.Context) (int, error) {
	if err := d.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code, err := d.Wait(waiting)
	if err == nil || ctx.Err() != nil {
		return code, err
	}
	// Go's answer to SIGQUIT is the stack of every goroutine.
	if quit := d.Signal(syscall.SIGQUIT); quit != nil {
		return 0, errors.Join(err, quit)
	}
	<-d.exited
	return 0, fmt.Errorf("xcc has not ended within %s of SIGTERM:\n%s", patience, d.Log())
}

// Kill ends it at once, and waits until it has ended.
func (d *Daemon) Kill() error {
	if err := d.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-d.exited
	return nil
}

// Signal sends a signal. It is not an error that the process has ended already.
func (d *Daemon) Signal(signal os.Signal) error {
	if err := d.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal xcc: %w", err)
	}
	return nil
}

// lockedBuffer is written by the process and read by tests.
type lockedBuffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, data...)
	return len(data), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}
