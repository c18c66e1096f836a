// Package fault injects the faults of the catalogue on real clusters, each as it happens to those who run xcc, and looks
// at what the clusters say came of it: their audit logs, and reads from a quorum.
//
//	main_test.go     the clusters
//	rig_test.go      xcc between two clusters, with a proxy in front of each
//	way_test.go      one direction: what is done in its source, and seen in its target
//	audit_test.go    what the audit logs say, and what must hold of it in every test
//	judge_test.go    what must hold of all tests together, as package invariant sees it
//
// The other files are the tests, named after the number of their fault; README.md beside this folder has the table. Where
// nothing is to happen, a test makes a later change that does show, and reads the audit log when that is there.
package fault

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/invariant"
)

// pair is two clusters that xcc has the rights of its manifests in.
type pair struct{ east, west *member }

// member is one cluster of a pair.
type member struct {
	*cluster.Cluster
	access   cluster.Access
	uid      types.UID
	services netip.Prefix
	recorder *invariant.Recorder // of the shared pair only
}

var (
	binary       string
	controlPlane string
	// shared is for the faults that happen on the way to a cluster; its tests run at the same time, in namespaces of
	// their own.
	shared *pair
	// damaged is for the faults that happen to a cluster; its tests run one after the other.
	damaged = sync.OnceValues(func() (*pair, error) { return startPair(context.Background(), "hurt", 3) })
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// The tests mostly wait for the clusters and for xcc to notice things.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	if err := setUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.stop(ctx)
	code := m.Run()
	if !judgeAll(ctx, os.Stderr) {
		code = max(code, 1)
	}
	if hurt, err := damaged(); hurtWasStarted && err == nil {
		hurt.stop(ctx)
	}
	return code
}

func setUp(ctx context.Context) (err error) {
	if controlPlane, err = cluster.Build(ctx, os.Stderr); err != nil {
		return err
	}
	if binary, err = cluster.BuildXCC(ctx, true); err != nil {
		return err
	}
	if shared, err = startPair(ctx, "prod", 1); err != nil {
		return err
	}
	for _, m := range []*member{shared.east, shared.west} {
		if m.recorder, err = invariant.Record(ctx, m.Cluster); err != nil {
			return err
		}
	}
	return nil
}

// hurtWasStarted tells whether there is a second pair to stop.
var hurtWasStarted bool

// hurtPair gives the pair that may be damaged.
func hurtPair(t *testing.T) *pair {
	t.Helper()
	hurtWasStarted = true
	p, err := damaged()
	mustBe(t, err)
	return p
}

func startPair(ctx context.Context, name string, number int) (*pair, error) {
	options := func(name string, number int) cluster.Options {
		return cluster.Options{Name: name, Number: number, Binary: controlPlane, Audit: cluster.AuditRequestResponse}
	}
	east, west, err := cluster.StartPair(ctx, options(name+"-east", number), options(name+"-west", number+1))
	if err != nil {
		return nil, err
	}
	p := &pair{east: &member{Cluster: east}, west: &member{Cluster: west}}
	for i, m := range []*member{p.east, p.west} {
		m.services = netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 100+number+i))
		system, err := m.Clientset().CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		m.uid = system.UID
		if m.access, err = daemon.Grant(ctx, m.Cluster, daemon.All, nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// stop ends the clusters. What goes wrong with that is of no interest any more.
func (p *pair) stop(ctx context.Context) {
	for _, m := range []*member{p.east, p.west} {
		if m.recorder != nil {
			_ = m.recorder.Stop()
		}
		_ = m.Stop(ctx)
	}
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
