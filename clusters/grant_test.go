package clusters

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestPart(t *testing.T) {
	tests := []struct {
		name string
		part Part
		want []string
	}{
		{"a source may only read", Part{Source: true, LeaseNamespace: "xcc"}, []string{
			"namespace xcc", "serviceaccount xcc/xcc", "clusterrole xcc-events", "clusterrole xcc-source-read",
			"clusterrolebinding xcc-events", "clusterrolebinding xcc-source-read", "secret xcc/xcc-token"}},
		{"a source with the Lease has a place for it", Part{Source: true, Lease: true, LeaseNamespace: "infra"}, []string{
			"namespace infra", "namespace xcc", "serviceaccount xcc/xcc", "clusterrole xcc-events", "clusterrole xcc-source-read", "role infra/xcc-daemon",
			"clusterrolebinding xcc-events", "clusterrolebinding xcc-source-read", "rolebinding infra/xcc-daemon", "secret xcc/xcc-token"}},
		{"a target is bound by policies before it may write", Part{Target: true, CreateNamespaces: true, LeaseNamespace: "xcc"}, []string{
			"namespace xcc", "serviceaccount xcc/xcc",
			"validatingadmissionpolicy xcc-identity", "validatingadmissionpolicy xcc-identity-endpoints", "validatingadmissionpolicy xcc-marks",
			"validatingadmissionpolicybinding xcc-identity", "validatingadmissionpolicybinding xcc-identity-endpoints", "validatingadmissionpolicybinding xcc-marks",
			"clusterrole xcc-create-namespaces", "clusterrole xcc-events", "clusterrole xcc-source-read", "clusterrole xcc-target-write", "role xcc/xcc-daemon",
			"clusterrolebinding xcc-create-namespaces", "clusterrolebinding xcc-events", "clusterrolebinding xcc-source-read", "clusterrolebinding xcc-target-write",
			"rolebinding xcc/xcc-daemon", "secret xcc/xcc-token"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, err := test.part.Objects()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, object := range objects {
				got = append(got, title(object))
				if object.GetLabels()[labelManagedBy] != linkManager {
					t.Errorf("%s is not marked", title(object))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := test.part.Objects()
			if err != nil {
				t.Fatal(err)
			}
			first, _ := YAML(objects)
			second, _ := YAML(again)
			if !bytes.Equal(first, second) {
				t.Error("its YAML is not stable")
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	permissions := func(part Part) []string {
		all, err := part.Permissions()
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, p := range grouped(all) {
			texts = append(texts, p.String())
		}
		return texts
	}
	t.Run("they are those of the roles", func(t *testing.T) {
		want := []string{
			"get, list, watch services", "get, list, watch endpoints", "get, list, watch endpointslices.discovery.k8s.io",
			"get, list namespaces kube-system", "create, patch events",
		}
		if diff := cmp.Diff(want, permissions(Part{Source: true})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("the Lease is asked for where there is to be one", func(t *testing.T) {
		lease := "get, create, update leases.coordination.k8s.io in namespace infra"
		if got := permissions(Part{Target: true, LeaseNamespace: "infra"}); slices.Contains(got, lease) {
			t.Error(got)
		}
		if got := permissions(Part{Target: true, Lease: true, LeaseNamespace: "infra"}); !slices.Contains(got, lease) {
			t.Error(got)
		}
	})
}

// tokenOf is a token that says whose it is. It is signed by nobody.
func tokenOf(subject string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+subject+`","exp":1768471200}`)) + ".c2ln"
}

func TestKubeconfigFile(t *testing.T) {
	credential := func(name, subject string) Credential {
		return Credential{Name: name, cluster: clientcmdapi.Cluster{Server: "https://" + name}, token: tokenOf(subject)}
	}
	const xcc = "system:serviceaccount:xcc:xcc"
	ours := []Credential{credential("east", xcc), credential("west", xcc)}
	tests := []struct {
		name   string
		before func(file string) error
		// refused is part of the reason not to write; changed whether there is something to write.
		refused string
		changed bool
	}{
		{"none", func(string) error { return nil }, "", true},
		{"the same", func(file string) error { _, err := WriteKubeconfig(file, ours...); return err }, "", false},
		{"an older one", func(file string) error { _, err := WriteKubeconfig(file, ours[0]); return err }, "", true},
		{"one that everybody may read", func(file string) error {
			_, err := WriteKubeconfig(file, ours...)
			if err != nil {
				return err
			}
			return os.Chmod(file, 0o644)
		}, "", true},
		{"one of another pair", func(file string) error { _, err := WriteKubeconfig(file, credential("north", xcc)); return err }, "other contexts (north)", true},
		{"an administrator's", func(file string) error { _, err := WriteKubeconfig(file, credential("east", "admin")); return err }, "not xcc's", true},
		{"no kubeconfig", func(file string) error { return os.WriteFile(file, []byte("notes"), 0o644) }, "not xcc's", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			directory := t.TempDir()
			real := filepath.Join(directory, "xcc.kubeconfig")
			if err := test.before(real); err != nil {
				t.Fatal(err)
			}
			file := real
			if _, err := os.Stat(real); err == nil {
				file = filepath.Join(t.TempDir(), "link")
				if err := os.Symlink(real, file); err != nil {
					t.Fatal(err)
				}
			}
			err := MayReplace(file, "east", "west")
			if (err != nil) != (test.refused != "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("may it be replaced? %v", err)
			}
			if err != nil {
				return
			}
			changed, err := WriteKubeconfig(file, ours...)
			if err != nil || changed != test.changed {
				t.Errorf("changed %v, %v", changed, err)
			}
			info, err := os.Lstat(real)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if entries, _ := os.ReadDir(directory); len(entries) != 1 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}
