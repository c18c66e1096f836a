package clusters

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// fakeAPI is an API server as far as a session asks it who it is. Everything else is answered by handle.
type fakeAPI struct {
	server *httptest.Server

	mu        sync.Mutex
	system    types.UID // of namespace kube-system
	api       types.UID // of service default/kubernetes
	version   string
	noSystem  bool     // the list of kube-system is empty
	starting  bool     // it has yet to read its RBAC rules, and forbids everything until it is asked whether it is ready
	forbidden []string // path prefixes
	requests  []string
	handle    func(w http.ResponseWriter, r *http.Request)
}

func newFakeAPI(t *testing.T, uid types.UID) *fakeAPI {
	f := &fakeAPI{system: uid, api: "api-of-" + uid, version: "100"}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeAPI) set(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

// take gives the requests since it was last asked.
func (f *fakeAPI) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	system, api, version, forbidden, handle, noSystem := f.system, f.api, f.version, f.forbidden, f.handle, f.noSystem
	starting := f.starting
	if r.URL.Path == "/readyz" {
		f.starting = false
	}
	f.mu.Unlock()
	byName := r.URL.Query().Get("fieldSelector") != ""
	switch {
	case starting, slices.ContainsFunc(forbidden, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) }):
		answerStatus(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	case byName && r.URL.Path == "/api/v1/namespaces" && noSystem:
		answer(w, &corev1.NamespaceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"}, ListMeta: metav1.ListMeta{ResourceVersion: version}})
	case byName && r.URL.Path == "/api/v1/namespaces":
		answer(w, &corev1.NamespaceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"}, ListMeta: metav1.ListMeta{ResourceVersion: version},
			Items: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: system}}},
		})
	case byName && r.URL.Path == "/api/v1/namespaces/default/services":
		answer(w, &corev1.ServiceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"}, ListMeta: metav1.ListMeta{ResourceVersion: version},
			Items: []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", UID: api}}},
		})
	case r.URL.Path == "/readyz":
		w.Write([]byte("ok"))
	case handle != nil:
		handle(w, r)
	default:
		answerStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(object)
}

func answerStatus(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason,
	})
}

// writeKubeconfig writes a kubeconfig with one context per server, by name.
func writeKubeconfig(t *testing.T, servers map[string]string) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: Config\n")
	for _, part := range []string{"clusters", "contexts", "users"} {
		fmt.Fprintf(&text, "%s:\n", part)
		for name, url := range servers {
			switch part {
			case "clusters":
				fmt.Fprintf(&text, "- {name: %s, cluster: {server: %q}}\n", name, url)
			case "contexts":
				fmt.Fprintf(&text, "- {name: %s, context: {cluster: %s, user: %s}}\n", name, name, name)
			case "users":
				fmt.Fprintf(&text, "- {name: %s, user: {}}\n", name)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open makes a cluster that the fake answers for.
func (f *fakeAPI) open(t *testing.T) (*Cluster, *logtest.Hook) {
	t.Helper()
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	c, err := Open(Options{Kubeconfig: writeKubeconfig(t, map[string]string{"blue": f.server.URL}), Context: "blue", Flag: "--context-a"}, logger)
	if err != nil {
		t.Fatal(err)
	}
	return c, hook
}

// connected is a cluster with a session, and no watches.
func (f *fakeAPI) connected(t *testing.T) (*Cluster, *session) {
	t.Helper()
	c, _ := f.open(t)
	s, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.current.Store(s)
	t.Cleanup(s.connections.CloseAll)
	return c, s
}
