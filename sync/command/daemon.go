package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	stdsync "sync"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/util/workqueue"

	"xcc/clusters"
	"xcc/manifests/systemd"
	"xcc/sync"
	"xcc/sync/report"
)

// garbagePercent is how much garbage there may be beside what is in use, as GOGC says it. What is in use is small and lasts,
// so it is cheap to look through.
const garbagePercent = 75

// syncClusters runs the daemon until a signal, or once.
func syncClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("sync takes no argument, only flags: %q", c.Args().First())
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	metrics := report.NewMetrics(c.App.Version)
	workqueue.SetProvider(metrics.Workqueues())
	daemon, err := open(c, stderr, metrics.Request)
	if err != nil {
		return err
	}
	a, b, hub := daemon.a, daemon.b, daemon.hub
	for _, mirror := range hub.Mirrors {
		mirror.Observer = metrics.Observer(mirror.Rules.Name, mirror.To)
	}
	metrics.Collect(hub.Mirrors)
	server := &report.Server{
		Version: c.App.Version, Clusters: [2]report.Cluster{a, b}, Hub: hub, Metrics: metrics, Debug: c.Bool("debug"), Log: daemon.log,
	}
	server.StandBy(c.Bool("leader-elect"))
	closed, err := listen(c, server)
	if err != nil {
		return err
	}
	defer closed()
	work := hub.Run
	if c.Bool("leader-elect") {
		work = func(ctx context.Context) error {
			return a.Lead(ctx, c.String("lease-namespace"), daemonIdentity(), func(ctx context.Context, held func() error) error {
				for _, mirror := range hub.Mirrors {
					mirror.MayWrite = held
				}
				server.StandBy(false)
				return hub.Run(ctx)
			})
		}
	}
	worked := work
	work = func(ctx context.Context) error {
		defer writeEvents(ctx, hub, a, b)()
		return worked(ctx)
	}
	telling, stop := context.WithCancel(c.Context)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() {
		systemd.Tell(telling, func() systemd.Condition { return condition(hub, c.Bool("leader-elect"), a, b) }, daemon.log)
	})
	if hub.Once {
		// The log is what is looked at, also on a terminal.
		interval := progress{plainInterval, plainInterval, func(text string) { daemon.log.Info(text) }, func() {}}
		defer interval.of(hub.Summary)()
	}
	err = serve(c.Context, hub.Once, work, a, b)
	if errors.Is(err, errInterrupted) && !hub.Once {
		return nil
	}
	return err
}

// eventPatience is how long the end of the work waits for Events in hand, and hurriedPatience where the process was told
// to end: it must whether the clusters answer or not.
const (
	eventPatience   = 10 * time.Second
	hurriedPatience = time.Second
)

// writeEvents lets the directions write Events, until closed is called. That has to be while the clusters are still
// connected: it waits for Events in hand.
func writeEvents(ctx context.Context, hub *sync.Hub, a, b *clusters.Cluster) (closed func()) {
	eventsA, eventsB := a.NewEvents(), b.NewEvents()
	for _, mirror := range hub.Mirrors {
		mirror.SourceEvents, mirror.TargetEvents = eventsA, eventsB
		if mirror.Heartbeat != sync.Heartbeat(a) {
			mirror.SourceEvents, mirror.TargetEvents = eventsB, eventsA
		}
	}
	return func() {
		patience := eventPatience
		if ctx.Err() != nil {
			patience = hurriedPatience
		}
		var group stdsync.WaitGroup
		group.Go(func() { eventsA.Close(patience) })
		group.Go(func() { eventsB.Close(patience) })
		group.Wait()
	}
}

// condition is what systemd is told. To stand by is all that a daemon without the Lease is to do, so it is ready then.
func condition(hub *sync.Hub, standsBy bool, sides ...*clusters.Cluster) systemd.Condition {
	for _, cluster := range sides {
		if cluster.UID() == "" {
			return systemd.Condition{Status: "waiting for " + cluster.Name() + " to answer"}
		}
	}
	if standsBy && !hub.Running() {
		return systemd.Condition{Ready: true, Status: "standing by for the Lease"}
	}
	return systemd.Condition{Ready: hub.Passed(), Status: hub.Summary(), Stuck: hub.Stuck()}
}

// listen opens what --listen says, until closed is called. A run with --once is over too soon for that.
func listen(c *cli.Context, server *report.Server) (closed func(), err error) {
	if c.String("listen") == "" || c.Bool("once") {
		return func() {}, nil
	}
	listener, err := report.Listen(c.String("listen"))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.Context))
	var group stdsync.WaitGroup
	group.Go(func() { server.Serve(ctx, listener) })
	return func() {
		stop()
		group.Wait()
	}, nil
}

// daemonIdentity tells this process from any other, also of the same host.
func daemonIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "_" + string(uuid.NewUUID())
}
