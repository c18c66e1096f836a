// Package e2e tests xcc on two real clusters, as a process under the identity of its manifests.
//
//	main_test.go      the clusters, and how xcc is run on them
//	way_test.go       one direction: what a user does in its source, and sees in its target
//	pointer_test.go   what a pointer is, said a second time and without a line of xcc's code
//	requests_test.go  what the audit logs say that xcc has asked for
//	gate_test.go      a way to a cluster that can be closed
//
// The other files are the tests. Nothing in them sleeps or measures time. Where nothing is to happen, a test makes a
// later change that does show, and looks when that is there.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/clusters"
	"xcc/test/cluster"
	"xcc/test/daemon"
)

// The two clusters and the access of xcc's identity to each are shared by the tests of the package; each test has
// namespaces of its own.
var (
	binary                 string
	east, west             *cluster.Cluster
	eastAccess, westAccess cluster.Access
	// identities are the UIDs of the kube-system namespaces.
	identities = map[*cluster.Cluster]types.UID{}
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// The tests mostly wait for the clusters; by default as many run at a time as there are processors.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	if err := setUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer east.Stop(ctx)
	defer west.Stop(ctx)
	return m.Run()
}

func setUp(ctx context.Context) error {
	controlPlane, err := cluster.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if binary, err = cluster.BuildXCC(ctx, true); err != nil {
		return err
	}
	east, west, err = cluster.StartPair(ctx,
		cluster.Options{Name: "prod-east", Binary: controlPlane, Audit: cluster.AuditRequestResponse},
		cluster.Options{Name: "prod-west", Binary: controlPlane, Audit: cluster.AuditRequestResponse})
	if err != nil {
		return err
	}
	for _, c := range []*cluster.Cluster{east, west} {
		system, err := c.Clientset().CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return err
		}
		identities[c] = system.UID
	}
	if eastAccess, err = daemon.Grant(ctx, east, least, isMarksPolicy); err != nil {
		return err
	}
	westAccess, err = daemon.Grant(ctx, west, least, isMarksPolicy)
	return err
}

// least is the part of a cluster that xcc needs for everything but --create-namespaces.
var least = clusters.Part{Source: true, Target: true, Lease: true, LeaseNamespace: daemon.Namespace}

// isMarksPolicy chooses what keeps everybody but xcc from putting its marks on anything: here, everybody does.
func isMarksPolicy(_, name string) bool { return name == "xcc-marks" }

// startDaemon runs xcc between the two clusters until the test and its subtests end. It must then end with 0, which the
// race detector's findings would make 66.
func startDaemon(t *testing.T, flags ...string) *daemon.Daemon {
	t.Helper()
	return startDaemonWith(t, eastAccess, westAccess, flags...)
}

func startDaemonWith(t *testing.T, a, b cluster.Access, flags ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Sync(context.Background(), binary, t.TempDir(), a, b, flags...)
	mustBe(t, err)
	endWith(t, d)
	return d
}

// endWith terminates a daemon when the test ends.
func endWith(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	t.Cleanup(func() {
		terminate(t, d)
		if t.Failed() {
			t.Logf("the last lines of xcc's log:\n%s", lastLines(d.Log(), 40))
		}
	})
}

// terminate ends xcc in the orderly way, if it has not ended yet.
func terminate(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	code, err := d.Terminate(context.Background())
	mustBe(t, err)
	if code != 0 {
		t.Errorf("xcc exited with %d, not 0; the last lines of its log:\n%s", code, lastLines(d.Log(), 80))
	}
}

// runXCC runs xcc with those arguments and that environment until it ends by itself, and gives its exit code and all
// that it wrote.
func runXCC(t *testing.T, environment []string, arguments ...string) (int, string) {
	t.Helper()
	d, err := daemon.Start(t.Context(), daemon.Options{Binary: binary, Arguments: arguments, Environment: environment})
	mustBe(t, err)
	code, err := d.Wait(t.Context())
	mustBe(t, err)
	return code, d.Log()
}

// syncArguments are those of `xcc sync` between two clusters.
func syncArguments(t *testing.T, a, b cluster.Access, flags ...string) []string {
	t.Helper()
	return append([]string{
		"sync", "--kubeconfig", writeKubeconfig(t, a, b), "--context-a", a.Context, "--context-b", b.Context, "--listen=",
	}, flags...)
}

// writeKubeconfig writes a kubeconfig for one test and gives its path.
func writeKubeconfig(t *testing.T, accesses ...cluster.Access) string {
	t.Helper()
	file := t.TempDir() + "/kubeconfig"
	mustBe(t, cluster.WriteKubeconfig(file, accesses...))
	return file
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantLogs compares how many lines of a log contain certain texts.
func wantLogs(t *testing.T, log string, want map[string]int) {
	t.Helper()
	for text, count := range want {
		var found []string
		for _, line := range lines(log) {
			if strings.Contains(line, text) {
				found = append(found, line)
			}
		}
		if len(found) != count {
			t.Errorf("%d lines of the log contain %q, not %d:\n%s", len(found), text, count, strings.Join(found, "\n"))
		}
	}
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func lastLines(text string, count int) string {
	all := lines(text)
	return strings.Join(all[max(0, len(all)-count):], "\n")
}
