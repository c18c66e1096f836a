package command

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/clusters"
)

// TestNothingBeginsBetweenAClusterAndItself: each would be mirrored into itself.
func TestNothingBeginsBetweenAClusterAndItself(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(showIdentity))
	t.Cleanup(server.Close)
	path := writeKubeconfig(t, server.URL)
	logger, _ := logtest.NewNullLogger()
	var sides []*clusters.Cluster
	for _, name := range []string{"blue", "green"} {
		cluster, err := clusters.Open(clusters.Options{Kubeconfig: path, Context: name}, logger)
		if err != nil {
			t.Fatal(err)
		}
		sides = append(sides, cluster)
	}
	work := func(context.Context) error {
		t.Error("the work began")
		return nil
	}
	if err := serve(t.Context(), true, work, sides...); err == nil || !strings.Contains(err.Error(), "one cluster") {
		t.Error(err)
	}
}

// showIdentity answers as an API server that is asked who it is.
func showIdentity(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var list any = &corev1.NamespaceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"},
		Items: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "one"}}},
	}
	if strings.HasSuffix(r.URL.Path, "/services") {
		list = &corev1.ServiceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"},
			Items: []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes", UID: "its-api"}}},
		}
	}
	json.NewEncoder(w).Encode(list)
}
