package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// varying are the parts of an output that are other each time: UIDs and what is made of them, ages, and pod addresses.
var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`-[0-9a-f]{16}\b`), "-HASH"},
	{regexp.MustCompile(`test-\d+-from`), "test-N-from"},
	{regexp.MustCompile(`\b(\d+[smhd])+ (old|ago)`), "AGE $2"},
	{regexp.MustCompile(`(READY +)LAG +AGE +`), "${1}LAG AGE "},
	{regexp.MustCompile(`(\d+/\d+|-) +(-|\?|\d+m?\d*s) +(-|\d+m?\d*s) +`), "$1 LAG AGE "},
	{regexp.MustCompile(`"lagSeconds": [0-9.e+-]+`), `"lagSeconds": LAG`},
	{regexp.MustCompile(`"created": "[^"]*"`), `"created": "TIME"`},
	{regexp.MustCompile(` +\n`), "\n"},
	{regexp.MustCompile(`(\S)  +`), "$1  "},
	{regexp.MustCompile(`\b10(\.\d+){3}\b`), "ADDRESS"},
}

// wantGolden compares an output with a file in testdata.
func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	for _, part := range varying {
		got = part.pattern.ReplaceAllString(got, part.instead)
	}
	golden(t, name, got)
}

// runReading runs a command that reads both clusters, and gives its exit code, its output, and what it said besides.
func runReading(t *testing.T, ways []*way, command string, arguments ...string) (code int, output, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{command, "--kubeconfig", writeKubeconfig(t, eastAccess, westAccess), "--context-a", east.Name, "--context-b", west.Name}, only(ways, arguments...)...)
	process := exec.CommandContext(t.Context(), binary, all...)
	process.Env, process.Stdout, process.Stderr = []string{}, &stdout, &stderr
	if err := process.Run(); err != nil && process.ProcessState == nil {
		t.Fatal(err)
	}
	return process.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func TestReadingCommands(t *testing.T) {
	ways := newWays(t)
	w := ways[0]
	for _, w := range ways {
		w.create(t, exported("cart"))
		settled(t, w.from, w.namespace, "cart", w.run(t, "cart", 0, 2))
	}
	here := mark(t)

	t.Run("diff shows what is missing and exits with 1, and writes nothing", func(t *testing.T) {
		code, output, said := runReading(t, ways, "diff")
		if code != 1 || said != "" {
			t.Fatalf("exit code %d:\n%s", code, said)
		}
		wantGolden(t, "diff-before.txt", output)
	})
	t.Run("status says that it is not written yet, and fails where it is asked to", func(t *testing.T) {
		code, output, said := runReading(t, ways, "status", "--fail-on", "pending")
		if code != 1 || !strings.Contains(said, "--fail-on") {
			t.Errorf("exit code %d: %s", code, said)
		}
		wantGolden(t, "status-before.txt", output)
	})
	for _, w := range ways {
		if wrote := here.writesAnywhere(t, w.into); len(wrote) > 0 {
			t.Errorf("%s: %v", w.into.Name, wrote)
		}
	}

	code, log := runXCC(t, nil, syncArguments(t, eastAccess, westAccess, only(ways, "--once")...)...)
	if code != 0 {
		t.Fatalf("xcc exited with %d:\n%s", code, log)
	}
	createService(t, w.into, w.namespace, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	})
	w.create(t, exported("taken"))
	settled(t, w.from, w.namespace, "taken", w.run(t, "taken", 0, 1))

	t.Run("diff exits with 0 and says nothing when all that can be is in sync", func(t *testing.T) {
		if code, output, said := runReading(t, ways, "diff"); code != 0 || output != "" || said != "" {
			t.Errorf("exit code %d: %q, %q", code, output, said)
		}
	})
	t.Run("status shows what is mirrored and what is refused", func(t *testing.T) {
		code, output, said := runReading(t, ways, "status")
		if code != 0 || said != "" {
			t.Errorf("exit code %d: %s", code, said)
		}
		wantGolden(t, "status.txt", output)
	})
	t.Run("status as JSON has the same", func(t *testing.T) {
		_, output, _ := runReading(t, ways, "status", "-o", "json")
		if !json.Valid([]byte(output)) {
			t.Errorf("no JSON: %s", output)
		}
		wantGolden(t, "status.json", output)
	})
	t.Run("status fails on a refusal where it is asked to", func(t *testing.T) {
		if code, _, said := runReading(t, ways, "status", "--fail-on", "refused"); code != 1 || !strings.Contains(said, "1 Service refused") {
			t.Errorf("exit code %d: %s", code, said)
		}
	})
	for _, name := range []string{"cart", "taken"} {
		t.Run("explain says all about "+name, func(t *testing.T) {
			code, output, said := runReading(t, ways, "explain", w.namespace+"/"+name)
			if code != 0 || said != "" {
				t.Errorf("exit code %d: %s", code, said)
			}
			wantGolden(t, "explain-"+name+".txt", output)
		})
	}

	for command, want := range map[string]int{"status": 1, "diff": 2} {
		t.Run(command+" fails with one line where a cluster can't be reached", func(t *testing.T) {
			arguments := []string{command, "--kubeconfig", writeKubeconfig(t, eastAccess, unreachable(westAccess)), "--context-a", east.Name, "--context-b", west.Name}
			code, said := runXCC(t, nil, arguments...)
			if code != want || len(lines(said)) != 1 || !strings.Contains(said, "--context-b") {
				t.Errorf("exit code %d: %s", code, said)
			}
		})
	}
}

func TestStatusWatch(t *testing.T) {
	ways := newWays(t)
	w := ways[0]
	w.create(t, exported("cart"))
	settled(t, w.from, w.namespace, "cart", w.run(t, "cart", 0, 2))
	watch, err := daemon.Start(context.Background(), daemon.Options{Binary: binary, Arguments: append([]string{
		"status", "--watch", "--kubeconfig", writeKubeconfig(t, eastAccess, westAccess), "--context-a", east.Name, "--context-b", west.Name,
	}, only(ways)...)})
	mustBe(t, err)
	endWith(t, watch)
	says := func(summary string) {
		t.Helper()
		mustBe(t, cluster.Eventually(t.Context(), "the status is "+summary, func(context.Context) error {
			if last := lastLines(watch.Log(), 1); last != summary {
				return fmt.Errorf("it is %s", last)
			}
			return nil
		}))
	}
	says("1 Service: 1 pending (1 NotWritten)")
	w.xcc = startDaemon(t, only(ways)...)
	says("1 Service: 1 mirrored")
	w.delete(t, "cart")
	says("No Service is exported by either cluster.")
}

// ask gives the answer of a daemon that listens.
func ask(ctx context.Context, address, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestListen(t *testing.T) {
	ways := newWays(t)
	address, err := east.ReserveAddress()
	mustBe(t, err)
	xcc := startDaemon(t, only(ways, "--listen", address)...)
	for _, w := range ways {
		w.xcc = xcc
		w.serving(t, "cart", 2)
	}
	answers := func(t *testing.T, path string, parts ...string) {
		t.Helper()
		mustBe(t, cluster.Eventually(t.Context(), path+" is as it should be", func(ctx context.Context) error {
			code, text, err := ask(ctx, address, path)
			if err != nil || code != http.StatusOK {
				return fmt.Errorf("%d %q: %w", code, text, err)
			}
			for _, part := range parts {
				if !strings.Contains(text, part) {
					return fmt.Errorf("no %s in %s", part, text)
				}
			}
			return nil
		}))
	}
	answers(t, "/readyz", "ok")
	answers(t, "/healthz", "ok")
	answers(t, "/metrics",
		`xcc_exported_services{source="prod-east",target="prod-west",verdict="Mirrored"} 1`,
		`xcc_pointers{source="prod-west",target="prod-east"} 1`,
		`xcc_writes_total{kind="Service",operation="create",result="success",source="prod-east",target="prod-west"} 1`,
		`xcc_propagation_seconds_count{source="prod-east",target="prod-west"}`,
		`xcc_client_requests_total{cluster="prod-west",code="201",method="POST"}`,
		"xcc_leader 1")
	answers(t, "/", "prod-east", ways[0].namespace+"/", "cart", "Mirrored")

	t.Run("another daemon on the same address fails with one line", func(t *testing.T) {
		code, said := runXCC(t, nil, syncArguments(t, eastAccess, westAccess, only(ways, "--listen", address)...)...)
		if code != 1 || len(lines(said)) != 1 || !strings.Contains(said, "--listen") {
			t.Errorf("exit code %d: %s", code, said)
		}
	})

	terminate(t, xcc)
	if listener, err := net.Listen("tcp", address); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else {
		listener.Close()
	}
}

func TestEvents(t *testing.T) {
	xcc := startDaemon(t)
	bothWays(t, xcc, "a Service and its pointer tell what became of them", func(t *testing.T, w *way) {
		w.serving(t, "cart", 1)
		w.hasEvent(t, w.from, "cart", "Mirrored")
		w.hasEvent(t, w.into, "cart", "Mirrored")
		service := exported("alias")
		service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		w.create(t, service)
		w.hasEvent(t, w.from, "alias", "ExternalName")
	})
}

func TestEventsOfARunOnceAreWrittenWhenItEnds(t *testing.T) {
	ways := newWays(t)
	for _, w := range ways {
		w.create(t, exported("cart"))
		settled(t, w.from, w.namespace, "cart", w.run(t, "cart", 0, 1))
	}
	code, log := runXCC(t, nil, syncArguments(t, eastAccess, westAccess, only(ways, "--once")...)...)
	if code != 0 {
		t.Fatalf("xcc exited with %d:\n%s", code, log)
	}
	for _, w := range ways {
		mustBe(t, errors.Join(w.event(t.Context(), w.from, "cart", "Mirrored"), w.event(t.Context(), w.into, "cart", "Mirrored")))
	}
}

func TestNoEventsWithoutTheRight(t *testing.T) {
	for _, c := range []*cluster.Cluster{east, west} {
		bindings := c.Clientset().RbacV1().ClusterRoleBindings()
		binding, err := bindings.Get(t.Context(), "xcc-events", metav1.GetOptions{})
		mustBe(t, err)
		mustBe(t, bindings.Delete(t.Context(), binding.Name, metav1.DeleteOptions{}))
		t.Cleanup(func() {
			binding.ResourceVersion, binding.UID = "", ""
			_, err := bindings.Create(context.Background(), binding, metav1.CreateOptions{})
			mustBe(t, err)
		})
	}
	ways := newWays(t)
	xcc := startDaemon(t, only(ways, "--log-level=debug")...)
	for _, w := range ways {
		w.xcc = xcc
		for i := range 5 {
			w.serving(t, fmt.Sprintf("cart-%d", i), 1)
		}
	}
	wantDebug := func(c *cluster.Cluster) {
		mustBe(t, cluster.Eventually(t.Context(), "one line says that there are no Events in "+c.Name, func(context.Context) error {
			count := 0
			for _, line := range lines(xcc.Log()) {
				if strings.Contains(line, "no Events") && strings.Contains(line, "cluster="+c.Name) {
					count++
				}
			}
			if count != 1 {
				return fmt.Errorf("%d lines", count)
			}
			return nil
		}))
	}
	wantDebug(east)
	wantDebug(west)
	wantLogs(t, xcc.Log(), map[string]int{"level=error": 0, "level=warning": 0})
}

// hasEvent waits until a Service has an Event with that reason.
func (w *way) hasEvent(t *testing.T, c *cluster.Cluster, name, reason string) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), fmt.Sprintf("%s/%s in %s has the Event %s", w.namespace, name, c.Name, reason), func(ctx context.Context) error {
		return w.event(ctx, c, name, reason)
	}))
}

// event fails unless a Service has an Event with that reason.
func (w *way) event(ctx context.Context, c *cluster.Cluster, name, reason string) error {
	events, err := c.Clientset().CoreV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	if err != nil {
		return err
	}
	for _, event := range events.Items {
		if event.Reason == reason && event.InvolvedObject.Kind == "Service" && event.Source.Component == "xcc" {
			return nil
		}
	}
	return fmt.Errorf("%s/%s in %s has %d others than %s", w.namespace, name, c.Name, len(events.Items), reason)
}
