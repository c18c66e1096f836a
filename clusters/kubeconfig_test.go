package clusters

import (
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// TestCredentialThatShowsAnotherClusterIsNotTaken: the daemon would mirror for the wrong one.
func TestCredentialThatShowsAnotherClusterIsNotTaken(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*fakeAPI)
		fails bool
	}{
		{"the administrator's is", func(*fakeAPI) {}, false},
		{"another is not", func(f *fakeAPI) { f.system, f.api = "red", "api-of-red" }, true},
		{"nor is one that may not read kube-system yet", func(f *fakeAPI) { f.forbidden = []string{"/api/v1/namespaces"} }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			admin := &Admin{identity: Identity{System: "blue", API: "api-of-blue"}}
			test.edit(f)
			err := admin.try(t.Context(), Credential{Name: "blue", cluster: clientcmdapi.Cluster{Server: f.server.URL}, token: "token"})
			if (err != nil) != test.fails {
				t.Error(err)
			}
		})
	}
}
