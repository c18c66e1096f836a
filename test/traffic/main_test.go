//go:build linux

// Package traffic tests that requests arrive: from pods of one cluster, through its DNS and kube-proxy, at the pods of the
// other, while xcc runs as a process under the identity that it was linked with.
//
// One boot of the two clusters is shared; each test has namespaces of its own. Nothing sleeps or measures time.
package traffic

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/network"
)

var (
	controlPlane, binary string
	east, west           *network.Cluster
	linked               string // the kubeconfig that xcc link has written, gone with the cluster in the east
)

func TestMain(m *testing.M) {
	if network.Missing() != "" {
		os.Exit(m.Run()) // the tests say so, each by its name
	}
	// Built out here, because there is no way from inside to where Go modules come from.
	if err := build(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(network.Run(func() int { return run(m) }))
}

func build(ctx context.Context) (err error) {
	if controlPlane, err = cluster.Build(ctx, os.Stderr); err != nil {
		return err
	}
	binary, err = cluster.BuildXCC(ctx, false)
	return err
}

func run(m *testing.M) int {
	// The tests mostly wait for the clusters; by default as many run at a time as there are processors.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	if err := setUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := errors.Join(east.Stop(ctx), west.Stop(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func setUp(ctx context.Context) (err error) {
	east, west, err = network.StartPair(ctx,
		cluster.Options{Name: "prod-east", Binary: controlPlane, DualStack: true},
		cluster.Options{Name: "prod-west", Binary: controlPlane, DualStack: true})
	if err != nil {
		return err
	}
	linked, err = daemon.Link(ctx, binary, east.Directory(), east.Admin(), west.Admin())
	return err
}

// needNetwork skips a test where there can be no network.
func needNetwork(t *testing.T) {
	t.Helper()
	if missing := network.Missing(); missing != "" {
		t.Skipf("this test needs %s", missing)
	}
}

// startXCC runs xcc between the two clusters until the test and its subtests end.
func startXCC(t *testing.T, flags ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(context.Background(), daemon.Options{Binary: binary, Arguments: append([]string{
		"sync", "--kubeconfig", linked, "--context-a", east.Name, "--context-b", west.Name, "--listen=",
	}, flags...)})
	mustBe(t, err)
	t.Cleanup(func() {
		code, err := d.Terminate(context.Background())
		mustBe(t, err)
		if code != 0 {
			t.Errorf("xcc exited with %d", code)
		}
		if t.Failed() {
			t.Logf("xcc's log:\n%s", d.Log())
		}
	})
	return d
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
