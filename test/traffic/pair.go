//go:build linux

package main

import (
	"context"
	"fmt"
	"os"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/network"
)

// programs are what runs besides the tests themselves.
type programs struct{ controlPlane, xcc string }

// build builds them. It is called before the way into a network namespace as well, because there is no way from inside to
// where Go modules come from.
func build(ctx context.Context) (built programs, err error) {
	if built.controlPlane, err = cluster.Build(ctx, os.Stderr); err != nil {
		return programs{}, err
	}
	built.xcc, err = cluster.BuildXCC(ctx, false)
	return built, err
}

// pair is two clusters with a network, to which xcc is linked.
type pair struct {
	programs
	east, west *network.Cluster
	linked     string // the kubeconfig that xcc link has written, gone with the cluster in the east
}

// startPair boots two clusters. They live until this process ends, or are stopped.
func startPair(ctx context.Context, built programs) (*pair, error) {
	east, west, err := network.StartPair(ctx,
		cluster.Options{Name: "prod-east", Binary: built.controlPlane, DualStack: true},
		cluster.Options{Name: "prod-west", Binary: built.controlPlane, DualStack: true})
	if err != nil {
		return nil, err
	}
	linked, err := daemon.Link(ctx, built.xcc, east.Directory(), east.Admin(), west.Admin())
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return &pair{programs: built, east: east, west: west, linked: linked}, nil
}
