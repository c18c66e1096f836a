package clusters

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIdentity(t *testing.T) {
	const namespaces, services = "/api/v1/namespaces", "/api/v1/namespaces/default/services"
	tests := []struct {
		name      string
		forbidden []string
		want      Identity
		fails     bool
	}{
		{"a token that may read both", nil, Identity{System: "blue", API: "api-of-blue"}, false},
		{"a token that may not read Services", []string{services}, Identity{}, true},
		{"a token that may read nothing", []string{namespaces}, Identity{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			f.set(func() { f.forbidden = test.forbidden })
			c, _ := f.open(t)
			s, err := c.connect(t.Context())
			if (err != nil) != test.fails || c.Identity() != test.want {
				t.Errorf("identity %+v, %v", c.Identity(), err)
			}
			if s != nil {
				s.connections.CloseAll()
			}
		})
	}
}

// TestIdentityWithoutNamespaces: what may not list Namespaces is known by its API server's Service.
func TestIdentityWithoutNamespaces(t *testing.T) {
	f := newFakeAPI(t, "blue")
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/namespaces" {
			answerStatus(w, http.StatusForbidden, metav1.StatusReasonForbidden)
			return
		}
		f.ServeHTTP(w, r)
	})
	c, _ := f.connected(t)
	if got := c.Identity(); got != (Identity{API: "api-of-blue"}) || got.UID() != "api-of-blue" {
		t.Errorf("identity %+v", got)
	}
}

// TestIdentityOfAStartingServer: what an API server forbids that has yet to read its RBAC rules says nothing of the token.
func TestIdentityOfAStartingServer(t *testing.T) {
	f := newFakeAPI(t, "blue")
	f.set(func() { f.starting = true })
	c, _ := f.open(t)
	if _, err := c.connect(t.Context()); err == nil || c.UID() != "" {
		t.Errorf("identity %+v, %v", c.Identity(), err)
	}
	s, err := c.connect(t.Context())
	if err != nil || c.Identity() != (Identity{System: "blue", API: "api-of-blue"}) {
		t.Errorf("when it is ready: identity %+v, %v", c.Identity(), err)
	}
	t.Cleanup(s.connections.CloseAll)
}

// TestRightsThatComeMeanwhile: an answer from before the server was ready doesn't count.
func TestRightsThatComeMeanwhile(t *testing.T) {
	f := newFakeAPI(t, "blue")
	asked := 0
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/namespaces" {
			if asked++; asked == 1 {
				answerStatus(w, http.StatusForbidden, metav1.StatusReasonForbidden)
				return
			}
		}
		f.ServeHTTP(w, r)
	})
	c, _ := f.connected(t)
	if got := c.Identity(); got != (Identity{System: "blue", API: "api-of-blue"}) {
		t.Errorf("identity %+v", got)
	}
}

func TestSameIdentity(t *testing.T) {
	tests := []struct {
		name string
		a, b Identity
		want bool
	}{
		{"both UIDs", Identity{"s", "a"}, Identity{"s", "a"}, true},
		{"the system UID alone", Identity{System: "s"}, Identity{"s", "a"}, true},
		{"the API UID alone", Identity{API: "a"}, Identity{"s", "a"}, true},
		{"nothing in common", Identity{"s", "a"}, Identity{"t", "b"}, false},
		{"different halves", Identity{System: "s"}, Identity{API: "a"}, false},
		{"two unknown ones", Identity{}, Identity{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.a.Same(test.b) != test.want || test.b.Same(test.a) != test.want {
				t.Errorf("Same is not %t both ways", test.want)
			}
		})
	}
}

func TestAbsenceNeedsAStatus(t *testing.T) {
	tests := []struct {
		name   string
		handle func(http.ResponseWriter, *http.Request)
		want   bool
	}{
		{"the API server's own answer", func(w http.ResponseWriter, _ *http.Request) {
			answerStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		}, true},
		{"a load balancer's page", page(http.StatusNotFound, "text/html", "<html>Not Found</html>"), false},
		{"an empty 404", page(http.StatusNotFound, "", ""), false},
		{"some other JSON", page(http.StatusNotFound, "application/json", `{"error":"not found"}`), false},
		{"the API server's answer to an unknown path", page(http.StatusNotFound, "text/plain; charset=utf-8", "404 page not found\n"), false},
		{"410 as a page", page(http.StatusGone, "text/html", "<html>Gone</html>"), false},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) {
			answerStatus(w, http.StatusForbidden, metav1.StatusReasonForbidden)
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			f.set(func() { f.handle = test.handle })
			_, s := f.connected(t)
			_, err := s.client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{})
			if got := isAbsent(err); err == nil || got != test.want {
				t.Errorf("isAbsent(%v) = %t, want %t", err, got, test.want)
			}
		})
	}
}

func page(code int, contentType, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		w.Write([]byte(body))
	}
}
