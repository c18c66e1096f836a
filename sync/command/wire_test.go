package command

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"xcc/clusters"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: c, cluster: {server: %q}}
contexts:
- {name: blue, context: {cluster: c, user: u}}
- {name: green, context: {cluster: c, user: u}}
users:
- {name: u, user: {}}
`

// writeKubeconfig writes one whose contexts lead to the server.
func writeKubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, kubeconfig, server), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opening gives what the flags of sync make, without a request.
func opening(t *testing.T, flags ...string) (o opened) {
	t.Helper()
	path := writeKubeconfig(t, "http://127.0.0.1:1")
	app := &cli.App{Flags: syncFlags(), Action: func(c *cli.Context) (err error) {
		o, err = open(c, io.Discard, nil)
		return err
	}}
	if err := app.Run(append([]string{"xcc", "--kubeconfig", path, "--context-a", "blue", "--context-b", "green"}, flags...)); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestGuardsAreAsTheFlagsSay: those of each direction, with the ranges of its source.
func TestGuardsAreAsTheFlagsSay(t *testing.T) {
	o := opening(t, "--allow-cidr-a", "10.1.0.0/16", "--allow-cidr-b", "10.2.0.0/16", "--max-delete-percent", "20")
	for i, want := range []struct{ source, allowed string }{{"blue", "10.1.0.0/16"}, {"green", "10.2.0.0/16"}} {
		mirror := o.hub.Mirrors[i]
		if mirror.Rules.Name != want.source || mirror.Brake.Percent != 20 || mirror.Brake.Open {
			t.Errorf("the direction from %s has the brake at %d %%, open: %t", mirror.Rules.Name, mirror.Brake.Percent, mirror.Brake.Open)
		}
		if diff := cmp.Diff([]netip.Prefix{netip.MustParsePrefix(want.allowed)}, mirror.Rules.Allowed, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("allowed from %s (-want +got):\n%s", want.source, diff)
		}
	}
	if !opening(t, "--once", "--allow-mass-delete").hub.Mirrors[0].Brake.Open {
		t.Error("--allow-mass-delete does not open the brake")
	}
}

// side is a cluster that is known.
type side clusters.Identity

func (side) Name() string                  { return "a-side" }
func (s side) Identity() clusters.Identity { return clusters.Identity(s) }

func TestTwoContextsOfOneClusterAreRefused(t *testing.T) {
	if err := differ(side{System: "blue"}, side{System: "blue"}); err == nil {
		t.Error("one cluster was taken for two")
	}
	if err := differ(side{System: "blue"}, side{System: "green"}); err != nil {
		t.Error(err)
	}
}

func TestScope(t *testing.T) {
	tests := []struct {
		name           string
		only, excluded []string
		namespace      string
		want           bool
	}{
		{"without limits every namespace is in scope", nil, nil, "shop", true},
		{"one that is named is in scope", []string{"shop", "bank"}, nil, "bank", true},
		{"one that is not named is not", []string{"shop"}, nil, "bank", false},
		{"one that is excluded is not", nil, []string{"bank"}, "bank", false},
		{"the others are", nil, []string{"bank"}, "shop", true},
		{"excluded goes before named", []string{"shop"}, []string{"shop"}, "shop", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := scope(test.only, test.excluded)(test.namespace); got != test.want {
				t.Errorf("in scope: %t, want %t", got, test.want)
			}
		})
	}
}

func TestScopeName(t *testing.T) {
	tests := []struct {
		name           string
		only, excluded []string
		want           string
	}{
		{"all namespaces have no name", nil, nil, ""},
		{"the same namespaces have the same name", []string{"shop", "bank", "shop"}, nil, "only bank, shop"},
		{"what is excluded is another scope", nil, []string{"till", "bank"}, "not bank, till"},
		{"both", []string{"shop"}, []string{"bank"}, "only shop, not bank"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := scopeName(test.only, test.excluded); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
