// Command xcc mirrors labelled Services between two Kubernetes clusters whose pods reach each other by IP.
package main

import (
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

	"github.com/go-logr/logr/funcr"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/klog/v2"

	"xcc/clusters"
	"xcc/manifests/shell"
	"xcc/manifests/systemd"
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
	if len(arguments) > 1 && slices.Contains([]string{"--generate-bash-completion", "-h", "--help", "-help", "-v", "--version", "-version"}, arguments[1]) {
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
		&cli.StringSliceFlag{Name: "allow-cidr-a", EnvVars: []string{"XCC_ALLOW_CIDR_A"}, Usage: "mirror addresses of side A only from this `CIDR` (repeatable)"},
		&cli.StringSliceFlag{Name: "allow-cidr-b", EnvVars: []string{"XCC_ALLOW_CIDR_B"}, Usage: "mirror addresses of side B only from this `CIDR` (repeatable)"},
		&cli.IntFlag{Name: "max-delete-percent", EnvVars: []string{"XCC_MAX_DELETE_PERCENT"}, Value: 50, Usage: "hold withdrawals when more than this `PERCENT` of a direction's pointers (and more than 10) go within ten minutes"},
		&cli.BoolFlag{Name: "allow-mass-delete", EnvVars: []string{"XCC_ALLOW_MASS_DELETE"}, Usage: "with --once: let all held withdrawals through, and release the brake"},
		&cli.StringFlag{Name: "on-unreachable", EnvVars: []string{"XCC_ON_UNREACHABLE"}, Value: "keep", Usage: "what becomes of a silent source's addresses: keep or withdraw"},
		&cli.DurationFlag{Name: "stale-after", EnvVars: []string{"XCC_STALE_AFTER"}, Value: 10 * time.Minute, Usage: "with --on-unreachable=withdraw: how long a source must be silent"},
		&cli.BoolFlag{Name: "leader-elect", EnvVars: []string{"XCC_LEADER_ELECT"}, Usage: "run only while holding a Lease in side A; others stand by"},
		&cli.StringFlag{Name: "lease-namespace", EnvVars: []string{"XCC_LEASE_NAMESPACE"}, Value: "xcc", Usage: "`NAMESPACE` of the Lease, and of the delete brake's count in each target"},
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
	work := hub.Run
	if c.Bool("leader-elect") {
		work = func(ctx context.Context) error {
			return a.Lead(ctx, c.String("lease-namespace"), daemonIdentity(), func(ctx context.Context, held func() error) error {
				for _, mirror := range hub.Mirrors {
					mirror.MayWrite = held
				}
				return hub.Run(ctx)
			})
		}
	}
	telling, stop := context.WithCancel(c.Context)
	var group stdsync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() {
		systemd.Tell(telling, func() systemd.Condition { return condition(hub, c.Bool("leader-elect"), a, b) }, log)
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
	if a.Identity().Same(b.Identity()) {
		return fmt.Errorf("--context-a and --context-b: %s and %s are one cluster (kube-system has the UID %s in both); name two clusters",
			a.Name(), b.Name(), a.Identity().UID())
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
	var withdrawAfter time.Duration
	switch c.String("on-unreachable") {
	case "keep":
	case "withdraw":
		if withdrawAfter = c.Duration("stale-after"); withdrawAfter < time.Second {
			return nil, fmt.Errorf("--stale-after: %s is too short; give at least a second", withdrawAfter)
		}
	default:
		return nil, fmt.Errorf("--on-unreachable: %q is neither keep nor withdraw", c.String("on-unreachable"))
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
	sourceA, sourceB := a.Source(selector, notify), b.Source(selector, notify)
	overlap := clusters.NewOverlap(sourceA, sourceB, hub.EnqueueAll)
	direction := func(from, into *clusters.Cluster, allowed []netip.Prefix) sync.Direction {
		rules.Name, rules.Allowed, rules.Memory = from.Name(), allowed, sync.NewMemory()
		log := log.WithFields(logrus.Fields{"from": from.Name(), "to": into.Name()})
		return sync.Direction{
			Rules:         rules,
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
		aToB.Source, aToB.Target, aToB.Writer, aToB.Exports = sourceA, targetB, targetB, sourceB
		hub.Mirrors = append(hub.Mirrors, sync.NewMirror("a-to-b", aToB))
	}
	if which != "a-to-b" {
		bToA, targetA := direction(b, a, allowedB), clusters.NewTarget(a, follower, rules.Observe, notify)
		bToA.Source, bToA.Target, bToA.Writer, bToA.Exports = sourceB, targetA, targetA, sourceA
		hub.Mirrors = append(hub.Mirrors, sync.NewMirror("b-to-a", bToA))
	}
	return hub, nil
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
