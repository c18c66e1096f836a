package command

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"

	"xcc/clusters"
	"xcc/sync"
)

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
			RecoverAfter:  recoverAfter(c),
			Brake: &sync.Brake{
				Percent: c.Int("max-delete-percent"),
				Open:    c.Bool("allow-mass-delete"),
				Scope:   scopeName(c.StringSlice("namespace"), c.StringSlice("exclude-namespace")),
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

// recoverAfter is how long failover waits before it ends. A single pass can't wait for anything.
func recoverAfter(c *cli.Context) time.Duration {
	if c.Bool("once") {
		return 0
	}
	return sync.RecoverAfter
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

// scopeName says the same in words: the same ones for the same namespaces, and none for all.
func scopeName(only, excluded []string) string {
	var parts []string
	for _, part := range []struct {
		word       string
		namespaces []string
	}{{"only", only}, {"not", excluded}} {
		if len(part.namespaces) > 0 {
			parts = append(parts, part.word+" "+strings.Join(slices.Compact(slices.Sorted(slices.Values(part.namespaces))), ", "))
		}
	}
	return strings.Join(parts, ", ")
}
