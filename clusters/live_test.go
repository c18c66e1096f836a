package clusters

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var web = types.NamespacedName{Namespace: "shop", Name: "web"}

// answerExported is what an API server says of an exported Service and its endpoints.
func answerExported(w http.ResponseWriter, r *http.Request) {
	meta := metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}
	switch {
	case strings.HasSuffix(r.URL.Path, "/services/web"):
		answer(w, &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: meta})
	case strings.HasSuffix(r.URL.Path, "/endpoints/web"):
		answer(w, &corev1.Endpoints{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Endpoints"}, ObjectMeta: meta})
	default:
		answer(w, &discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}})
	}
}

// TestLiveReadingIsConsistent: a reading that takes any version, or an error for an absence, would prove a Service gone that
// is there.
func TestLiveReadingIsConsistent(t *testing.T) {
	const service, slices, endpoints = "/api/v1/namespaces/shop/services/web", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", "/api/v1/namespaces/shop/endpoints/web"
	tests := []struct {
		name          string
		endpointsOnly bool
		want          []string
	}{
		{"with EndpointSlices", false, []string{service, slices}},
		{"with Endpoints", true, []string{service, endpoints}},
	}
	for _, test := range tests {
		read := func(t *testing.T, handle func(http.ResponseWriter, *http.Request)) ([]string, error) {
			f := newFakeAPI(t, "blue")
			c, _ := f.connected(t)
			source := c.Source(labels.Everything(), Metadata{}, Unheard)
			source.endpointsOnly.Store(test.endpointsOnly)
			f.set(func() { f.handle = handle })
			f.take()
			_, _, err := source.Live(t.Context(), web)
			return f.take(), err
		}
		t.Run(test.name, func(t *testing.T) {
			requests, err := read(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("resourceVersion") {
					t.Errorf("it takes any version: %s", r.URL)
				}
				answerExported(w, r)
			})
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"GET " + test.want[0], "GET " + test.want[1]}, requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
		for _, failing := range test.want {
			t.Run(test.name+" fails with "+failing, func(t *testing.T) {
				_, err := read(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == failing {
						page(http.StatusInternalServerError, "text/plain", "etcd has no leader")(w, r)
						return
					}
					answerExported(w, r)
				})
				if err == nil {
					t.Error("an error was taken for an absence")
				}
			})
		}
	}
}

func TestServiceThatIsNotExportedIsAbsent(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, _ := f.connected(t)
	source := c.Source(labels.SelectorFromSet(labels.Set{"exported": "yes"}), Metadata{}, Unheard)
	f.set(func() { f.handle = answerExported })
	if service, _, err := source.Live(t.Context(), web); service != nil || err != nil {
		t.Errorf("%v, %v", service, err)
	}
}

// TestWatchesBeginWithAConsistentList: what a lagging API server has would be taken for all there is.
func TestWatchesBeginWithAConsistentList(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, s := f.connected(t)
	source := c.Source(labels.Everything(), Metadata{}, Unheard)
	listed := make(chan string, 1)
	f.set(func() {
		f.handle = func(w http.ResponseWriter, r *http.Request) {
			// A watch that would begin with a list is refused, as an old API server does.
			if !r.URL.Query().Has("watch") {
				select {
				case listed <- r.URL.Query().Get("resourceVersion"):
				default:
				}
			}
			answerStatus(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		}
	})
	reflector := s.reflector(s.client.CoreV1().RESTClient(), "services", "", &corev1.Service{}, source.services)
	go reflector.RunWithContext(t.Context())
	if version := <-listed; version != "" {
		t.Errorf("the first list takes the version %q", version)
	}
}

func TestViewsTellNothingBeforeAllIsRead(t *testing.T) {
	c, _ := newFakeAPI(t, "blue").open(t)
	source, target := c.Source(labels.Everything(), Metadata{}, Unheard), newTestTarget(c)
	fill := func(replace func([]any, string) error) {
		if err := replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
	}
	for i, replace := range []func([]any, string) error{source.services.Replace, source.slices.Replace} {
		if _, _, err := source.Exported(web); err == nil {
			t.Errorf("the source tells of Services with %d of 2 lists read", i)
		}
		fill(replace)
	}
	if _, _, err := source.Exported(web); err != nil {
		t.Error(err)
	}
	for i, replace := range []func([]any, string) error{target.services.Replace, target.slices.Replace, target.endpoints.Replace, target.namespaces.Replace} {
		if _, err := target.Copies(web); err == nil {
			t.Errorf("the target tells of pointers with %d of 4 lists read", i)
		}
		fill(replace)
	}
	if _, err := target.Copies(web); err != nil {
		t.Error(err)
	}
}

// TestSlicesOutliveTheirService in a view, too: whoever makes a Service of the name gets them.
func TestSlicesOutliveTheirService(t *testing.T) {
	c, _ := newFakeAPI(t, "blue").open(t)
	source := c.Source(labels.Everything(), Metadata{}, Unheard)
	if err := errors.Join(source.services.Replace(nil, "1"), source.slices.Replace([]any{source.slices.item(slice("web", "u1", "1"))}, "1")); err != nil {
		t.Fatal(err)
	}
	service, slices, err := source.Exported(web)
	if service != nil || len(slices) != 1 || err != nil {
		t.Errorf("%v, %d slices, %v", service, len(slices), err)
	}
}

// TestViewHoldsAnswersOfOursOnly: what has lost its label is told of by no watch, and would stay for ever.
func TestViewHoldsAnswersOfOursOnly(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, _ := f.connected(t)
	target := newTestTarget(c)
	for i, ours := range []bool{false, true, false} {
		service := &corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name, UID: "u1", ResourceVersion: fmt.Sprint(i + 1)},
		}
		if ours {
			service.Labels = map[string]string{"ours": "yes"}
		}
		f.set(func() { f.handle = func(w http.ResponseWriter, _ *http.Request) { answer(w, service) } })
		if _, err := target.Lookup(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		if held := len(target.services.of(web)) > 0; held != ours {
			t.Errorf("version %d, which is ours: %t, is in the view: %t", i+1, ours, held)
		}
	}
}
