package clusters

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDrains(t *testing.T) {
	const path = "/api/v1/namespaces/xcc/configmaps/xcc-drain"
	drained := func(w http.ResponseWriter, _ *http.Request) {
		answer(w, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Data: map[string]string{"red": "prod-red"}})
	}
	tests := []struct {
		name string
		// then is the answer after one that says that red is drained.
		then  func(f *fakeAPI)
		fails bool
		want  bool
	}{
		{"a source is drained until the ConfigMap says otherwise", func(f *fakeAPI) {
			f.handle = func(w http.ResponseWriter, _ *http.Request) {
				answer(w, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}})
			}
		}, false, false},
		{"or is gone", func(f *fakeAPI) { f.handle = nil }, false, false},
		{"a proxy's page in its place says nothing", func(f *fakeAPI) {
			f.handle = func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "<html>no backend</html>", http.StatusNotFound)
			}
		}, true, true},
		{"a right that is lost says nothing", func(f *fakeAPI) { f.forbidden = []string{path} }, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake := newFakeAPI(t, "blue")
			fake.handle = drained
			c, s := fake.connected(t)
			changes := make(chan struct{}, 2)
			drains := c.Drains("xcc", func() { changes <- struct{}{} })
			if err := drains.prepare(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			<-changes
			if !drains.Drained("red") || drains.Drained("green") || drains.Drained("") {
				t.Error("not red is drained, or not red alone")
			}
			fake.set(func() { test.then(fake) })
			if err := drains.refresh(t.Context(), s); (err != nil) != test.fails {
				t.Errorf("refresh: %v", err)
			}
			if drains.Drained("red") != test.want {
				t.Errorf("drained: %v", !test.want)
			}
		})
	}
}
