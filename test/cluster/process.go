package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bootTimeout bounds the start of a process when the context has no deadline. It is generous: a machine with two cores
// may be running the race detector on them as well.
const bootTimeout = 2 * time.Minute

// ErrNotRunning is what a method of a Process returns that needs it to run.
var ErrNotRunning = errors.New("not running")

// Process is one of a cluster's processes. It can be stopped, killed, paused and started again, with the same flags, port
// and data.
type Process struct {
	name      string
	binary    string
	arguments []string // the component's name, then its flags
	directory string
	logFile   string
	group     func() int                      // the process group to join
	prepare   func() error                    // before each start; may be nil
	ready     func(ctx context.Context) error // nil when the process does its work
	within    func(start func() error) error  // calls start from where the process is to be; nil is here

	mu      sync.Mutex
	current *execution // the last one; nil before the first
}

// execution is one life of a process.
type execution struct {
	command *exec.Cmd
	stdin   io.Closer     // closing it, or dying, tells the process that its parent is gone
	exited  chan struct{} // closed when the process is gone
	err     error         // why it went; to be read after exited
}

// Name is the component's name, such as kube-apiserver.
func (p *Process) Name() string { return p.name }

// LogFile is where the process writes its log.
func (p *Process) LogFile() string { return p.logFile }

// Running tells whether the process exists. A paused process does.
func (p *Process) Running() bool {
	_, err := p.running()
	return err == nil
}

// PID is the id of the running process.
func (p *Process) PID() (int, error) {
	execution, err := p.running()
	if err != nil {
		return 0, err
	}
	return execution.command.Process.Pid, nil
}

// Start starts the process and returns when it is ready. Extra flags count for this one life; of a flag that is given
// twice the last counts.
func (p *Process) Start(ctx context.Context, flags ...string) error {
	if p.Running() {
		return fmt.Errorf("start %s: already running", p.name)
	}
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
	}
	execution, err := spawn(spawnOptions{
		binary:    p.binary,
		arguments: append(append([]string(nil), p.arguments...), flags...),
		directory: p.directory,
		logFile:   p.logFile,
		group:     p.group(),
		inUse:     true,
		within:    p.within,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.current = execution
	p.mu.Unlock()

	if err := p.waitReady(ctx, execution); err != nil {
		execution.kill()
		return fmt.Errorf("start %s: %w\nthe end of its log:\n%s", p.name, err, p.logTail())
	}
	return nil
}

// waitReady waits until the process is ready, and no longer than it lives.
func (p *Process) waitReady(ctx context.Context, execution *execution) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bootTimeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-execution.exited:
			cancel(fmt.Errorf("it exited: %w", execution.err))
		case <-ctx.Done():
		}
	}()
	return Eventually(ctx, p.name+" is ready", p.ready)
}

// Stop ends the process in the orderly way (SIGTERM) and returns when it is gone. When ctx ends first it is killed, and
// that is an error.
func (p *Process) Stop(ctx context.Context) error {
	execution, err := p.running()
	if err != nil {
		return err
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} { // a paused one would not notice
		if err := execution.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
	}
	select {
	case <-execution.exited:
		return nil
	case <-ctx.Done():
		execution.kill()
		return fmt.Errorf("stop %s: killed, because it did not stop in time: %w", p.name, ctx.Err())
	}
}

// Kill ends the process at once (SIGKILL) and returns when it is gone.
func (p *Process) Kill() error {
	execution, err := p.running()
	if err != nil {
		return err
	}
	execution.kill()
	return nil
}

// Pause stops the process where it is (SIGSTOP): its connections stay open and nobody answers.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(signal syscall.Signal) error {
	execution, err := p.running()
	if err != nil {
		return err
	}
	if err := execution.command.Process.Signal(signal); err != nil {
		return fmt.Errorf("%s: send %s: %w", p.name, signal, err)
	}
	return nil
}

func (p *Process) running() (*execution, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil, fmt.Errorf("%s: %w", p.name, ErrNotRunning)
	}
	select {
	case <-p.current.exited:
		return nil, fmt.Errorf("%s: %w", p.name, ErrNotRunning)
	default:
		return p.current, nil
	}
}

// logTail is the end of the log, for the error of a failed start.
func (p *Process) logTail() string {
	content, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), 20)
}

// spawnOptions say how to start a process.
type spawnOptions struct {
	binary    string
	arguments []string
	directory string // the cluster's
	logFile   string
	group     int  // the process group to join; 0 makes a new one
	inUse     bool // keeps the directory from being removed while the process lives
	within    func(start func() error) error
}

// spawn starts a process that ends with this one. It is in a process group of its own cluster, so that Ctrl-C in a
// terminal reaches only this process, which then stops the others in order.
func spawn(options spawnOptions) (_ *execution, err error) {
	log, err := os.OpenFile(options.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(options.binary, options.arguments...)
	command.Dir = options.directory
	// Nothing of the caller's environment configures the cluster, and nothing is written outside its directory.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + options.directory, "TMPDIR=" + options.directory}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: options.group}
	if options.inUse {
		// The lock belongs to the open directory, which the process inherits and from then on alone holds.
		directory, err := os.Open(options.directory)
		if err != nil {
			return nil, err
		}
		defer directory.Close()
		if err := flock(directory, syscall.LOCK_SH); err != nil {
			return nil, err
		}
		command.ExtraFiles = []*os.File{directory}
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	start := command.Start
	if options.within != nil {
		start = func() error { return options.within(command.Start) }
	}
	if err := start(); err != nil {
		return nil, err
	}
	started := &execution{command: command, stdin: stdin, exited: make(chan struct{})}
	go func() {
		defer close(started.exited)
		started.err = command.Wait()
		if started.err == nil {
			started.err = errors.New("exit status 0")
		}
	}()
	return started, nil
}

// kill ends the process and returns when it is gone. The signal can only fail when it already is.
func (e *execution) kill() {
	_ = e.command.Process.Kill()
	<-e.exited
}

// lastLines returns the last lines of a text.
func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// newProcess describes one process of the cluster, which Start starts.
func (c *Cluster) newProcess(name, component string, flags []string) *Process {
	return &Process{
		name:      name,
		binary:    c.options.Binary,
		arguments: append([]string{component}, flags...),
		directory: c.directory,
		logFile:   filepath.Join(c.logDirectory, name+".log"),
		group:     func() int { return c.guard.command.Process.Pid },
	}
}
