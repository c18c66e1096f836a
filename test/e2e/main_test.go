// Package e2e tests xcc on two real clusters, as a process under the identity of its manifests.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// The two clusters and the access of xcc's identity to each are shared by the tests of the package; each test has
// namespaces of its own.
var (
	binary                 string
	east, west             *cluster.Cluster
	eastAccess, westAccess cluster.Access
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
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
	if eastAccess, err = daemon.Grant(ctx, east); err != nil {
		return err
	}
	westAccess, err = daemon.Grant(ctx, west)
	return err
}

// startDaemon runs xcc for one test, with its log in the test's. It is terminated when the test ends, and must then exit
// with 0.
func startDaemon(t *testing.T, flags ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Sync(context.Background(), binary, t.TempDir(), eastAccess, westAccess, flags...)
	mustBe(t, err)
	t.Cleanup(func() {
		code, err := d.Terminate(context.Background())
		if err != nil || code != 0 && code != -1 {
			t.Errorf("xcc exited with %d: %v", code, err)
		}
		if t.Failed() {
			t.Logf("xcc's log:\n%s", d.Log())
		}
	})
	return d
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exported is a Service with the export label and a selector for pods that are labelled app=name.
func exported(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"fair.com/cross-cluster": "true"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
}
