// Command demo shows xcc at work on two real clusters that it boots on this machine. With -play it leaves them running
// and prints commands to try.
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

	"xcc/test/cluster"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program: 0 if all that it did went as it should.
func run(arguments []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	play := flags.Bool("play", false, "leave the clusters and xcc running, and print commands to try")
	build := flags.Bool("build", false, "build what the clusters are made of, and nothing else")
	if err := flags.Parse(arguments); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: demo [-play | -build]")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := newPrinter(stdout)
	var err error
	switch {
	case *build:
		_, err = cluster.Build(ctx, stdout)
	case *play:
		err = onStage(ctx, out, (*stage).play)
	default:
		err = onStage(ctx, out, (*stage).demonstrate)
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		out.line("")
		out.failure("interrupted")
	default:
		out.failure("FAILED: " + err.Error())
	}
	return 1
}
