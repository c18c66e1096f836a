//go:build linux

// Command traffic measures whether requests arrive: from pods of one cluster, through its DNS and kube-proxy, at the pods of
// the other, while xcc runs as a process under the identity that it was linked with. It takes about ten minutes.
//
//	go run ./traffic -rounds 3
//
// It prints a table, and exits with 1 where more was lost than by a local Service, or where failover takes too long. The tests
// beside it are about what arrives, and play the same scenarios in short.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"xcc/test/network"
)

// long is the size of a scenario here. A daemon that was killed is dead for as long as systemd leaves it.
var long = size{
	rounds: 1, perSecond: 50, pods: 3, every: 2 * time.Second, preStop: preStop, away: time.Minute, restart: 5 * time.Second, others: 500,
}

func main() {
	flags := flag.NewFlagSet("traffic", flag.ExitOnError)
	only := flags.String("only", "", "play only the scenarios whose names contain this")
	flags.IntVar(&long.rounds, "rounds", long.rounds, "how often it happens in each scenario")
	_ = flags.Parse(os.Args[1:]) // it exits by itself

	if missing := network.Missing(); missing != "" {
		fmt.Fprintf(os.Stderr, "traffic: this needs %s\n", missing)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	built, err := build(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(network.Run(func() int { return playAll(ctx, built, *only, os.Stdout) }))
}

// failing is the size of what is measured of failover.
func failing() size { return size{rounds: 5 * long.rounds, perSecond: 100} }

// row is a line of the table: scenario, requests, lost, lost by the local control, pods replaced, failover time.
const row = "%-48s %9v %6v %9v %9v  %s\n"

func playAll(ctx context.Context, built programs, only string, out io.Writer) int {
	p, err := startPair(ctx, built)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	failed := false
	tell := func(err error) {
		if err != nil {
			failed = true
			fmt.Fprintln(out, err)
		}
	}
	fmt.Fprintf(out, row, "scenario", "requests", "lost", "locally", "replaced", "failover")
	for _, scenario := range scenarios {
		if !strings.Contains(scenario.name, only) || ctx.Err() != nil {
			continue
		}
		result, err := p.run(ctx, scenario, long)
		fmt.Fprintf(out, row, scenario.name, result.through.Requests, result.through.Lost, result.local.Lost, result.replaced, "")
		if result.through.Lost+result.local.Lost > 0 {
			fmt.Fprintln(out, result)
		}
		tell(err)
	}
	if strings.Contains(failoverName, only) && ctx.Err() == nil {
		tell(p.tellFailover(ctx, out))
	}
	tell(errors.Join(p.east.Stop(context.WithoutCancel(ctx)), p.west.Stop(context.WithoutCancel(ctx))))
	if failed || ctx.Err() != nil {
		return 1
	}
	return 0
}

const failoverName = "the last pod is not ready, and others take over"

func (p *pair) tellFailover(ctx context.Context, out io.Writer) error {
	measured, err := p.measureFailover(ctx, failing())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, row, failoverName, measured.acrossCount.Requests, measured.acrossCount.Lost, measured.withinCount.Lost, "", measured)
	return measured.verdict()
}
