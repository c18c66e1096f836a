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
	"slices"
	"strings"
	stdsync "sync"
	"syscall"

	"github.com/go-logr/logr/funcr"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"xcc/clusters"
	"xcc/sync"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run is the whole program: 0 if it did what it was asked for, else 1 and one line that says why.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app(stdout, stderr).RunContext(ctx, withDefaultCommand(arguments)); err != nil {
		fmt.Fprintf(stderr, "xcc: %s\n", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
		return 1
	}
	return 0
}

// withDefaultCommand makes `xcc --devmode=true`, and `xcc` alone, the same as with the command sync.
func withDefaultCommand(arguments []string) []string {
	if len(arguments) > 1 && !strings.HasPrefix(arguments[1], "-") {
		return arguments
	}
	if len(arguments) > 1 && slices.Contains([]string{"-h", "--help", "-help", "-v", "--version", "-version"}, arguments[1]) {
		return arguments
	}
	return slices.Insert(slices.Clone(arguments), 1, "sync")
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
		Action: func(c *cli.Context) error {
			return fmt.Errorf("no command %q; see xcc --help", c.Args().First())
		},
		Commands: []*cli.Command{{
			Name:         "sync",
			Usage:        "run the daemon: give every exported Service of either cluster a pointer in the other (the default command)",
			Flags:        syncFlags(),
			OnUsageError: asIs,
			Action:       func(c *cli.Context) error { return syncClusters(c, stderr) },
		}},
	}
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

func syncFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kubeconfig", EnvVars: []string{"XCC_KUBECONFIG", "KUBECONFIG_PATH"}, Usage: "kubeconfig `FILE` of both clusters (default: $KUBECONFIG, then ~/.kube/config)"},
		&cli.StringFlag{Name: "kubeconfig-a", EnvVars: []string{"XCC_KUBECONFIG_A"}, Usage: "kubeconfig `FILE` of side A, where it has one of its own"},
		&cli.StringFlag{Name: "kubeconfig-b", EnvVars: []string{"XCC_KUBECONFIG_B"}, Usage: "kubeconfig `FILE` of side B, where it has one of its own"},
		&cli.StringFlag{Name: "context-a", EnvVars: []string{"XCC_CONTEXT_A"}, Usage: "`CONTEXT` of side A"},
		&cli.StringFlag{Name: "context-b", EnvVars: []string{"XCC_CONTEXT_B"}, Usage: "`CONTEXT` of side B"},
		&cli.StringFlag{Name: "name-a", EnvVars: []string{"XCC_NAME_A"}, Usage: "display `NAME` of side A (default: its context)"},
		&cli.StringFlag{Name: "name-b", EnvVars: []string{"XCC_NAME_B"}, Usage: "display `NAME` of side B (default: its context)"},
		&cli.BoolFlag{Name: "devmode", EnvVars: []string{"XCC_DEVMODE", "DEV_MODE"}, Usage: "readable debug logs; without contexts, the two that the kubeconfig holds"},
		&cli.StringFlag{Name: "selector", EnvVars: []string{"XCC_SELECTOR"}, Value: sync.LabelExport + "=" + sync.Exported, Usage: "label `SELECTOR` of exported Services"},
		&cli.StringFlag{Name: "direction", EnvVars: []string{"XCC_DIRECTION"}, Value: "both", Usage: "both, a-to-b or b-to-a"},
		&cli.StringSliceFlag{Name: "namespace", EnvVars: []string{"XCC_NAMESPACE"}, Usage: "look at this `NAMESPACE` only (repeatable)"},
		&cli.StringSliceFlag{Name: "exclude-namespace", EnvVars: []string{"XCC_EXCLUDE_NAMESPACE"}, Usage: "do not look at this `NAMESPACE` (repeatable)"},
		&cli.BoolFlag{Name: "create-namespaces", EnvVars: []string{"XCC_CREATE_NAMESPACES"}, Usage: "create a namespace that is missing in the target"},
		&cli.StringFlag{Name: "endpoints-api", EnvVars: []string{"XCC_ENDPOINTS_API"}, Value: string(sync.Both), Usage: "what pointers hold their addresses in: both, slices or endpoints"},
		&cli.StringSliceFlag{Name: "copy-label", EnvVars: []string{"XCC_COPY_LABEL"}, Usage: "label `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.StringSliceFlag{Name: "copy-annotation", EnvVars: []string{"XCC_COPY_ANNOTATION"}, Usage: "annotation `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.IntFlag{Name: "workers", EnvVars: []string{"XCC_WORKERS"}, Value: 16, Usage: "how many Services each direction looks at at a time"},
		&cli.BoolFlag{Name: "once", EnvVars: []string{"XCC_ONCE"}, Usage: "bring all in sync, then exit: 0, or 1 if any Service failed"},
		&cli.BoolFlag{Name: "dry-run", EnvVars: []string{"XCC_DRY_RUN"}, Usage: "log what would be written, write nothing"},
		&cli.StringFlag{Name: "log-level", EnvVars: []string{"XCC_LOG_LEVEL"}, Value: "info", Usage: "error, warning, info or debug"},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"XCC_LOG_FORMAT"}, Value: "text", Usage: "text or json"},
	}
}

// syncClusters runs the daemon until a signal, or once.
func syncClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("sync takes no argument, only flags: %q", c.Args().First())
	}
	log, err := logger(c, stderr)
	if err != nil {
		return err
	}
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
	return serve(c.Context, hub, a, b)
}

// serve keeps both clusters connected while the hub runs.
func serve(ctx context.Context, hub *sync.Hub, a, b *clusters.Cluster) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	for _, cluster := range []*clusters.Cluster{a, b} {
		group.Go(func() {
			if err := cluster.Run(ctx, hub.Once); err != nil {
				cancel(err)
			}
		})
	}
	for _, cluster := range []*clusters.Cluster{a, b} {
		select {
		case <-cluster.Identified():
		case <-ctx.Done():
			return stopped(ctx)
		}
	}
	if a.Identity().Same(b.Identity()) {
		return fmt.Errorf("--context-a and --context-b: %s and %s are one cluster (kube-system has the UID %s in both); name two clusters",
			a.Name(), b.Name(), a.Identity().UID())
	}
	if err := hub.Run(ctx); err != nil {
		return err
	}
	return stopped(ctx)
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
	rules := sync.Rules{
		CreateNamespaces: c.Bool("create-namespaces"),
		EndpointsAPI:     api,
		CopyLabels:       c.StringSlice("copy-label"),
		CopyAnnotations:  c.StringSlice("copy-annotation"),
	}
	hub := &sync.Hub{Workers: c.Int("workers"), Once: c.Bool("once")}
	notify := clusters.Notify{Service: hub.Enqueue, Namespace: hub.EnqueueNamespace, Synced: hub.EnqueueAll}
	follower := labels.SelectorFromSet(labels.Set{sync.LabelExport: sync.Follower})
	sourceA, targetA := a.Source(selector, notify), clusters.NewTarget(a, follower, rules.Observe, notify)
	sourceB, targetB := b.Source(selector, notify), clusters.NewTarget(b, follower, rules.Observe, notify)
	direction := func(from, into *clusters.Cluster) sync.Direction {
		rules.Name = from.Name()
		return sync.Direction{
			Rules:   rules,
			InScope: scope(c.StringSlice("namespace"), c.StringSlice("exclude-namespace")),
			DryRun:  c.Bool("dry-run"),
			Log:     log.WithFields(logrus.Fields{"from": from.Name(), "to": into.Name()}),
		}
	}
	aToB, bToA := direction(a, b), direction(b, a)
	aToB.Source, aToB.Target, aToB.Writer, aToB.Exports = sourceA, targetB, targetB, sourceB
	bToA.Source, bToA.Target, bToA.Writer, bToA.Exports = sourceB, targetA, targetA, sourceA
	switch c.String("direction") {
	case "both":
		hub.Mirrors = []*sync.Mirror{sync.NewMirror("a-to-b", aToB), sync.NewMirror("b-to-a", bToA)}
	case "a-to-b":
		hub.Mirrors = []*sync.Mirror{sync.NewMirror("a-to-b", aToB)}
	case "b-to-a":
		hub.Mirrors = []*sync.Mirror{sync.NewMirror("b-to-a", bToA)}
	default:
		return nil, fmt.Errorf("--direction: %q is none of both, a-to-b and b-to-a", c.String("direction"))
	}
	return hub, nil
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
		kubeconfig := c.String("kubeconfig-" + letter)
		if kubeconfig == "" {
			kubeconfig = c.String("kubeconfig")
		}
		return clusters.Options{
			Kubeconfig: kubeconfig,
			Context:    c.String("context-" + letter),
			Name:       c.String("name-" + letter),
			Flag:       "--context-" + letter,
			UserAgent:  "xcc/" + version(),
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
	switch c.String("log-format") {
	case "text":
	case "json":
		log.SetFormatter(&logrus.JSONFormatter{})
	default:
		return nil, fmt.Errorf("--log-format: %q is neither text nor json", c.String("log-format"))
	}
	klog.SetLogger(funcr.New(func(prefix, message string) { log.WithField("from", "client-go").Debug(prefix, " ", message) }, funcr.Options{}))
	return log, nil
}
