package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

func TestScope(t *testing.T) {
	t.Run("only the Services are mirrored that the flags choose", func(t *testing.T) {
		t.Parallel()
		for name, flags := range map[string]func(chosen, other *way) []string{
			"--namespace":         func(chosen, _ *way) []string { return []string{"--namespace", chosen.namespace} },
			"--exclude-namespace": func(_, other *way) []string { return []string{"--exclude-namespace", other.namespace} },
		} {
			t.Run(name, func(t *testing.T) {
				chosen, other := newWays(t)[0], newWays(t)[0]
				other.create(t, exported("cart"))
				chosen.xcc = startDaemon(t, flags(chosen, other)...)
				chosen.serving(t, "cart", 1)
				other.edit(t, "cart", func(service *corev1.Service) { service.Spec.Ports[0].Port = 81 })
				chosen.fence(t)
				other.absent(t, "cart")
			})
		}
		t.Run("--selector", func(t *testing.T) {
			w := newWays(t)[0]
			w.create(t, exported("cart"))
			w.xcc = startDaemon(t, "--namespace", w.namespace, "--selector", "example.com/to-the-other=yes")
			service := exported("checkout")
			service.Labels = map[string]string{"example.com/to-the-other": "yes"}
			w.create(t, service)
			w.mirrored(t, "checkout", addresses(w.run(t, "checkout", 0, 1)))
			w.absent(t, "cart")
		})
		t.Run("--direction", func(t *testing.T) {
			ways := newWays(t)
			ways[1].create(t, exported("cart"))
			ways[0].xcc = startDaemon(t, only(ways, "--direction", "a-to-b")...)
			ways[0].serving(t, "cart", 1)
			ways[1].absent(t, "cart")
		})
	})
}

func TestNames(t *testing.T) {
	t.Run("pointers name the cluster that they are from as the flags do, and take over the labels and annotations allowed", func(t *testing.T) {
		ways := newWays(t)
		xcc := startDaemon(t, only(ways, "--name-a", "Virginia", "--name-b", "Oregon",
			"--copy-label", "team", "--copy-annotation", "owner")...)
		ways[0].origin.name, ways[1].origin.name = "Virginia", "Oregon"
		for _, w := range ways {
			w.xcc = xcc
			service := exported("cart")
			service.Labels["team"], service.Labels["app"] = "shop", "cart"
			service.Annotations = map[string]string{"owner": "shop@example.com", "note": "private"}
			w.create(t, service)
			w.eventually(t, "cart", addresses(w.run(t, "cart", 0, 1)), func(want *pointer) {
				want.Service.Labels["team"], want.Service.Annotations["owner"] = "shop", "shop@example.com"
			})
		}
	})
}

func TestDevelopmentMode(t *testing.T) {
	for _, test := range []struct {
		sentence    string
		arguments   []string
		environment func(file string) []string
	}{
		{"DEV_MODE=true and nothing else uses the two contexts of ~/.kube/config", nil,
			func(file string) []string { return []string{"DEV_MODE=true", "HOME=" + home(file)} }},
		{"--devmode=true and nothing else does", []string{"--devmode=true"},
			func(file string) []string { return []string{"HOME=" + home(file)} }},
		{"KUBECONFIG names another file", []string{"--devmode"},
			func(file string) []string { return []string{"KUBECONFIG=" + file, "HOME=/nonexistent"} }},
		{"KUBECONFIG_PATH names another file", []string{"sync", "--devmode"},
			func(file string) []string { return []string{"KUBECONFIG_PATH=" + file, "HOME=/nonexistent"} }},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), ".kube", "config")
			mustBe(t, os.Mkdir(filepath.Dir(file), 0o700))
			mustBe(t, cluster.WriteKubeconfig(file, eastAccess, westAccess))
			ways := newWays(t)
			xcc := startWith(t, append(test.environment(file), "XCC_LISTEN=", "XCC_NAMESPACE="+ways[0].namespace+","+ways[1].namespace), test.arguments...)
			eachWay(t, xcc, ways, func(t *testing.T, w *way) {
				w.serving(t, "cart", 2)
				w.delete(t, "cart")
				w.gone(t, "cart")
			})
		})
	}

	t.Run("a kubeconfig with three contexts is refused with a list of them", func(t *testing.T) {
		third := eastAccess
		third.Context = "staging"
		code, log := runXCC(t, []string{"DEV_MODE=true"}, "--kubeconfig", writeKubeconfig(t, eastAccess, westAccess, third))
		wantOneLine(t, code, log, "--context-a", "--context-b", "prod-east, prod-west, staging")
	})
}

// home is the home directory of whose kubeconfig a file is.
func home(file string) string { return filepath.Dir(filepath.Dir(file)) }

func TestEnvironment(t *testing.T) {
	t.Run("the flags can be given as environment variables", func(t *testing.T) {
		ways := newWays(t)
		pods := map[*way][]corev1.Pod{}
		for _, w := range ways {
			w.create(t, exported("cart"))
			pods[w] = w.run(t, "cart", 0, 2)
			settled(t, w.from, w.namespace, "cart", pods[w])
		}
		code, log := runXCC(t, []string{
			"XCC_KUBECONFIG_A=" + writeKubeconfig(t, eastAccess), "XCC_KUBECONFIG_B=" + writeKubeconfig(t, westAccess),
			"XCC_CONTEXT_A=prod-east", "XCC_CONTEXT_B=prod-west", "XCC_NAME_A=Virginia", "XCC_NAME_B=Oregon",
			"XCC_NAMESPACE=" + ways[0].namespace + "," + ways[1].namespace, "XCC_ONCE=true", "XCC_DIRECTION=a-to-b",
			"XCC_ENDPOINTS_API=slices", "XCC_LOG_FORMAT=json", "XCC_LOG_LEVEL=debug", "XCC_WORKERS=1",
		})
		if code != 0 {
			t.Fatalf("xcc exited with %d:\n%s", code, log)
		}
		ways[0].origin.name = "Virginia"
		_, err := ways[0].isMirrored(t.Context(), "cart", addresses(pods[ways[0]]), func(want *pointer) { want.Endpoints = nil })
		mustBe(t, err)
		ways[1].absent(t, "cart")
		if !strings.HasPrefix(log, "{") {
			t.Errorf("the log is not in JSON:\n%s", log)
		}
	})
}

// startWith starts xcc with those arguments and that environment, until the test ends.
func startWith(t *testing.T, environment []string, arguments ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(context.Background(), daemon.Options{Binary: binary, Arguments: arguments, Environment: environment})
	mustBe(t, err)
	endWith(t, d)
	return d
}
