package clusters

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
)

func TestVerifyAsksOnlyAfterAReconnect(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, _ := f.connected(t)
	f.take()
	for range 3 {
		if uid, err := c.Verify(t.Context()); err != nil || uid != "blue" {
			t.Fatalf("Verify = %q, %v", uid, err)
		}
	}
	if requests := f.take(); len(requests) > 0 {
		t.Errorf("a proven session asked again: %q", requests)
	}
}

func TestAnotherClusterAfterAReconnectIsRefused(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, s := f.connected(t)
	f.set(func() { f.system, f.api = "red", "api-of-red" })
	f.server.CloseClientConnections()
	// Whatever request comes first opens the connection to the other cluster.
	if _, err := s.client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{}); err == nil {
		t.Fatal("the fake has no such Service")
	}
	if uid, err := c.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("Verify = %q, %v", uid, err)
	}
	if got := c.Identity().UID(); got != "blue" {
		t.Errorf("the cluster is now %q", got)
	}
	if len(s.ended) == 0 {
		t.Error("the session goes on, with what its watches have told of the other cluster")
	}
}

// TestConnectionIsNotProvenByAnAnswerOverAnother: the question is asked twice over, and between its two parts the connection is
// lost, and the address begins to lead to another cluster.
func TestConnectionIsNotProvenByAnAnswerOverAnother(t *testing.T) {
	turning := func(f *fakeAPI) {
		f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/namespaces" {
				w.Header().Set("Connection", "close")
				defer f.set(func() { f.system, f.api = "red", "api-of-red" })
			}
			f.ServeHTTP(w, r)
		})
	}
	t.Run("of a session", func(t *testing.T) {
		f := newFakeAPI(t, "blue")
		turning(f)
		c, _ := f.open(t)
		if s, err := c.connect(t.Context()); err == nil {
			s.close()
			t.Error("it was taken for proven")
		}
	})
	t.Run("of a gate", func(t *testing.T) {
		f := newFakeAPI(t, "blue")
		c, _ := f.connected(t)
		turning(f)
		f.take()
		newTestTarget(c).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
		for _, request := range f.take() {
			if !strings.HasPrefix(request, http.MethodGet) {
				t.Errorf("the other cluster was sent %s", request)
			}
		}
	})
}

func TestSameClusterAfterAReconnectIsProvenAgain(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, s := f.connected(t)
	f.server.CloseClientConnections()
	s.client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{})
	f.take()
	if uid, err := c.Verify(t.Context()); err != nil || uid != "blue" {
		t.Fatalf("Verify = %q, %v", uid, err)
	}
	if requests := f.take(); len(requests) == 0 {
		t.Error("the identity was not proven again")
	}
}

// kept is the least that a target keeps.
type kept struct{ metav1.ObjectMeta }

func (k *kept) Service() types.NamespacedName {
	return types.NamespacedName{Namespace: k.Namespace, Name: k.Name}
}

func newTestTarget(c *Cluster) *Target[*kept] {
	keep := func(object Object) *kept {
		return &kept{metav1.ObjectMeta{
			Namespace: object.GetNamespace(), Name: object.GetName(), UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		}}
	}
	return NewTarget(c, labels.SelectorFromSet(labels.Set{"ours": "yes"}), keep, Unheard)
}

// TestNoWriteGoesToAnotherCluster: the connection is lost, and what answers at the address now is another cluster. A
// write must not be the request that finds that out.
func TestNoWriteGoesToAnotherCluster(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1", ResourceVersion: "1"}}
	tests := []struct {
		name  string
		write func(*testing.T, *Target[*kept]) error
	}{
		{"create", func(t *testing.T, target *Target[*kept]) error {
			_, err := target.Create(t.Context(), service)
			return err
		}},
		{"update", func(t *testing.T, target *Target[*kept]) error {
			_, err := target.Update(t.Context(), service)
			return err
		}},
		{"delete", func(t *testing.T, target *Target[*kept]) error { return target.Delete(t.Context(), service) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			c, _ := f.connected(t)
			target := newTestTarget(c)
			// The connection for writes is open, and proven.
			if _, err := target.Lookup(t.Context(), service); err != nil {
				t.Fatal(err)
			}
			f.set(func() { f.system, f.api = "red", "api-of-red" })
			f.server.CloseClientConnections()
			f.take()
			// The first write may find the connection that is lost, the last one that a proof has opened.
			for range 3 {
				if err := test.write(t, target); err == nil {
					t.Error("no error")
				}
			}
			for _, request := range f.take() {
				if !strings.HasPrefix(request, http.MethodGet) {
					t.Errorf("the other cluster was sent %s", request)
				}
			}
		})
	}
}

func TestLiveReadingFromAnotherClusterIsAnError(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, _ := f.connected(t)
	source := c.Source(labels.Everything(), Metadata{}, Notify{})
	f.set(func() { f.system, f.api = "red", "api-of-red" })
	f.server.CloseClientConnections()
	if service, _, err := source.Live(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}); err == nil {
		t.Errorf("the other cluster's word for the absence of a Service was taken: %v", service)
	}
}

func TestVersionsThatGoBackProveNoAbsence(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, s := f.connected(t)
	source := c.Source(labels.Everything(), Metadata{}, Notify{})
	f.set(func() { f.version = "50" })
	if err := s.identify(t.Context()); err == nil {
		t.Error("a store that went back was not noticed")
	}
	if len(s.ended) == 0 {
		t.Error("the session goes on, with watches that wait for versions of the time before")
	}
	if _, _, err := source.Live(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}); err == nil {
		// The session ends; one that follows is behind from its start.
		next, err := c.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer next.connections.CloseAll()
		c.current.Store(next)
		if _, _, err := source.Live(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}); err == nil {
			t.Error("a store that went back proved a Service absent")
		}
	}
}

func TestDeleteIsHeldToUIDAndVersion(t *testing.T) {
	f := newFakeAPI(t, "blue")
	var options metav1.DeleteOptions
	f.set(func() {
		f.handle = func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil && r.Method == http.MethodDelete {
				_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, &options)
			}
			if err != nil {
				t.Errorf("read the options: %v", err)
			}
			answer(w, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
		}
	})
	c, _ := f.connected(t)
	target := newTestTarget(c)
	for _, object := range []Object{
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1", ResourceVersion: "7"}},
		&corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1", ResourceVersion: "7"}},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1", ResourceVersion: "7"}},
	} {
		options = metav1.DeleteOptions{}
		if err := target.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		want := &metav1.Preconditions{UID: ptr.To(types.UID("u1")), ResourceVersion: ptr.To("7")}
		if diff := cmp.Diff(want, options.Preconditions); diff != "" {
			t.Errorf("%T: preconditions (-want +got):\n%s", object, diff)
		}
	}
}

func TestVersionsThatAWatchHasToldOfAreReached(t *testing.T) {
	c, _ := newFakeAPI(t, "blue").connected(t)
	source := c.Source(labels.Everything(), Metadata{}, Unheard)
	for version, update := range map[string]func(string){
		"200": source.services.UpdateResourceVersion, "300": source.slices.UpdateResourceVersion, "400": source.endpoints.UpdateResourceVersion,
	} {
		c.newest = "100"
		if update(version); c.reached() != version {
			t.Errorf("reached: %s, not %s", c.reached(), version)
		}
	}
}

// TestUpdateIsHeldToUIDAndVersion: and it clears the account of who wrote which field.
func TestUpdateIsHeldToUIDAndVersion(t *testing.T) {
	f := newFakeAPI(t, "blue")
	var sent metav1.ObjectMeta
	f.set(func() {
		f.handle = func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("read the object: %v", err)
			}
			object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
			if err != nil {
				t.Errorf("read the object: %v", err)
				return
			}
			sent = *object.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
			answer(w, object)
		}
	})
	c, _ := f.connected(t)
	target := newTestTarget(c)
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1", ResourceVersion: "7"}
	for _, object := range []Object{&corev1.Service{ObjectMeta: meta}, &corev1.Endpoints{ObjectMeta: meta}, &discoveryv1.EndpointSlice{ObjectMeta: meta}} {
		sent = metav1.ObjectMeta{}
		if _, err := target.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if sent.UID != "u1" || sent.ResourceVersion != "7" {
			t.Errorf("%T: held to the UID %q and the version %q", object, sent.UID, sent.ResourceVersion)
		}
		if len(sent.ManagedFields) != 1 || !reflect.ValueOf(sent.ManagedFields[0]).IsZero() {
			t.Errorf("%T: sent with the account %v", object, sent.ManagedFields)
		}
	}
}

func TestAnswerIsNotOldBecauseAWatchWasFaster(t *testing.T) {
	f := newFakeAPI(t, "blue")
	c, s := f.connected(t)
	f.set(func() { f.version = "110" })
	reached := c.reached()
	c.advance("120")
	if behind, err := c.admit(Identity{System: "blue"}, "110", reached); behind || err != nil {
		t.Errorf("behind: %t, %v", behind, err)
	}
	if err := s.identify(t.Context()); err == nil {
		t.Error("an answer is older than what the watch had told before the question, and that was not noticed")
	}
}

func TestClusterWithoutKubeSystemIsNotBelieved(t *testing.T) {
	f := newFakeAPI(t, "blue")
	f.set(func() { f.noSystem = true })
	c, _ := f.open(t)
	if _, err := c.connect(t.Context()); err == nil {
		t.Errorf("an empty list was taken for a token that may not read: the cluster is %q", c.UID())
	}
}
