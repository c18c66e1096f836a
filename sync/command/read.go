package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"

	"xcc/clusters"
	"xcc/sync"
	"xcc/sync/report"
)

// opened is what the commands work with.
type opened struct {
	a, b *clusters.Cluster
	hub  *sync.Hub
	log  logrus.FieldLogger
}

// open makes all that the flags say, and no request. observe is told of each that is made later.
func open(c *cli.Context, stderr io.Writer, observe clusters.RequestObserver) (o opened, err error) {
	if o.log, err = logger(c, stderr); err != nil {
		return o, err
	}
	sideA, sideB, err := sides(c)
	if err != nil {
		return o, err
	}
	sideA.Observe, sideB.Observe = observe, observe
	if o.a, err = clusters.Open(sideA, o.log); err != nil {
		return o, err
	}
	if o.b, err = clusters.Open(sideB, o.log); err != nil {
		return o, err
	}
	if o.a.Name() == o.b.Name() {
		return o, fmt.Errorf("--name-a and --name-b: both clusters are called %s; give them names that tell them apart", o.a.Name())
	}
	o.hub, err = wire(c, o.a, o.b, o.log)
	return o, err
}

// read connects to both clusters, for a command that writes nothing, and gives up where they don't answer in time.
// With watch only the first answer is to be in time.
func read(c *cli.Context, stderr io.Writer, watch bool, work func(context.Context, *sync.Hub) error) error {
	o, err := open(c, stderr, nil)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(c.Context)
	defer stop(nil)
	timer := time.AfterFunc(c.Duration("timeout"), func() { stop(o.late(c.Duration("timeout"))) })
	defer timer.Stop()
	return serve(ctx, !watch, func(ctx context.Context) error {
		if err := o.hub.WaitSynced(ctx); err != nil {
			return err
		}
		if watch {
			timer.Stop()
		}
		return work(ctx, o.hub)
	}, o.a, o.b)
}

// late says what was not there in time.
func (o opened) late(timeout time.Duration) error {
	for _, cluster := range []*clusters.Cluster{o.a, o.b} {
		select {
		case <-cluster.Identified():
		default:
			return fmt.Errorf("--timeout: cluster %s did not answer within %s: %s", cluster.Name(), timeout, cmp.Or(cluster.Problem(), "no answer"))
		}
	}
	return fmt.Errorf("--timeout: not done within %s", timeout)
}

func status(c *cli.Context, stdout, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("status takes no argument, only flags: %q", c.Args().First())
	}
	format, err := format(c)
	if err != nil {
		return err
	}
	for _, verdict := range c.StringSlice("fail-on") {
		if !slices.Contains([]string{"refused", "pending"}, verdict) {
			return fmt.Errorf("--fail-on: %q is neither refused nor pending", verdict)
		}
	}
	return read(c, stderr, c.Bool("watch"), func(ctx context.Context, hub *sync.Hub) error {
		if c.Bool("watch") {
			return report.Watch(ctx, hub, stdout, format, isTerminal(stdout))
		}
		status, err := report.Inspect(ctx, hub)
		if err != nil {
			return err
		}
		if err := status.Write(stdout, format, time.Now()); err != nil {
			return err
		}
		return status.FailOn(c.StringSlice("fail-on"))
	})
}

func explain(c *cli.Context, stdout, stderr io.Writer) error {
	namespace, name, found := strings.Cut(c.Args().First(), "/")
	if c.NArg() != 1 || !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("explain takes one argument, NAMESPACE/NAME, after the flags: %q", c.Args().Slice())
	}
	format, err := format(c)
	if err != nil {
		return err
	}
	return read(c, stderr, false, func(ctx context.Context, hub *sync.Hub) error {
		explanation, err := report.Explain(ctx, hub, sync.Key{Namespace: namespace, Name: name})
		if err != nil {
			return err
		}
		return explanation.Write(stdout, format)
	})
}

// diff exits as kubectl diff does.
func diff(c *cli.Context, stdout, stderr io.Writer) error {
	differs := false
	err := fmt.Errorf("diff takes no argument, only flags: %q", c.Args().First())
	if !c.Args().Present() {
		err = read(c, stderr, false, func(ctx context.Context, hub *sync.Hub) (err error) {
			differs, err = report.Diff(ctx, hub, stdout, func(text string) { fmt.Fprintln(stderr, text) })
			return err
		})
	}
	switch {
	case err != nil:
		return cli.Exit(err, 2)
	case differs:
		return cli.Exit("", 1)
	}
	return nil
}

func format(c *cli.Context) (report.Format, error) {
	format := report.Format(c.String("output"))
	if !slices.Contains(report.Formats, format) {
		return "", fmt.Errorf("--output: %q is none of table, json and yaml", format)
	}
	return format, nil
}
