package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xcc/test/cluster"
)

func TestWrongInput(t *testing.T) {
	file := writeKubeconfig(t, eastAccess, westAccess)
	garbage := filepath.Join(t.TempDir(), "garbage")
	mustBe(t, os.WriteFile(garbage, []byte("clusters: {what: is: this"), 0o600))
	contexts := func(more ...string) []string {
		return append([]string{"sync", "--context-a", "prod-east", "--context-b", "prod-west"}, more...)
	}
	both := func(more ...string) []string { return contexts(append([]string{"--kubeconfig", file}, more...)...) }
	for _, test := range []struct {
		sentence    string
		environment []string
		arguments   []string
		names       []string // that the line has to contain
	}{
		{"an unknown context", nil, []string{"sync", "--kubeconfig", file, "--context-a", "prod-eats", "--context-b", "prod-west"},
			[]string{"--context-a", "prod-eats", "prod-east, prod-west"}},
		{"an unknown other context", nil, []string{"sync", "--kubeconfig", file, "--context-a", "prod-east", "--context-b", "prod-wset"},
			[]string{"--context-b", "prod-wset", "prod-east, prod-west"}},
		{"a missing context", nil, []string{"sync", "--kubeconfig", file, "--context-a", "prod-east"}, []string{"--context-b"}},
		{"no context at all", nil, []string{"--kubeconfig", file}, []string{"--context-a"}},
		{"a missing file", nil, contexts("--kubeconfig", "/nonexistent/kubeconfig"), []string{"--kubeconfig", "/nonexistent/kubeconfig"}},
		{"a missing file of one side", nil, both("--kubeconfig-b", "/nonexistent/kubeconfig"),
			[]string{"--kubeconfig-b", "/nonexistent/kubeconfig"}},
		{"a missing file in the environment", []string{"KUBECONFIG_PATH=/nonexistent/kubeconfig"}, contexts(),
			[]string{"--kubeconfig", "/nonexistent/kubeconfig"}},
		{"no kubeconfig anywhere", []string{"HOME=/nonexistent"}, contexts(), []string{"--kubeconfig"}},
		{"a file that is no kubeconfig", nil, contexts("--kubeconfig", garbage), []string{"--kubeconfig", garbage}},
		{"a bad selector", nil, both("--selector", "a in ("), []string{"--selector", "a in ("}},
		{"an empty selector", nil, both("--selector", ""), []string{"--selector"}},
		{"a bad direction", nil, both("--direction", "sideways"), []string{"--direction", "sideways"}},
		{"a bad endpoints API", nil, both("--endpoints-api", "none"), []string{"--endpoints-api", "none"}},
		{"no worker", nil, both("--workers", "0"), []string{"--workers"}},
		{"a number that is none", nil, both("--workers", "many"), []string{"workers", "many"}},
		{"a number in the environment that is none", []string{"XCC_WORKERS=many"}, both(), []string{"XCC_WORKERS", "many"}},
		{"a bad log level", nil, both("--log-level", "loud"), []string{"--log-level", "loud"}},
		{"a bad log format", nil, both("--log-format", "xml"), []string{"--log-format", "xml"}},
		{"a flag that there is not", nil, both("--frobnicate"), []string{"frobnicate"}},
		{"an argument", nil, both("now"), []string{"now"}},
		{"a command that there is not", nil, []string{"snyc"}, []string{"snyc"}},
	} {
		t.Run(test.sentence+" is one line that names it", func(t *testing.T) {
			t.Parallel()
			code, log := runXCC(t, test.environment, test.arguments...)
			wantOneLine(t, code, log, test.names...)
		})
	}

	for _, test := range []struct {
		sentence string
		through  func(*testing.T, cluster.Access) cluster.Access
	}{
		{"two contexts of one cluster are refused", func(_ *testing.T, access cluster.Access) cluster.Access { return access }},
		{"two contexts of one cluster are refused though their servers have different URLs", func(t *testing.T, access cluster.Access) cluster.Access {
			gate := newGate(t, east)
			gate.open(t)
			return access.Through(gate.url)
		}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			t.Parallel()
			alias := test.through(t, eastAccess)
			alias.Context = "east-alias"
			here := mark(t)
			code, log := runXCC(t, nil, syncArguments(t, eastAccess, alias)...)
			wantOneLine(t, code, log, "--context-a", "--context-b", "prod-east", "east-alias")
			if wrote := here.writesAnywhere(t, east); len(wrote) > 0 {
				t.Errorf("it wrote: %v", wrote)
			}
		})
	}

	for _, arguments := range [][]string{{"--version"}, {"--help"}, {"sync", "--help"}} {
		t.Run(strings.Join(arguments, " ")+" exits with 0", func(t *testing.T) {
			t.Parallel()
			if code, log := runXCC(t, nil, arguments...); code != 0 || log == "" {
				t.Errorf("it exited with %d and says %q", code, log)
			}
		})
	}
}

// wantOneLine fails unless xcc has exited with 1, and has written exactly one line, which contains certain texts.
func wantOneLine(t *testing.T, code int, log string, texts ...string) {
	t.Helper()
	if code != 1 {
		t.Errorf("xcc exited with %d, not 1", code)
	}
	if len(lines(log)) != 1 {
		t.Errorf("it wrote %d lines, not one", len(lines(log)))
	}
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("it wrote:\n%s", log)
	}
}
