package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// play leaves both clusters and xcc running until it is interrupted.
func (s *stage) play(ctx context.Context) error {
	if err := s.examples(ctx); err != nil {
		return err
	}
	xcc, err := s.startXCC(ctx, s.printer)
	if err != nil {
		return err
	}
	s.suggest(s.adminKubeconfig(), xcc.PID())
	select {
	case <-ctx.Done():
		_, err := stopXCC(ctx, xcc)
		return err
	case <-xcc.Exited():
	}
	code, err := xcc.Wait(ctx)
	if err != nil {
		return err
	}
	s.line("xcc has exited with %d; the clusters run until Ctrl-C", code)
	<-ctx.Done()
	return nil
}

// examples are a few Services to look at: two that are exported, one that may be, and one whose namespace is missing in
// the other cluster.
func (s *stage) examples(ctx context.Context) error {
	const lonely = "lonely"
	if err := s.west.CreateNamespace(ctx, lonely, nil); err != nil {
		return err
	}
	for _, example := range []struct {
		app       *app
		namespace string
		pods      int
		labels    map[string]string
		headless  bool
	}{
		{app: newApp(s.east, "cart"), namespace: namespace, pods: 3, labels: exported()},
		{app: newApp(s.east, "web"), namespace: namespace, pods: 2},
		{app: newApp(s.west, "db"), namespace: namespace, pods: 2, labels: exported(), headless: true},
		{app: newApp(s.west, "report"), namespace: lonely, pods: 1, labels: exported()},
	} {
		service := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: example.namespace, Name: example.app.name, Labels: example.labels}}
		if example.headless {
			service.Spec.ClusterIP = corev1.ClusterIPNone
		}
		if err := example.app.runAs(ctx, example.pods, service); err != nil {
			return err
		}
	}
	return nil
}

// suggest prints commands to paste into another terminal.
func (s *stage) suggest(kubeconfig string, pid int) {
	s.heading("in another terminal")
	if _, err := exec.LookPath("kubectl"); err != nil {
		s.line("  (kubectl is not installed here; all but the last two commands need it)")
	}
	for _, suggestion := range [][2]string{
		{"both clusters, as their administrator", "export KUBECONFIG=" + kubeconfig},
		{"cart is exported by prod-east, db by prod-west; each has a pointer in the other", "kubectl --context prod-east -n shop get services,endpointslices --show-labels\nkubectl --context prod-west -n shop get services,endpointslices --show-labels"},
		{"export web, and look", "kubectl --context prod-east -n shop label service web fair.com/cross-cluster=true\nkubectl --context prod-west -n shop get services,endpointslices,endpoints -l fair.com/cross-cluster=follower"},
		{"withdraw it", "kubectl --context prod-east -n shop label service web fair.com/cross-cluster-"},
		{"a pod fails its readiness probe", `kubectl --context prod-east -n shop patch pod cart-0 --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		{"a pod goes (there is no kubelet that would confirm it, hence --force)", "kubectl --context prod-east -n shop delete pod cart-1 --force"},
		{"delete a pointer: it comes back", "kubectl --context prod-west -n shop delete service cart"},
		{"report waits for its namespace in prod-east", "kubectl --context prod-east create namespace lonely"},
		{"what xcc makes of each Service, and what a sync would change now: nothing", fmt.Sprintf("%[1]s status %[2]s\n%[1]s diff %[2]s", s.binary, strings.Join(s.sideFlags(s.xccKubeconfig()), " "))},
		{"end this xcc, to start your own", fmt.Sprintf("kill %d", pid)},
	} {
		s.line("\n  %s", s.paint(faint, "# "+suggestion[0]))
		s.line("  %s", strings.ReplaceAll(suggestion[1], "\n", "\n  "))
	}
	s.line("\n%s", s.paint(bold, "Ctrl-C ends all. What xcc logs:"))
}
