// Command soak runs seed after seed of the model test for as long as it is told to: of ten, one with a mass deletion, and one
// with a restore from a snapshot.
//
//	go run ./model/soak -seconds 900 -seed 7
//
// It prints at the end what it has done, and exits with 1 if any promise was broken. The enumerated plans are no part of it:
// make test runs some of them, and make plans all.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"xcc/test/model"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout))
}

// Every restoreEvery-th seed is one with a restore. Of the others, every brakeEvery-th is one with a mass deletion, counted
// from the first of all.
const (
	restoreEvery = 10
	brakeEvery   = 5
)

func run(ctx context.Context, arguments []string, out io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	seconds := flags.Int("seconds", 900, "how long to go on, from when the clusters have booted")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()%1e6), "the first seed; the others follow it")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	pair, err := model.Boot(ctx, out)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	defer pair.Close(context.WithoutCancel(ctx))
	failed := false
	var total model.Statistics
	end := time.Now().Add(time.Duration(*seconds) * time.Second)
	for n := 0; time.Now().Before(end) && ctx.Err() == nil; n++ {
		statistics, err := one(ctx, pair, *seed+uint64(n), n)
		if ctx.Err() != nil {
			break // interrupted, so nothing is to be learned from it
		}
		total.Add(statistics)
		failed = tell(out, err) || failed
		fmt.Fprintf(out, "seed %d: %d operations, %d writes, %d violations\n", *seed+uint64(n), statistics.Operations, statistics.Writes, statistics.Violations)
	}
	fmt.Fprintf(out, "\nseeds from %d on\n%s\n", *seed, total)
	if failed {
		return 1
	}
	return 0
}

// one runs a seed of the kind whose turn it is.
func one(ctx context.Context, pair *model.Pair, seed uint64, n int) (model.Statistics, error) {
	switch {
	case n%restoreEvery == restoreEvery-1:
		return pair.RunRestore(ctx, seed)
	case n%brakeEvery == brakeEvery-1:
		return pair.RunBrake(ctx, seed)
	}
	return pair.Run(ctx, seed)
}

func tell(out io.Writer, err error) bool {
	if err != nil {
		fmt.Fprintln(out, err)
	}
	return err != nil
}
