//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"xcc/test/daemon"
	"xcc/test/network"
)

// shared is the one boot of the two clusters that all tests use; each test has namespaces of its own. Nothing measures time.
var (
	shared     *pair
	east, west *network.Cluster
)

func TestMain(m *testing.M) {
	if network.Missing() != "" {
		os.Exit(m.Run()) // the tests say so, each by its name
	}
	built, err := build(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(network.Run(func() int { return runTests(m, built) }))
}

func runTests(m *testing.M, built programs) int {
	// The tests mostly wait for the clusters; by default as many run at a time as there are processors.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	var err error
	if shared, err = startPair(ctx, built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	east, west = shared.east, shared.west
	code := m.Run()
	if err := errors.Join(east.Stop(ctx), west.Stop(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
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
	d, err := daemon.Start(context.Background(), daemon.Options{Binary: shared.xcc, Arguments: append([]string{
		"sync", "--kubeconfig", shared.linked, "--context-a", east.Name, "--context-b", west.Name, "--listen=",
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
