package command

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"xcc/sync"
	"xcc/sync/report"
)

// syncFlags are all.
func syncFlags() []cli.Flag {
	return slices.Concat(connectionFlags("info"), ruleFlags(), []cli.Flag{
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
		&cli.StringFlag{Name: "endpoints-api", EnvVars: []string{"XCC_ENDPOINTS_API"}, Value: string(sync.Both), Usage: "what pointers hold their addresses in: both, slices or endpoints; Services that are joined get slices whatever it says"},
		&cli.StringSliceFlag{Name: "copy-label", EnvVars: []string{"XCC_COPY_LABEL"}, Usage: "label `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.StringSliceFlag{Name: "copy-annotation", EnvVars: []string{"XCC_COPY_ANNOTATION"}, Usage: "annotation `KEY` that a pointer takes over from its Service (repeatable)"},
		&cli.StringSliceFlag{Name: "allow-cidr-a", EnvVars: []string{"XCC_ALLOW_CIDR_A"}, Usage: "mirror addresses of side A only from this `CIDR` (repeatable)"},
		&cli.StringSliceFlag{Name: "allow-cidr-b", EnvVars: []string{"XCC_ALLOW_CIDR_B"}, Usage: "mirror addresses of side B only from this `CIDR` (repeatable)"},
		&cli.IntFlag{Name: "max-delete-percent", EnvVars: []string{"XCC_MAX_DELETE_PERCENT"}, Value: 50, Usage: "hold withdrawals when more than this `PERCENT` of a direction's pointers (and more than 10) go within ten minutes"},
		leaseNamespaceFlag(),
		&cli.IntFlag{Name: "workers", EnvVars: []string{"XCC_WORKERS"}, Value: 8, Usage: "how many Services each direction looks at at a time"},
	}
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
