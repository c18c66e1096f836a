// Command xcc mirrors labelled Services between two Kubernetes clusters whose pods reach each other by IP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"xcc/sync/command"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run is the whole program: 0 if it did what it was asked for, else 1, or the code that the command gives its error, and
// one line that says why.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command.App(version(), stdout, stderr).RunContext(ctx, command.Arguments(arguments)); err != nil {
		if text := strings.TrimSpace(err.Error()); text != "" {
			fmt.Fprintf(stderr, "xcc: %s\n", strings.ReplaceAll(text, "\n", "; "))
		}
		var coded cli.ExitCoder
		if errors.As(err, &coded) {
			return coded.ExitCode()
		}
		return 1
	}
	return 0
}

// releaseVersion is set by the linker in a release.
var releaseVersion string

func version() string {
	if releaseVersion != "" {
		return releaseVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return "devel-" + setting.Value[:min(12, len(setting.Value))]
			}
		}
	}
	return "devel"
}
