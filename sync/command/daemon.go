package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
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

// syncClusters runs the daemon until a signal, or once.
func syncClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("sync takes no argument, only flags: %q", c.Args().First())
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
		defer runtime.KeepAlive(newReserve())
	}
	metrics := report.NewMetrics(c.App.Version)
	workqueue.SetProvider(metrics.Workqueues())
	daemon, err := open(c, stderr, metrics.Request)
	if err != nil {
		return err
	}
	server := observed(c, daemon, metrics)
	closed, err := listen(c, server)
	if err != nil {
		return err
	}
	defer closed()
	defer tellSystemd(c, daemon)()
	if daemon.hub.Once {
		defer progressIn(daemon.log).of(daemon.hub.Summary)()
	}
	err = serve(c.Context, daemon.hub.Once, work(c, daemon, server), daemon.a, daemon.b)
	if errors.Is(err, errInterrupted) && !daemon.hub.Once {
		return nil
	}
	return err
}

// observed counts what the directions do, and makes the server that tells of it.
func observed(c *cli.Context, daemon opened, metrics *report.Metrics) *report.Server {
	for _, mirror := range daemon.hub.Mirrors {
		mirror.Observer = metrics.Observer(mirror.Rules.Name, mirror.To)
	}
	metrics.Collect(daemon.hub.Mirrors)
	server := &report.Server{
		Version: c.App.Version, Clusters: [2]report.Cluster{daemon.a, daemon.b}, Hub: daemon.hub, Metrics: metrics,
		Debug: c.Bool("debug"), Log: daemon.log,
	}
	server.StandBy(c.Bool("leader-elect"))
	return server
}

// work is what the daemon does when both clusters are known: with --leader-elect, not before it holds the Lease.
func work(c *cli.Context, daemon opened, server *report.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		defer writeEvents(ctx, daemon)()
		if !c.Bool("leader-elect") {
			return daemon.hub.Run(ctx)
		}
		return daemon.a.Lead(ctx, c.String("lease-namespace"), daemonIdentity(), func(ctx context.Context, held func() error) error {
			for _, mirror := range daemon.hub.Mirrors {
				mirror.MayWrite = held
			}
			server.StandBy(false)
			return daemon.hub.Run(ctx)
		})
	}
}

// eventPatience is how long the end of the work waits for Events in hand, and hurriedPatience where the process was told
// to end: it must whether the clusters answer or not.
const (
	eventPatience   = 10 * time.Second
	hurriedPatience = time.Second
)

// writeEvents lets the directions write Events, until closed is called. That has to be while the clusters are still
// connected: it waits for Events in hand.
func writeEvents(ctx context.Context, daemon opened) (closed func()) {
	eventsA, eventsB := daemon.a.NewEvents(), daemon.b.NewEvents()
	for _, mirror := range daemon.hub.Mirrors {
		mirror.SourceEvents, mirror.TargetEvents = eventsA, eventsB
		if mirror.Heartbeat != sync.Heartbeat(daemon.a) {
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

// tellSystemd tells it how the daemon is, until stop is called.
func tellSystemd(c *cli.Context, daemon opened) (stop func()) {
	telling, cancel := context.WithCancel(c.Context)
	var group stdsync.WaitGroup
	group.Go(func() {
		systemd.Tell(telling, func() systemd.Condition {
			return condition(daemon.hub, c.Bool("leader-elect"), daemon.a, daemon.b)
		}, daemon.log)
	})
	return func() {
		cancel()
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
