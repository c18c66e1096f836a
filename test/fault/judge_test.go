package fault

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"

	"xcc/test/invariant"
)

// What the tests of the shared pair have made xcc do is judged as a whole when all of them are done. The damaged pair is
// left out: its history does not survive what is done to it, and its tests look at the audit logs themselves.

// exempt are namespaces whose tests ask xcc for what it must not do otherwise.
var exempt sync.Map

// judge gives the broken promises.
func (p *pair) judge(ctx context.Context) ([]invariant.Violation, invariant.Report, error) {
	a, err := p.east.witness(ctx)
	if err != nil {
		return nil, invariant.Report{}, err
	}
	b, err := p.west.witness(ctx)
	if err != nil {
		return nil, invariant.Report{}, err
	}
	world := invariant.World{
		A: a, B: b, MaxDeletePercent: 50,
		// A test and its second namespace share a daemon.
		Group:      func(namespace string) string { return strings.TrimSuffix(namespace, "-too") },
		KeepsCount: func(namespace string) bool { return strings.HasPrefix(namespace, "fault-") },
	}
	report := world.Writes()
	return invariant.Sorted(report.Violations), report, nil
}

func (m *member) witness(ctx context.Context) (invariant.Side, error) {
	requests, err := invariant.ReadAudit(m.Cluster, 0)
	if err != nil {
		return invariant.Side{}, err
	}
	judged := requests[:0]
	for _, request := range requests {
		if _, isExempt := exempt.Load(request.Namespace); !isExempt || request.User != invariant.XCC {
			judged = append(judged, request)
		}
	}
	history, err := m.recorder.History(ctx, judged)
	return invariant.Side{Name: m.Name, UID: m.uid, ServiceCIDRs: []netip.Prefix{m.services}, Requests: judged, History: history}, err
}

// judgeAll writes what was found, and tells whether all was well.
func judgeAll(ctx context.Context, out io.Writer) bool {
	violations, report, err := shared.judge(ctx)
	if err != nil {
		fmt.Fprintln(out, "judge the shared pair:", err)
		return false
	}
	fmt.Fprintf(out, "%d writes of xcc judged, %d of them took something away; %d can't be judged, %d broke a promise\n",
		report.Writes, report.Destructions, len(report.Unjudged), len(violations))
	for _, violation := range violations {
		fmt.Fprintln(out, violation)
	}
	return len(violations) == 0
}
