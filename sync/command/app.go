// Package command is the command line: the flags of each command, and what they wire together. What the commands do is in
// packages clusters and sync; how it is shown in sync/report.
//
// Reading order: app.go, then flags.go, sides.go and wire.go, which all commands share, then a file for each command.
package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xcc/manifests/shell"
)

// Arguments makes what a user wrote what the parser understands.
func Arguments(arguments []string) []string {
	return argumentLast(withDefaultCommand(arguments))
}

// withDefaultCommand makes `xcc --devmode=true`, and `xcc` alone, the same as with the command sync.
func withDefaultCommand(arguments []string) []string {
	if len(arguments) > 1 && !strings.HasPrefix(arguments[1], "-") {
		return arguments
	}
	if len(arguments) > 1 && slices.Contains([]string{"--generate-bash-completion", "-h", "--help", "-help", "-v", "--version", "-version"}, arguments[1]) {
		return arguments
	}
	return slices.Insert(slices.Clone(arguments), 1, "sync")
}

// argumentLast lets a command's one argument stand before its flags, too: the parser takes no flag after it.
func argumentLast(arguments []string) []string {
	if len(arguments) < 4 || strings.HasPrefix(arguments[2], "-") || !strings.HasPrefix(arguments[3], "-") {
		return arguments
	}
	return append(slices.Delete(slices.Clone(arguments), 2, 3), arguments[2])
}

// App has all commands. What it is run with goes through [Arguments] before.
func App(version string, stdout, stderr io.Writer) *cli.App {
	asIs := func(_ *cli.Context, err error, _ bool) error { return err }
	return &cli.App{
		Name:            "xcc",
		Usage:           "mirror labelled Services between two Kubernetes clusters with a flat pod network",
		Version:         version,
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    asIs,

		EnableBashCompletion:  true,
		CustomAppHelpTemplate: helpTemplate,
		Action: func(c *cli.Context) error {
			return fmt.Errorf("no command %q; see xcc --help", c.Args().First())
		},
		Commands: []*cli.Command{{
			Name:         "sync",
			Usage:        "run the daemon (the default command)",
			Description:  "Gives every exported Service of either cluster a pointer in the other, and keeps it in line.",
			Flags:        syncFlags(),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return syncClusters(c, stderr) },
		}, {
			Name:  "status",
			Usage: "show each exported Service, its verdict and its pointer",
			Flags: slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags(), []cli.Flag{formatFlag(),
				&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on, and show it again when it changes"},
				&cli.StringSliceFlag{Name: "fail-on", Usage: "exit with 1 if any Service is `refused` or pending (repeatable)"},
			}),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return status(c, stdout, stderr) },
		}, {
			Name:         "explain",
			Usage:        "show why one Service is mirrored or not, and what would change it",
			ArgsUsage:    "NAMESPACE/NAME",
			Flags:        slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags(), []cli.Flag{formatFlag()}),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return explain(c, stdout, stderr) },
		}, {
			Name:         "diff",
			Usage:        "show what a sync would change now, as a unified diff",
			Description:  "It exits with 0 where nothing would change, with 1 where something would, and with 2 after an error.",
			Flags:        slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags()),
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return cli.Exit(err, 2) },
			Action:       func(c *cli.Context) error { return diff(c, stdout, stderr) },
		}, {
			Name:         "link",
			Usage:        "give xcc its identity in both clusters, and write its kubeconfig",
			Flags:        linkFlags(),
			OnUsageError: asIs,
			Action:       linkClusters,
		}, {
			Name:         "unlink",
			Usage:        "withdraw all pointers from both clusters, then xcc's identity",
			Flags:        unlinkFlags(),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return unlinkClusters(c, stderr) },
		}, {
			Name:         "check",
			Usage:        "see whether both clusters are fit for xcc; writes nothing",
			Flags:        checkFlags(),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return checkClusters(c, stderr) },
		}, {
			Name:         "drain",
			Usage:        "withdraw one side's addresses from the other, until undrain",
			ArgsUsage:    "A|B",
			Flags:        append(sideFlags(), leaseNamespaceFlag()),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return drainSide(c, stderr, true) },
		}, {
			Name:         "undrain",
			Usage:        "let that side's addresses back into the other",
			ArgsUsage:    "A|B",
			Flags:        append(sideFlags(), leaseNamespaceFlag()),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return drainSide(c, stderr, false) },
		}, shell.Completion(), shell.Man()},
	}
}

// helpTemplate fits a screen. The flags are those of the commands.
const helpTemplate = `{{.Usage}}

usage: {{.Name}} [COMMAND] [FLAGS]
{{range .VisibleCommands}}
  {{.Name}}{{"\t"}}{{.Usage}}{{end}}

{{.Name}} COMMAND --help lists the flags of a command.
`
