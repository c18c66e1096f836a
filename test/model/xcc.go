package model

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/proxy"
)

// xcc is one installation: a process behind two proxies of its own. When it is killed it starts again at once, as systemd
// would do it, unless it is held down.
type xcc struct {
	pair       *Pair
	binary     string
	a, b       *proxy.Proxy
	kubeconfig string
	directory  string
	flags      []string

	mu      sync.Mutex
	process *daemon.Daemon
	killed  map[*daemon.Daemon]bool // by us
	down    bool                    // is not to start again
	lives   []string                // the logs of its earlier processes
	faults  []error                 // of its own: it ended though nobody told it to
	rules   []func()                // take away what was put in its way
	group   sync.WaitGroup
}

// install makes the proxies. It starts nothing.
func (p *Pair) install(ctx context.Context, flags ...string) (*xcc, error) {
	x := &xcc{pair: p, binary: p.binary, flags: flags, killed: map[*daemon.Daemon]bool{}, down: true}
	var err error
	if x.directory, err = os.MkdirTemp("", "xcc-model-"); err != nil {
		return nil, err
	}
	if x.a, err = p.A.proxy(ctx); err != nil {
		return nil, err
	}
	if x.b, err = p.B.proxy(ctx); err != nil {
		return nil, err
	}
	x.kubeconfig = x.directory + "/kubeconfig"
	return x, cluster.WriteKubeconfig(x.kubeconfig, p.A.Access.Through(x.a.URL()), p.B.Access.Through(x.b.URL()))
}

func (s *Side) proxy(ctx context.Context) (*proxy.Proxy, error) {
	certificate, err := s.ServingCertificate()
	if err != nil {
		return nil, err
	}
	return proxy.Start(context.WithoutCancel(ctx), proxy.Options{Server: s.Access.Server, CA: s.Access.CertificateAuthority, Certificate: certificate})
}

// way is its proxy of a side.
func (x *xcc) way(side *Side) *proxy.Proxy {
	if side == x.pair.A {
		return x.a
	}
	return x.b
}

func (x *xcc) arguments(flags ...string) []string {
	return append(append([]string{
		"sync", "--kubeconfig", x.kubeconfig, "--context-a", x.pair.A.Access.Context, "--context-b", x.pair.B.Access.Context, "--log-level=debug", "--listen=",
	}, x.flags...), flags...)
}

// start starts it, and from now on again whenever it ends.
func (x *xcc) start() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.down {
		return nil
	}
	x.down = false
	return x.launch()
}

// launch starts the process. The caller holds the lock.
func (x *xcc) launch() error {
	process, err := daemon.Start(context.Background(), daemon.Options{
		Binary: x.binary, Arguments: x.arguments(), Environment: []string{"GORACE=halt_on_error=1"},
	})
	if err != nil {
		return err
	}
	x.process = process
	x.group.Go(func() { x.mourn(process) })
	return nil
}

// mourn waits for the end of a process, and starts the next.
func (x *xcc) mourn(process *daemon.Daemon) {
	<-process.Exited()
	code, _ := process.Wait(context.Background()) // it has exited
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lives = append(x.lives, process.Log())
	if !x.killed[process] && !(x.down && code == 0) {
		x.faults = append(x.faults, fmt.Errorf("xcc ended by itself with exit code %d:\n%s", code, tail(process.Log(), 60)))
	}
	delete(x.killed, process)
	if x.process != process {
		return // somebody has started the next already
	}
	x.process = nil
	if x.down {
		return
	}
	if err := x.launch(); err != nil {
		x.faults = append(x.faults, err)
	}
}

// kill ends the process at once, and waits until it has. It starts again, unless it is to stay down.
func (x *xcc) kill(stayDown bool) {
	x.mu.Lock()
	process := x.process
	if stayDown {
		x.down = true
	}
	if process == nil {
		x.mu.Unlock()
		return
	}
	x.killed[process] = true
	x.mu.Unlock()
	if err := process.Kill(); err != nil {
		x.mu.Lock()
		x.faults = append(x.faults, err)
		x.mu.Unlock()
	}
}

// stop ends it in the orderly way.
func (x *xcc) stop(ctx context.Context) error {
	x.mu.Lock()
	process := x.process
	x.down = true
	x.mu.Unlock()
	if process == nil {
		return nil
	}
	_, err := process.Terminate(ctx)
	return err
}

// signal sends a signal to the process, if there is one.
func (x *xcc) signal(signal syscall.Signal) error {
	x.mu.Lock()
	process := x.process
	x.mu.Unlock()
	if process == nil {
		return nil
	}
	return process.Signal(signal)
}

// once runs `xcc sync --once` beside it, by the same way.
func (x *xcc) once(ctx context.Context, flags ...string) (int, string, error) {
	process, err := daemon.Start(ctx, daemon.Options{Binary: x.binary, Arguments: x.arguments(append([]string{"--once"}, flags...)...)})
	if err != nil {
		return 0, "", err
	}
	code, err := process.Wait(ctx)
	return code, process.Log(), err
}

// later keeps a function that takes a rule away.
func (x *xcc) later(remove func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rules = append(x.rules, remove)
}

// mend takes away all that was put in its way.
func (x *xcc) mend() {
	x.mu.Lock()
	rules := x.rules
	x.rules = nil
	x.mu.Unlock()
	for _, remove := range rules {
		remove()
	}
	for _, way := range []*proxy.Proxy{x.a, x.b} {
		way.Mend()
		way.Thaw()
		way.Unstall()
	}
}

// log is what all its processes have written.
func (x *xcc) log() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.lives
	if x.process != nil {
		all = append(all[:len(all):len(all)], x.process.Log())
	}
	return strings.Join(all, "--- killed, and started again ---\n")
}

// remove ends it for good, and gives the faults that it has shown.
func (x *xcc) remove(ctx context.Context) error {
	x.mend()
	err := x.stop(ctx)
	x.group.Wait()
	err = errors.Join(err, x.a.Close(), x.b.Close(), os.RemoveAll(x.directory))
	x.mu.Lock()
	defer x.mu.Unlock()
	return errors.Join(append(x.faults, err)...)
}

func tail(text string, count int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-count):], "\n")
}
