package clusters

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

func newTestLedger(t *testing.T, f *fakeAPI) Ledger {
	target, _ := f.connected(t)
	source, _ := newFakeAPI(t, "red").connected(t)
	return Ledger{Cluster: target, About: source, Namespace: "xcc"}
}

func TestLedgerIsRead(t *testing.T) {
	kept := map[string]string{"tripped": "true"}
	tests := []struct {
		name        string
		handle      func(http.ResponseWriter, *http.Request)
		wantValues  map[string]string
		wantVersion string
		fails       bool
	}{
		{"as it stands", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}, Data: kept})
		}, kept, "7", false},
		{"as empty where there is none", nil, nil, "", false},
		{"a proxy's page in its place says nothing", page(http.StatusNotFound, "text/html", "<html>no backend</html>"), nil, "", true},
		{"an error says nothing", page(http.StatusInternalServerError, "text/plain", "etcd has no leader"), nil, "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			ledger := newTestLedger(t, f)
			f.set(func() { f.handle = test.handle })
			values, version, err := ledger.Load(t.Context())
			if (err != nil) != test.fails || version != test.wantVersion {
				t.Errorf("version %q, %v", version, err)
			}
			if diff := cmp.Diff(test.wantValues, values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLedgerIsHeldToItsVersion: of two daemons that count at the same time, one has to read again.
func TestLedgerIsHeldToItsVersion(t *testing.T) {
	for _, test := range []struct{ version, method string }{{"", http.MethodPost}, {"7", http.MethodPut}} {
		t.Run(test.method, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			ledger := newTestLedger(t, f)
			f.set(func() {
				f.handle = func(w http.ResponseWriter, r *http.Request) {
					var sent corev1.ConfigMap
					body, err := io.ReadAll(r.Body)
					if err == nil {
						_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, &sent)
					}
					if err != nil {
						t.Errorf("read the ConfigMap: %v", err)
					}
					if r.Method != test.method || sent.ResourceVersion != test.version {
						t.Errorf("%s of version %q", r.Method, sent.ResourceVersion)
					}
					sent.ResourceVersion, sent.TypeMeta = "8", metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
					answer(w, &sent)
				}
			})
			if version, err := ledger.Store(t.Context(), map[string]string{"tripped": "true"}, test.version); version != "8" || err != nil {
				t.Errorf("version %q, %v", version, err)
			}
		})
	}
}
