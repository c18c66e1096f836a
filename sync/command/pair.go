package command

import (
	"context"
	"errors"
	"io"

	"github.com/go-logr/logr"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"xcc/clusters"
	"xcc/sync"
)

// pair is both clusters with a view of the pointers in each.
type pair struct {
	a, b         *clusters.Cluster
	intoA, intoB *clusters.Target[*sync.Copy]
	log          logrus.FieldLogger
}

func openPair(c *cli.Context, log logrus.FieldLogger) (*pair, error) {
	sideA, sideB, err := sides(c)
	if err != nil {
		return nil, err
	}
	p := &pair{log: log}
	if p.a, err = clusters.Open(sideA, log); err != nil {
		return nil, err
	}
	if p.b, err = clusters.Open(sideB, log); err != nil {
		return nil, err
	}
	p.intoA, p.intoB = pointersOf(p.a), pointersOf(p.b)
	return p, nil
}

// pointersOf adds a view of a cluster's pointers.
func pointersOf(cluster *clusters.Cluster) *clusters.Target[*sync.Copy] {
	follower := labels.SelectorFromSet(labels.Set{sync.LabelExport: sync.Follower})
	return clusters.NewTarget(cluster, follower, sync.Rules{}.Observe, clusters.Unheard)
}

// serve runs work when both clusters are connected and known, and the pointers read.
func (p *pair) serve(ctx context.Context, work func(context.Context) error) error {
	return serve(ctx, true, func(ctx context.Context) error {
		if err := errors.Join(p.intoA.WaitSynced(ctx), p.intoB.WaitSynced(ctx)); err != nil {
			return err
		}
		return work(ctx)
	}, p.a, p.b)
}

// order is an order about the pointers of a source.
func (p *pair) order(from *clusters.Cluster, into *clusters.Target[*sync.Copy]) sync.Order {
	return sync.Order{Source: from.UID(), Target: into, Writer: into, Log: p.log}
}

// quiet is a logger for commands whose result is what they print: what goes wrong, and nothing else.
func quiet(stderr io.Writer) logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(stderr)
	log.SetLevel(logrus.ErrorLevel)
	klog.SetLogger(logr.Discard())
	return log
}
