// Command bench measures xcc against the floor: a bare client that does the same work with no reading, comparing or
// queueing. Both run side by side, in turns, on real clusters that it boots on this machine, under the identity of
// xcc's manifests. Machines differ and are noisy, so what counts is the ratio of the two.
//
//	main.go, options.go        the flags, and the experiments in their order
//	lab.go, xcc.go, floor.go   the clusters, and the two programs that are compared
//	workload.go, storage.go,   the Services, how they come and go, and what else the API server keeps of an object
//	bookkeeping.go
//	usage.go, requests.go,     what a process has used, what an API server was asked for, and when a change has reached
//	observer.go, drive.go      the other side
//	turns.go, sidebyside.go,   how floor and xcc take turns, with whole measurements or with slices of one that takes
//	awake.go                   minutes, and CPUs that don't sleep
//	row.go, report.go, plot.go what comes out
//
// The other files are the experiments, and bare.go is the floor itself: this program, run a second time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program: 0 if every row that was measured meets its target.
func run(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(arguments) == 1 && arguments[0] == floorArgument {
		return exitCode(stderr, beFloor(ctx, stdin, stdout))
	}
	options, err := parseOptions(arguments, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return exitCode(stderr, err)
	}
	return exitCode(stderr, bench(ctx, options, stdout, stderr))
}

func exitCode(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// experiment measures one or more rows of the table.
type experiment struct {
	names   []string // of the rows, as -rows selects them
	measure func(*lab, context.Context) error
}

// experiments are in the order in which they need the least to be set up anew: the source grows, and the target that is in
// sync with it is used as long as possible.
func experiments() []experiment {
	return []experiment{
		{[]string{"large"}, (*lab).measureLarge},
		{[]string{"propagation", "writes"}, (*lab).measurePropagation},
		{[]string{"memory"}, (*lab).measureSmallMemory},
		{[]string{"initial", "withdraw"}, (*lab).measureCycle},
		{[]string{"live"}, (*lab).measureLive},
		{[]string{"memory"}, (*lab).measureMemory},
		{[]string{"restart"}, (*lab).measureRestart},
		{[]string{"rest", "churn"}, (*lab).measureRest},
	}
}

// bench runs the experiments, and reports also what was measured before one of them failed.
func bench(ctx context.Context, options options, stdout, stderr io.Writer) (err error) {
	lab, err := newLab(ctx, options, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.close(context.WithoutCancel(ctx))) }()
	var failure error
	for _, e := range experiments() {
		if failure == nil && options.selects(e.names...) {
			failure = e.measure(lab, ctx)
		}
	}
	if err := lab.report.write(options, stdout); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil {
		return failure
	}
	if missed := lab.report.missed(); missed > 0 {
		return fmt.Errorf("%d rows miss their target", missed)
	}
	return nil
}
