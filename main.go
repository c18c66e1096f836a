// Command xcc mirrors labelled Services between two Kubernetes clusters whose pods reach each other by IP.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	stdsync "sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/klog/v2"

	"xcc/clusters"
	"xcc/manifests/shell"
	"xcc/manifests/systemd"
	"xcc/sync"
	"xcc/sync/report"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run is the whole program: 0 if it did what it was asked for, else 1, or the code that the command gives its error, and
// one line that says why.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app(stdout, stderr).RunContext(ctx, argumentLast(withDefaultCommand(arguments))); err != nil {
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

func app(stdout, stderr io.Writer) *cli.App {
	asIs := func(_ *cli.Context, err error, _ bool) error { return err }
	return &cli.App{
		Name:            "xcc",
		Usage:           "mirror labelled Services between two Kubernetes clusters with a flat pod network",
		Version:         version(),
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
			Usage: "show each exported Service of either cluster: its verdict, and what its pointer has",
			Flags: slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags(), []cli.Flag{formatFlag(),
				&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on, and show it again when it changes"},
				&cli.StringSliceFlag{Name: "fail-on", Usage: "exit with 1 if any Service is `refused` or pending (repeatable)"},
			}),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return status(c, stdout, stderr) },
		}, {
			Name:         "explain",
			Usage:        "show the whole reasoning about one Service: what was found on each side, the verdict, and what would change it",
			ArgsUsage:    "NAMESPACE/NAME",
			Flags:        slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags(), []cli.Flag{formatFlag()}),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return explain(c, stdout, stderr) },
		}, {
			Name:         "diff",
			Usage:        "show what a sync would change now, as a unified diff; exit with 0 for nothing, 1 for something, 2 for an error",
			Flags:        slices.Concat(connectionFlags("warning"), ruleFlags(), readFlags()),
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return cli.Exit(err, 2) },
			Action:       func(c *cli.Context) error { return diff(c, stdout, stderr) },
		}, {
			Name:         "link",
			Usage:        "give xcc its identity in both clusters, with an administrator's contexts, and write its kubeconfig",
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
			Usage:        "see whether both clusters, and what is between them, are fit for xcc; nothing is written",
			Flags:        checkFlags(),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return checkClusters(c, stderr) },
		}, {
			Name:         "drain",
			Usage:        "withdraw the addresses of side A or B from the other, until undrain",
			ArgsUsage:    "A|B",
			Flags:        append(sideFlags(), leaseNamespaceFlag()),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return drainSide(c, stderr, true) },
		}, {
			Name:         "undrain",
			Usage:        "let the addresses of side A or B back into the other",
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

// syncFlags are all.
func syncFlags() []cli.Flag {
	return slices.Concat(connectionFlags("info"), ruleFlags(), []cli.Flag{
		&cli.IntFlag{Name: "max-delete-percent", EnvVars: []string{"XCC_MAX_DELETE_PERCENT"}, Value: 50, Usage: "hold withdrawals when more than this `PERCENT` of a direction's pointers (and more than 10) go within ten minutes"},
		&cli.BoolFlag{Name: "allow-mass-delete", EnvVars: []string{"XCC_ALLOW_MASS_DELETE"}, Usage: "with --once: let all held withdrawals through, and release the brake"},
		&cli.StringFlag{Name: "on-unreachable", EnvVars: []string{"XCC_ON_UNREACHABLE"}, Value: "keep", Usage: "what becomes of a silent source's addresses: keep or withdraw"},
		&cli.DurationFlag{Name: "stale-after", EnvVars: []string{"XCC_STALE_AFTER"}, Value: 10 * time.Minute, Usage: "with --on-unreachable=withdraw: how long a source must be silent"},
		leaderElectFlag(),
		&cli.BoolFlag{Name: "once", EnvVars: []string{"XCC_ONCE"}, Usage: "bring all in sync, then exit: 0, or 1 if any Service failed"},
		&cli.BoolFlag{Name: "dry-run", EnvVars: []string{"XCC_DRY_RUN"}, Usage: "log what would be written, write nothing"},
		&cli.StringFlag{Name: "listen", EnvVars: []string{"XCC_LISTEN"}, Value: "127.0.0.1:9733", Usage: "`ADDRESS` of the status page, /metrics, /healthz and /readyz; empty for none"},
		&cli.BoolFlag{Name: "debug", EnvVars: []string{"XCC_DEBUG"}, Usage: "profiles of the daemon itself under /debug/pprof/"},
	})
}

// sideFlags name the two clusters. All commands have them.
func sideFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kubeconfig", EnvVars: []string{"XCC_KUBECONFIG", "KUBECONFIG_PATH"}, Usage: "kubeconfig `FILE` of both clusters (default: $KUBECONFIG, then ~/.kube/config)"},
		&cli.StringFlag{Name: "kubeconfig-a", EnvVars: []string{"XCC_KUBECONFIG_A"}, Usage: "kubeconfig `FILE` of side A, where it has one of its own"},
		&cli.StringFlag{Name: "kubeconfig-b", EnvVars: []string{"XCC_KUBECONFIG_B"}, Usage: "kubeconfig `FILE` of side B, where it has one of its own"},
		&cli.StringFlag{Name: "context-a", EnvVars: []string{"XCC_CONTEXT_A"}, Usage: "`CONTEXT` of side A"},
		&cli.StringFlag{Name: "context-b", EnvVars: []string{"XCC_CONTEXT_B"}, Usage: "`CONTEXT` of side B"},
		&cli.StringFlag{Name: "name-a", EnvVars: []string{"XCC_NAME_A"}, Usage: "display `NAME` of side A (default: its context)"},
		&cli.StringFlag{Name: "name-b", EnvVars: []string{"XCC_NAME_B"}, Usage: "display `NAME` of side B (default: its context)"},
		&cli.BoolFlag{Name: "devmode", EnvVars: []string{"XCC_DEVMODE", "DEV_MODE"}, Usage: "readable debug logs; without contexts, the two that the kubeconfig holds"},
	}
}

// connectionFlags say which clusters, and how to tell of them.
func connectionFlags(level string) []cli.Flag {
	return append(sideFlags(),
		&cli.StringFlag{Name: "log-level", EnvVars: []string{"XCC_LOG_LEVEL"}, Value: level, Usage: "error, warning, info or debug"},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"XCC_LOG_FORMAT"}, Usage: "text or json (default: json where the journal reads it, else text)"},
	)
}

func directionFlag() cli.Flag {
	return &cli.StringFlag{Name: "direction", EnvVars: []string{"XCC_DIRECTION"}, Value: "both", Usage: "both, a-to-b or b-to-a"}
}

func createNamespacesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "create-namespaces", EnvVars: []string{"XCC_CREATE_NAMESPACES"}, Usage: "create a namespace that is missing in the target"}
}

func leaderElectFlag() cli.Flag {
	return &cli.BoolFlag{Name: "leader-elect", EnvVars: []string{"XCC_LEADER_ELECT"}, Usage: "run only while holding a Lease in side A; others stand by"}
}

func leaseNamespaceFlag() cli.Flag {
	return &cli.StringFlag{Name: "lease-namespace", EnvVars: []string{"XCC_LEASE_NAMESPACE"}, Value: "xcc", Usage: "`NAMESPACE` of the Lease, and of the delete brake's count and the drains in each target"}
}

// ruleFlags decide what is mirrored, and how. Whoever looks at what a daemon does must give the same.
func ruleFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "selector", EnvVars: []string{"XCC_SELECTOR"}, Value: sync.LabelExport + "=" + sync.Exported, Usage: "label `SELECTOR` of exported Services"},
		directionFlag(),
		&cli.StringSliceFlag{Name: "namespace", EnvVars: []string{"XCC_NAMESPACE"}, Usage: "look at this `NAMESPACE` only (repeatable)"},
		&cli.StringSliceFlag{Name: "exclude-namespace", EnvVars: []string{"XCC_EXCLUDE_NAMESPACE"}, Usage: "do not look at this `NAMESPACE` (repeatable)"},
		createNamespacesFlag(),
		&cli.StringFlag{Name: "endpoints-api", EnvVars: []string{"XCC_ENDPOINTS_API"}, Value: string(sync.Both), Usage: "what pointers hold their addresses in: both, slices or endpoints"},
		&cli.StringSliceFlag{Name: "copy-label", EnvVars: []string{"XCC_COPY_LABEL"}, Usage: "label `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.StringSliceFlag{Name: "copy-annotation", EnvVars: []string{"XCC_COPY_ANNOTATION"}, Usage: "annotation `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.StringSliceFlag{Name: "allow-cidr-a", EnvVars: []string{"XCC_ALLOW_CIDR_A"}, Usage: "mirror addresses of side A only from this `CIDR` (repeatable)"},
		&cli.StringSliceFlag{Name: "allow-cidr-b", EnvVars: []string{"XCC_ALLOW_CIDR_B"}, Usage: "mirror addresses of side B only from this `CIDR` (repeatable)"},
		leaseNamespaceFlag(),
		&cli.IntFlag{Name: "workers", EnvVars: []string{"XCC_WORKERS"}, Value: 16, Usage: "how many Services each direction looks at at a time"},
	}
}

func linkFlags() []cli.Flag {
	return append(sideFlags(), directionFlag(), createNamespacesFlag(), leaderElectFlag(), leaseNamespaceFlag(),
		&cli.StringFlag{Name: "output", Value: "xcc.kubeconfig", Usage: "write xcc's kubeconfig to this `FILE`"},
		&cli.BoolFlag{Name: "rotate", Usage: "make new tokens; those from before end at once"},
		&cli.BoolFlag{Name: "print", Usage: "write the YAML of the identity to standard output instead; no cluster is asked"},
		&cli.StringFlag{Name: "side", Usage: "with --print: the YAML of this `SIDE` only, A or B"},
	)
}

// linkClusters gives xcc its identity.
func linkClusters(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("link takes no argument, only flags: %q", c.Args().First())
	}
	partA, partB, err := parts(c)
	if err != nil {
		return err
	}
	if c.Bool("print") {
		return printParts(c, partA, partB)
	}
	a, b, err := admins(c)
	if err != nil {
		return err
	}
	if err := clusters.MayReplace(c.String("output"), a.Name(), b.Name()); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	var credentials []clusters.Credential
	for _, side := range []struct {
		admin *clusters.Admin
		part  clusters.Part
	}{{a, partA}, {b, partB}} {
		tell := teller(c, side.admin.Name())
		if c.Bool("rotate") {
			if err := side.admin.Rotate(c.Context, tell); err != nil {
				return err
			}
		}
		if err := side.admin.Grant(c.Context, side.part, tell); err != nil {
			return err
		}
		credential, err := side.admin.Credential(c.Context)
		if err != nil {
			return err
		}
		credentials = append(credentials, credential)
	}
	changed, err := clusters.WriteKubeconfig(c.String("output"), credentials...)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	outcome := "unchanged"
	if changed {
		outcome = "written"
	}
	fmt.Fprintf(c.App.Writer, "%s %s\n", c.String("output"), outcome)
	return nil
}

func unlinkFlags() []cli.Flag {
	return append(sideFlags(), leaseNamespaceFlag(), &cli.BoolFlag{Name: "yes", Usage: "do not ask"})
}

// unlinkClusters takes everything of xcc out of both clusters.
func unlinkClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("unlink takes no argument, only flags: %q", c.Args().First())
	}
	if !c.Bool("yes") && !isTerminal(c.App.Reader) {
		return errors.New("--yes: missing; without a terminal to ask at, unlink does nothing unless it is given")
	}
	adminA, adminB, err := admins(c)
	if err != nil {
		return err
	}
	pair, err := openPair(c, quiet(stderr))
	if err != nil {
		return err
	}
	return pair.serve(c.Context, func(ctx context.Context) error {
		sides := []struct {
			admin *clusters.Admin
			order sync.Order
			other string
		}{
			{adminA, pair.order(pair.b, pair.intoA), adminB.Name()},
			{adminB, pair.order(pair.a, pair.intoB), adminA.Name()},
		}
		for _, side := range sides {
			origins, err := sync.OriginsOf(side.order.Target)
			if err != nil {
				return err
			}
			tell := teller(c, side.admin.Name())
			tell(fmt.Sprintf("pointers of %s to withdraw: %d", side.other, origins.Of(side.order.Source)))
			for _, origin := range origins.Except(side.order.Source) {
				tell(fmt.Sprintf("pointers of %s (cluster %s) left alone: %d; is a daemon for that cluster using the identity here?", origin.Name, origin.Cluster, origin.Count))
			}
		}
		if !c.Bool("yes") && !confirmed(c, fmt.Sprintf("Withdraw them, and xcc's identity from %s and %s?", adminA.Name(), adminB.Name())) {
			return errors.New("not confirmed; nothing was changed")
		}
		for _, side := range sides {
			if err := side.admin.Disarm(ctx, teller(c, side.admin.Name())); err != nil {
				return err
			}
		}
		for _, side := range sides {
			tell := teller(c, side.admin.Name())
			withdrawn, err := side.order.Withdraw(ctx)
			tell(fmt.Sprintf("pointers of %s withdrawn: %d", side.other, withdrawn))
			if err != nil {
				return fmt.Errorf("cluster %s: %w", side.admin.Name(), err)
			}
			if err := side.admin.Revoke(ctx, side.order.Source, c.String("lease-namespace"), tell); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkFlags() []cli.Flag {
	return append(syncFlags(),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT` of the result: table, json or yaml"},
		&cli.BoolFlag{Name: "dial", Usage: "open TCP connections from here to some of the exported endpoints"},
		&cli.DurationFlag{Name: "wait", Usage: "check again until nothing fails, for this `DURATION` at the most"},
	)
}

// checkInterval is the pause before a check is made again.
const checkInterval = 2 * time.Second

// checkClusters says whether xcc can work. It fails where something keeps it from that.
func checkClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("check takes no argument, only flags: %q", c.Args().First())
	}
	if !slices.Contains(clusters.Formats, c.String("output")) {
		return fmt.Errorf("--output: %q is none of table, json and yaml", c.String("output"))
	}
	if _, _, err := sides(c); err != nil {
		return err
	}
	deadline := time.Now().Add(c.Duration("wait"))
	failures := 0
	for {
		report, err := check(c)
		if err != nil {
			return err
		}
		if report.Failures == 0 || time.Now().After(deadline) || c.Context.Err() != nil {
			if err := report.Write(c.App.Writer, c.String("output")); err != nil {
				return err
			}
			if report.Failures > 0 {
				return fmt.Errorf("%d checks failed", report.Failures)
			}
			return nil
		}
		if report.Failures != failures {
			failures = report.Failures
			fmt.Fprintf(stderr, "%d checks failed; checking again until %s\n", failures, deadline.Format(time.TimeOnly))
		}
		select {
		case <-c.Context.Done():
		case <-time.After(checkInterval):
		}
	}
}

// check asks both clusters, and plans all of their Services as the daemon would, once.
func check(c *cli.Context) (clusters.CheckReport, error) {
	partA, partB, err := parts(c)
	if err != nil {
		return clusters.CheckReport{}, err
	}
	sideA, sideB, err := sides(c)
	if err != nil {
		return clusters.CheckReport{}, err
	}
	var a, b clusters.Facts
	var group stdsync.WaitGroup
	group.Go(func() { a = clusters.Examine(c.Context, sideA, partA) })
	group.Go(func() { b = clusters.Examine(c.Context, sideB, partB) })
	group.Wait()
	if a.Usable() && b.Usable() && !a.Identity.Same(b.Identity) {
		if err := plan(c, &a, &b); err != nil {
			return clusters.CheckReport{}, err
		}
	}
	return clusters.Report(clusters.Judge(a, b, time.Now())), nil
}

// planTime bounds the pass of a check over all Services.
const planTime = time.Minute

// plan makes a pass over all Services without writing, and adds what it found to the facts.
func plan(c *cli.Context, factsA, factsB *clusters.Facts) error {
	for _, flag := range []string{"once", "dry-run"} {
		if err := c.Set(flag, "true"); err != nil {
			return err
		}
	}
	log := quiet(io.Discard)
	sideA, sideB, err := sides(c)
	if err != nil {
		return err
	}
	a, err := clusters.Open(sideA, log)
	if err != nil {
		return err
	}
	b, err := clusters.Open(sideB, log)
	if err != nil {
		return err
	}
	hub, err := wire(c, a, b, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(c.Context, planTime, fmt.Errorf("not done within %s", planTime))
	defer cancel()
	err = serve(ctx, a, b, true, func(ctx context.Context) error {
		if err := hub.Run(ctx); err != nil {
			return err
		}
		for i, mirror := range hub.Mirrors {
			from, into := factsA, factsB
			if i == 1 || c.String("direction") == "b-to-a" {
				from, into = factsB, factsA
			}
			if err := survey(c, mirror, from, into); err != nil {
				return err
			}
			if len(hub.Mirrors) == 1 {
				// What the other side exports goes nowhere, and is still where its pods are.
				exports, err := sync.SurveyOf(mirror.Exports)
				if err != nil {
					return err
				}
				into.AddExported(exports.Addresses)
			}
		}
		return nil
	})
	if err != nil {
		factsA.Exports.Problem, factsB.Exports.Problem = err, err
	}
	return nil
}

// survey adds what one direction found out about both of its sides.
func survey(c *cli.Context, mirror *sync.Mirror, from, into *clusters.Facts) error {
	exports, err := sync.SurveyOf(mirror.Source)
	if err != nil {
		return err
	}
	from.Exports.Known = true
	from.AddExported(exports.Addresses)
	verdicts := mirror.Verdicts()
	for _, key := range exports.Services {
		if !mirror.InScope(key.Namespace) {
			continue
		}
		from.Exports.Count++
		if verdict := verdicts[key]; verdict.Reason != "" {
			from.Exports.Hindered = append(from.Exports.Hindered, clusters.Hindered{Service: key.String(), Reason: string(verdict.Reason), Message: verdict.Message})
		}
	}
	if c.Bool("dial") {
		from.Dialed = clusters.Dial(c.Context, exports.Ready)
	}
	origins, err := sync.OriginsOf(mirror.Target)
	if err != nil {
		return err
	}
	for _, origin := range origins.Except(from.Identity.UID()) {
		into.Strays = append(into.Strays, clusters.Stray{Cluster: string(origin.Cluster), Name: origin.Name, Count: origin.Count})
	}
	into.StraysKnown = true
	return nil
}

// drainSide notes an operator's order about one side in the other, and sees that it is obeyed. The side itself need not
// answer.
func drainSide(c *cli.Context, stderr io.Writer, drained bool) error {
	from, into, err := sides(c)
	if err != nil {
		return err
	}
	side := strings.ToUpper(c.Args().First())
	switch {
	case c.Args().Len() != 1 || side != "A" && side != "B":
		return fmt.Errorf("%s takes one argument: A or B, the side whose addresses it is about", c.Command.Name)
	case side == "B":
		from, into = into, from
	}
	log := quiet(stderr)
	target, err := clusters.Open(into, log)
	if err != nil {
		return err
	}
	pointers := pointersOf(target)
	return serveOne(c.Context, target, func(ctx context.Context) error {
		if err := pointers.WaitSynced(ctx); err != nil {
			return err
		}
		source, name, err := sourceOf(ctx, from, target, pointers)
		if err != nil {
			return err
		}
		changed, err := target.SetDrained(ctx, c.String("lease-namespace"), source, name, drained)
		if err != nil {
			return err
		}
		tell := teller(c, target.Name())
		if !drained {
			was := "is drained no more"
			if !changed {
				was = "was not drained"
			}
			tell(fmt.Sprintf("%s %s; a running daemon puts its addresses back within seconds, and xcc sync --once does it without one", name, was))
			return nil
		}
		order := sync.Order{Source: source, Target: pointers, Writer: pointers, Log: log}
		if err := obeyed(ctx, order); err != nil {
			return err
		}
		tell(fmt.Sprintf("%s is drained: its Services stay, and none of its addresses is left; undo it with xcc undrain %s", name, side))
		return nil
	})
}

// obeyTime is how long a running daemon may take to notice a drain.
const obeyTime = 12 * time.Second

// obeyed waits until a daemon has taken the addresses away. Where none does, it takes them itself: had it begun at once, a
// daemon that doesn't know of the drain yet would have put them back.
func obeyed(ctx context.Context, order sync.Order) error {
	deadline := time.Now().Add(obeyTime)
	for time.Now().Before(deadline) {
		left, err := order.Left()
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	_, err := order.Evacuate(ctx)
	return err
}

// sourceOf gives the UID and name of a cluster: by its own word, or, where it doesn't answer, by that of its pointers.
func sourceOf(ctx context.Context, from clusters.Options, target *clusters.Cluster, pointers *clusters.Target[*sync.Copy]) (types.UID, string, error) {
	source, err := clusters.OpenAdmin(ctx, from)
	if err == nil {
		return source.Identity().UID(), source.Name(), differ(source, target)
	}
	name := cmp.Or(from.Name, from.Context)
	origins, originsErr := sync.OriginsOf(pointers)
	if originsErr != nil {
		return "", "", originsErr
	}
	origins = origins.Except(target.UID(), "")
	if len(origins) > 1 {
		origins = slices.DeleteFunc(origins, func(origin sync.OriginCount) bool { return origin.Name != name })
	}
	if len(origins) != 1 {
		return "", "", fmt.Errorf("%s does not answer, and the pointers in %s do not tell which cluster it is: %w", name, target.Name(), err)
	}
	return origins[0].Cluster, name, nil
}

// serveOne is serve for a command that needs one cluster.
func serveOne(ctx context.Context, cluster *clusters.Cluster, work func(context.Context) error) error {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer disconnect()
	group.Go(func() {
		if err := cluster.Run(connected, true); err != nil {
			stop(err)
		}
	})
	select {
	case <-cluster.Identified():
		return work(working)
	case <-working.Done():
		return context.Cause(working)
	}
}

// isTerminal reports whether somebody sits at the other end of a stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// confirmed asks on the terminal.
func confirmed(c *cli.Context, question string) bool {
	fmt.Fprintf(c.App.ErrWriter, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// quiet is a logger for commands whose result is what they print: what goes wrong, and nothing else.
func quiet(stderr io.Writer) logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(stderr)
	log.SetLevel(logrus.ErrorLevel)
	klog.SetLogger(logr.Discard())
	return log
}

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
	return serve(ctx, p.a, p.b, true, func(ctx context.Context) error {
		if err := errors.Join(p.intoA.WaitSynced(ctx), p.intoB.WaitSynced(ctx)); err != nil {
			return err
		}
		return work(ctx)
	})
}

// order is an order about the pointers of a source.
func (p *pair) order(from *clusters.Cluster, into *clusters.Target[*sync.Copy]) sync.Order {
	return sync.Order{Source: from.UID(), Target: into, Writer: into, Log: p.log}
}

// parts gives what each side is for xcc.
func parts(c *cli.Context) (a, b clusters.Part, err error) {
	a = clusters.Part{CreateNamespaces: c.Bool("create-namespaces"), LeaseNamespace: c.String("lease-namespace")}
	b = a
	a.Lease = c.Bool("leader-elect")
	switch c.String("direction") {
	case "both":
		a.Source, a.Target, b.Source, b.Target = true, true, true, true
	case "a-to-b":
		a.Source, b.Target = true, true
	case "b-to-a":
		b.Source, a.Target = true, true
	default:
		return a, b, fmt.Errorf("--direction: %q is none of both, a-to-b and b-to-a", c.String("direction"))
	}
	return a, b, nil
}

// printParts writes the identity's YAML. Where both sides get the same, it is written once.
func printParts(c *cli.Context, a, b clusters.Part) error {
	var texts [2]string
	for i, part := range []clusters.Part{a, b} {
		objects, err := part.Objects()
		if err != nil {
			return err
		}
		text, err := clusters.YAML(objects)
		if err != nil {
			return err
		}
		texts[i] = string(text)
	}
	side := strings.ToUpper(c.String("side"))
	switch {
	case side == "A":
		fmt.Fprint(c.App.Writer, texts[0])
	case side == "B":
		fmt.Fprint(c.App.Writer, texts[1])
	case side != "":
		return fmt.Errorf("--side: %q is neither A nor B", c.String("side"))
	case texts[0] == texts[1]:
		fmt.Fprint(c.App.Writer, "# For both sides.\n", texts[0])
	default:
		fmt.Fprint(c.App.Writer, "# For side A.\n", texts[0], "# For side B.\n", texts[1])
	}
	return nil
}

// admins connects with the contexts of administrators.
func admins(c *cli.Context) (a, b *clusters.Admin, err error) {
	sideA, sideB, err := sides(c)
	if err != nil {
		return nil, nil, err
	}
	if a, err = clusters.OpenAdmin(c.Context, sideA); err != nil {
		return nil, nil, err
	}
	if b, err = clusters.OpenAdmin(c.Context, sideB); err != nil {
		return nil, nil, err
	}
	if a.Name() == b.Name() {
		return nil, nil, fmt.Errorf("--name-a and --name-b: both sides are called %s; give them two names", a.Name())
	}
	return a, b, differ(a, b)
}

// teller writes what becomes of a cluster's objects, a line for each.
func teller(c *cli.Context, cluster string) func(string) {
	return func(what string) { fmt.Fprintf(c.App.Writer, "%s: %s\n", cluster, what) }
}

// differ fails where both sides are one cluster.
func differ(a, b interface {
	Name() string
	Identity() clusters.Identity
}) error {
	if a.Identity().Same(b.Identity()) {
		return fmt.Errorf("--context-a and --context-b: %s and %s are one cluster (kube-system has the UID %s in both); name two clusters",
			a.Name(), b.Name(), a.Identity().UID())
	}
	return nil
}

// readFlags are those of the commands that only read.
func readFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "timeout", EnvVars: []string{"XCC_TIMEOUT"}, Value: 30 * time.Second, Usage: "how long to wait for the clusters"},
	}
}

func formatFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: string(report.Table), Usage: "table, json or yaml"}
}

// garbagePercent is how much garbage there may be beside what is in use, as GOGC says it. What is in use is small and lasts,
// so it is cheap to look through.
const garbagePercent = 75

// syncClusters runs the daemon until a signal, or once.
func syncClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("sync takes no argument, only flags: %q", c.Args().First())
	}
	metrics := report.NewMetrics(version())
	daemon, err := open(c, stderr, metrics.Request)
	if err != nil {
		return err
	}
	a, b, hub := daemon.a, daemon.b, daemon.hub
	eventsA, eventsB := a.NewEvents(), b.NewEvents()
	defer eventsA.Close()
	defer eventsB.Close()
	for _, mirror := range hub.Mirrors {
		mirror.Observer = metrics.Observer(mirror.Rules.Name, mirror.To)
		mirror.SourceEvents, mirror.TargetEvents = eventsA, eventsB
		if mirror.Heartbeat != sync.Heartbeat(a) {
			mirror.SourceEvents, mirror.TargetEvents = eventsB, eventsA
		}
	}
	metrics.Collect(hub.Mirrors)
	server := &report.Server{
		Version: version(), Clusters: [2]report.Cluster{a, b}, Hub: hub, Metrics: metrics, Debug: c.Bool("debug"), Log: daemon.log,
	}
	server.StandBy(c.Bool("leader-elect"))
	closed, err := listen(c, server)
	if err != nil {
		return err
	}
	defer closed()
	work := hub.Run
	if c.Bool("leader-elect") {
		work = func(ctx context.Context) error {
			return a.Lead(ctx, c.String("lease-namespace"), daemonIdentity(), func(ctx context.Context, held func() error) error {
				for _, mirror := range hub.Mirrors {
					mirror.MayWrite = held
				}
				server.StandBy(false)
				return hub.Run(ctx)
			})
		}
	}
	telling, stop := context.WithCancel(c.Context)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() {
		systemd.Tell(telling, func() systemd.Condition { return condition(hub, c.Bool("leader-elect"), a, b) }, daemon.log)
	})
	return serve(c.Context, a, b, hub.Once, work)
}

// condition is what systemd is told. To stand by is all that a daemon without the Lease is to do, so it is ready then.
func condition(hub *sync.Hub, standsBy bool, sides ...*clusters.Cluster) systemd.Condition {
	for _, cluster := range sides {
		if cluster.UID() == "" {
			return systemd.Condition{Status: "waiting for " + cluster.Name() + " to answer"}
		}
	}
	if standsBy && !hub.Running() {
		return systemd.Condition{Ready: true, Status: "standing by for the Lease"}
	}
	return systemd.Condition{Ready: hub.Passed(), Status: hub.Summary(), Stuck: hub.Stuck()}
}

// opened is what the commands work with.
type opened struct {
	a, b *clusters.Cluster
	hub  *sync.Hub
	log  logrus.FieldLogger
}

// open makes all that the flags say, and no request. observe is told of each that is made later.
func open(c *cli.Context, stderr io.Writer, observe clusters.RequestObserver) (o opened, err error) {
	if o.log, err = logger(c, stderr); err != nil {
		return o, err
	}
	sideA, sideB, err := sides(c)
	if err != nil {
		return o, err
	}
	sideA.Observe, sideB.Observe = observe, observe
	if o.a, err = clusters.Open(sideA, o.log); err != nil {
		return o, err
	}
	if o.b, err = clusters.Open(sideB, o.log); err != nil {
		return o, err
	}
	if o.a.Name() == o.b.Name() {
		return o, fmt.Errorf("--name-a and --name-b: both clusters are called %s; give them names that tell them apart", o.a.Name())
	}
	o.hub, err = wire(c, o.a, o.b, o.log)
	return o, err
}

// read connects to both clusters, for a command that writes nothing, and gives up where they don't answer in time.
// With watch only the first answer is to be in time.
func read(c *cli.Context, stderr io.Writer, watch bool, work func(context.Context, *sync.Hub) error) error {
	o, err := open(c, stderr, nil)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(c.Context)
	defer stop(nil)
	timer := time.AfterFunc(c.Duration("timeout"), func() { stop(o.late(c.Duration("timeout"))) })
	defer timer.Stop()
	done := false
	err = serve(ctx, o.a, o.b, !watch, func(ctx context.Context) error {
		if err := o.hub.WaitSynced(ctx); err != nil {
			return err
		}
		if watch {
			timer.Stop()
		}
		done = true
		return work(ctx, o.hub)
	})
	if err == nil && !done {
		return errors.New("interrupted")
	}
	return err
}

// late says what was not there in time.
func (o opened) late(timeout time.Duration) error {
	for _, cluster := range []*clusters.Cluster{o.a, o.b} {
		select {
		case <-cluster.Identified():
		default:
			return fmt.Errorf("--timeout: cluster %s did not answer within %s: %s", cluster.Name(), timeout, cmp.Or(cluster.Problem(), "no answer"))
		}
	}
	return fmt.Errorf("--timeout: not done within %s", timeout)
}

func status(c *cli.Context, stdout, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("status takes no argument, only flags: %q", c.Args().First())
	}
	format, err := format(c)
	if err != nil {
		return err
	}
	for _, verdict := range c.StringSlice("fail-on") {
		if !slices.Contains([]string{"refused", "pending"}, verdict) {
			return fmt.Errorf("--fail-on: %q is neither refused nor pending", verdict)
		}
	}
	return read(c, stderr, c.Bool("watch"), func(ctx context.Context, hub *sync.Hub) error {
		if c.Bool("watch") {
			return report.Watch(ctx, hub, stdout, format, isTerminal(stdout))
		}
		status, err := report.Inspect(ctx, hub)
		if err != nil {
			return err
		}
		if err := status.Write(stdout, format, time.Now()); err != nil {
			return err
		}
		return status.FailOn(c.StringSlice("fail-on"))
	})
}

func explain(c *cli.Context, stdout, stderr io.Writer) error {
	namespace, name, found := strings.Cut(c.Args().First(), "/")
	if c.NArg() != 1 || !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("explain takes one argument, NAMESPACE/NAME, after the flags: %q", c.Args().Slice())
	}
	format, err := format(c)
	if err != nil {
		return err
	}
	return read(c, stderr, false, func(ctx context.Context, hub *sync.Hub) error {
		explanation, err := report.Explain(ctx, hub, sync.Key{Namespace: namespace, Name: name})
		if err != nil {
			return err
		}
		return explanation.Write(stdout, format)
	})
}

// diff exits as kubectl diff does.
func diff(c *cli.Context, stdout, stderr io.Writer) error {
	differs := false
	err := fmt.Errorf("diff takes no argument, only flags: %q", c.Args().First())
	if !c.Args().Present() {
		err = read(c, stderr, false, func(ctx context.Context, hub *sync.Hub) (err error) {
			differs, err = report.Diff(ctx, hub, stdout)
			return err
		})
	}
	switch {
	case err != nil:
		return cli.Exit(err, 2)
	case differs:
		return cli.Exit("", 1)
	}
	return nil
}

func format(c *cli.Context) (report.Format, error) {
	format := report.Format(c.String("output"))
	if !slices.Contains(report.Formats, format) {
		return "", fmt.Errorf("--output: %q is none of table, json and yaml", format)
	}
	return format, nil
}

// listen opens what --listen says, until closed is called. A run with --once is over too soon for that.
func listen(c *cli.Context, server *report.Server) (closed func(), err error) {
	if c.String("listen") == "" || c.Bool("once") {
		return func() {}, nil
	}
	listener, err := report.Listen(c.String("listen"))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.Context))
	var group stdsync.WaitGroup
	group.Go(func() { server.Serve(ctx, listener) })
	return func() {
		stop()
		group.Wait()
	}, nil
}

// daemonIdentity tells this process from any other, also of the same host.
func daemonIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "_" + string(uuid.NewUUID())
}

// serve keeps both clusters connected, and works when it is known who they are. The connections outlive the work, so that
// a write in hand can finish.
func serve(ctx context.Context, a, b *clusters.Cluster, once bool, work func(context.Context) error) error {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer disconnect()
	for _, cluster := range []*clusters.Cluster{a, b} {
		group.Go(func() {
			if err := cluster.Run(connected, once); err != nil {
				stop(err)
			}
		})
	}
	for _, cluster := range []*clusters.Cluster{a, b} {
		select {
		case <-cluster.Identified():
		case <-working.Done():
			return stopped(working)
		}
	}
	if err := differ(a, b); err != nil {
		return err
	}
	if err := work(working); err != nil {
		return err
	}
	return stopped(working)
}

// stopped gives the reason why the context ended; nil where that was a signal.
func stopped(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// wire connects the two clusters to the directions between them.
func wire(c *cli.Context, a, b *clusters.Cluster, log logrus.FieldLogger) (*sync.Hub, error) {
	selector, err := labels.Parse(c.String("selector"))
	if err != nil || selector.Empty() {
		return nil, fmt.Errorf("--selector: %q selects nothing in particular; give a label selector such as %s=%s", c.String("selector"), sync.LabelExport, sync.Exported)
	}
	api := sync.EndpointsAPI(c.String("endpoints-api"))
	if !slices.Contains([]sync.EndpointsAPI{sync.Both, sync.SlicesOnly, sync.EndpointsOnly}, api) {
		return nil, fmt.Errorf("--endpoints-api: %q is none of both, slices and endpoints", api)
	}
	if c.Int("workers") < 1 {
		return nil, fmt.Errorf("--workers: %d is too few; give at least 1", c.Int("workers"))
	}
	allowedA, err := prefixes(c, "allow-cidr-a")
	if err != nil {
		return nil, err
	}
	allowedB, err := prefixes(c, "allow-cidr-b")
	if err != nil {
		return nil, err
	}
	withdrawAfter, err := withdrawAfter(c)
	if err != nil {
		return nil, err
	}
	if percent := c.Int("max-delete-percent"); percent < 0 || percent > 100 {
		return nil, fmt.Errorf("--max-delete-percent: %d is not in 0 to 100", percent)
	}
	if c.Bool("allow-mass-delete") && !c.Bool("once") {
		return nil, errors.New("--allow-mass-delete: goes with --once only, so that the brake is not left open")
	}
	rules := sync.Rules{
		CreateNamespaces: c.Bool("create-namespaces"),
		EndpointsAPI:     api,
		CopyLabels:       c.StringSlice("copy-label"),
		CopyAnnotations:  c.StringSlice("copy-annotation"),
	}
	hub := &sync.Hub{Workers: c.Int("workers"), Once: c.Bool("once")}
	notify := clusters.Notify{Service: hub.Enqueue, Namespace: hub.EnqueueNamespace, Synced: hub.EnqueueAll}
	follower := labels.SelectorFromSet(labels.Set{sync.LabelExport: sync.Follower})
	var read clusters.Metadata
	read.Labels, read.Annotations = rules.Reads()
	sourceA, sourceB := a.Source(selector, read, notify), b.Source(selector, read, notify)
	overlap := clusters.NewOverlap(sourceA, sourceB, hub.EnqueueAll)
	direction := func(from, into *clusters.Cluster, allowed []netip.Prefix) sync.Direction {
		rules.Name, rules.Allowed, rules.Memory = from.Name(), allowed, sync.NewMemory()
		log := log.WithFields(logrus.Fields{"from": from.Name(), "to": into.Name()})
		return sync.Direction{
			Rules:         rules,
			Orders:        into.Drains(c.String("lease-namespace"), hub.EnqueueAll),
			To:            into.Name(),
			InScope:       scope(c.StringSlice("namespace"), c.StringSlice("exclude-namespace")),
			DryRun:        c.Bool("dry-run"),
			Heartbeat:     from,
			Overlap:       overlap,
			WithdrawAfter: withdrawAfter,
			Brake: &sync.Brake{
				Percent: c.Int("max-delete-percent"),
				Open:    c.Bool("allow-mass-delete"),
				Ledger:  clusters.Ledger{Cluster: into, About: from, Namespace: c.String("lease-namespace")},
				Log:     log,
			},
			Log: log,
		}
	}
	which := c.String("direction")
	if !slices.Contains([]string{"both", "a-to-b", "b-to-a"}, which) {
		return nil, fmt.Errorf("--direction: %q is none of both, a-to-b and b-to-a", which)
	}
	// A side that is only mirrored from is not looked at as a target: its token need not allow that.
	if which != "b-to-a" {
		aToB, targetB := direction(a, b, allowedA), clusters.NewTarget(b, follower, rules.Observe, notify)
		aToB.Source, aToB.Target, aToB.Writer, aToB.Objects, aToB.Exports = sourceA, targetB, targetB, targetB, sourceB
		hub.Mirrors = append(hub.Mirrors, sync.NewMirror("a-to-b", aToB))
	}
	if which != "a-to-b" {
		bToA, targetA := direction(b, a, allowedB), clusters.NewTarget(a, follower, rules.Observe, notify)
		bToA.Source, bToA.Target, bToA.Writer, bToA.Objects, bToA.Exports = sourceB, targetA, targetA, targetA, sourceA
		hub.Mirrors = append(hub.Mirrors, sync.NewMirror("b-to-a", bToA))
	}
	return hub, nil
}

// withdrawAfter is how long a source must be silent for its addresses to be withdrawn; zero for ever, and for the commands
// that don't have the flag.
func withdrawAfter(c *cli.Context) (time.Duration, error) {
	switch after := c.Duration("stale-after"); c.String("on-unreachable") {
	case "keep", "":
		return 0, nil
	case "withdraw":
		if after < time.Second {
			return 0, fmt.Errorf("--stale-after: %s is too short; give at least a second", after)
		}
		return after, nil
	}
	return 0, fmt.Errorf("--on-unreachable: %q is neither keep nor withdraw", c.String("on-unreachable"))
}

func prefixes(c *cli.Context, flag string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range c.StringSlice(flag) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix != prefix.Masked() {
			return nil, fmt.Errorf("--%s: %q is no CIDR; write it as 10.0.0.0/16 or fd00::/64, without bits beyond its length", flag, text)
		}
		all = append(all, prefix)
	}
	return all, nil
}

// scope makes the rule by which namespaces are looked at.
func scope(only, excluded []string) func(namespace string) bool {
	return func(namespace string) bool {
		return (len(only) == 0 || slices.Contains(only, namespace)) && !slices.Contains(excluded, namespace)
	}
}

// sides gives the two clusters that the flags name.
func sides(c *cli.Context) (a, b clusters.Options, err error) {
	side := func(letter string) clusters.Options {
		flag := "kubeconfig-" + letter
		if c.String(flag) == "" {
			flag = "kubeconfig"
		}
		return clusters.Options{
			Kubeconfig:     c.String(flag),
			Context:        c.String("context-" + letter),
			Name:           c.String("name-" + letter),
			KubeconfigFlag: "--" + flag,
			Flag:           "--context-" + letter,
			UserAgent:      "xcc/" + version(),
		}
	}
	a, b = side("a"), side("b")
	if a.Context == "" && b.Context == "" && c.Bool("devmode") {
		contexts, err := clusters.Contexts(a.Kubeconfig)
		if err != nil {
			return a, b, fmt.Errorf("--kubeconfig: %w", err)
		}
		if len(contexts) != 2 {
			return a, b, fmt.Errorf("--context-a and --context-b: the kubeconfig does not hold exactly two contexts, so name two of these: %s", strings.Join(contexts, ", "))
		}
		a.Context, b.Context = contexts[0], contexts[1]
	}
	for _, options := range []clusters.Options{a, b} {
		if options.Context == "" {
			return a, b, fmt.Errorf("%s: missing; name the kubeconfig context of that side", options.Flag)
		}
	}
	return a, b, nil
}

// logger makes the one logger. What client-go has to say goes to it as well, for debugging.
func logger(c *cli.Context, stderr io.Writer) (logrus.FieldLogger, error) {
	log := logrus.New()
	log.SetOutput(stderr)
	level, err := logrus.ParseLevel(c.String("log-level"))
	if err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of error, warning, info and debug", c.String("log-level"))
	}
	if c.Bool("devmode") && !c.IsSet("log-level") {
		level = logrus.DebugLevel
	}
	log.SetLevel(level)
	switch format := c.String("log-format"); {
	case format == "text":
	case format == "json", format == "" && os.Getenv("JOURNAL_STREAM") != "" && !isTerminal(stderr):
		log.SetFormatter(&logrus.JSONFormatter{})
	case format != "":
		return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
	}
	klog.SetLogger(funcr.New(func(prefix, message string) { log.WithField("from", "client-go").Debug(prefix, " ", message) }, funcr.Options{}))
	return log, nil
}
