package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// fakeServer answers as an API server: one Service, and a watch that tells of a Service for each one that is sent to it.
type fakeServer struct {
	*httptest.Server
	events   chan corev1.Service
	creates  atomic.Int32
	protocol atomic.Value
	token    atomic.Value
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{events: make(chan corev1.Service)}
	f.Server = httptest.NewUnstartedServer(f)
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.protocol.Store(r.Proto)
	f.token.Store(r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPost:
		f.creates.Add(1)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	case r.URL.Query().Get("watch") != "":
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case service := <-f.events:
				raw, _ := json.Marshal(service)
				_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":%s}`, raw)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		_ = json.NewEncoder(w).Encode(corev1.ServiceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "42"},
			Items:    []corev1.Service{aService("cart")},
		})
	}
}

func aService(name string) corev1.Service {
	return corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
}

func (f *fakeServer) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
}

func startProxy(t *testing.T, f *fakeServer) *Proxy {
	t.Helper()
	p, err := Start(t.Context(), Options{Server: f.URL, CA: f.ca(), Certificate: f.TLS.Certificates[0]})
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, p.Close()) })
	return p
}

// newClient is a client in one of the two formats.
func newClient(t *testing.T, p *Proxy, f *fakeServer, contentType string) kubernetes.Interface {
	t.Helper()
	config := &rest.Config{Host: p.URL(), BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CAData: f.ca()}}
	config.AcceptContentTypes, config.QPS = contentType+",application/json", -1
	client, err := kubernetes.NewForConfig(config)
	mustBe(t, err)
	return client
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func list(ctx context.Context, client kubernetes.Interface) (*corev1.ServiceList, error) {
	return client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
}

// get is a request without a retry, on a connection of its own.
func get(t *testing.T, p *Proxy, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+"/api/v1/services", nil)
	mustBe(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err == nil {
		err = response.Body.Close()
	}
	return err
}

func TestProxyPassesOn(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	client := newClient(t, p, f, "application/json")
	services, err := list(t.Context(), client)
	mustBe(t, err)
	if len(services.Items) != 1 || f.protocol.Load() != "HTTP/2.0" || f.token.Load() != "Bearer secret" {
		t.Errorf("got %d Services over %v with the token %q", len(services.Items), f.protocol.Load(), f.token.Load())
	}
	watching, err := client.CoreV1().Services("").Watch(t.Context(), metav1.ListOptions{})
	mustBe(t, err)
	defer watching.Stop()
	f.events <- aService("first")
	if event := <-watching.ResultChan(); event.Object.(*corev1.Service).Name != "first" {
		t.Errorf("got %v, not the first event before there is a second", event)
	}
	calls := p.Calls()
	if len(calls) != 2 || calls[0].Verb != "list" || calls[1].Verb != "watch" || calls[1].Number != 2 || calls[0].Resource != "services" {
		t.Errorf("recorded %+v", calls)
	}
}

func TestCutResetsAndRefuses(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	client := newClient(t, p, f, "application/json")
	watching, err := client.CoreV1().Services("").Watch(t.Context(), metav1.ListOptions{})
	mustBe(t, err)
	p.Cut()
	for range watching.ResultChan() {
	}
	if err := get(t, p, 10*time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request while the way is cut: %v", err)
	}
	p.Mend()
	mustBe(t, get(t, p, 10*time.Second))
}

func TestFreezeAnswersNothingAndClosesNothing(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	client := newClient(t, p, f, "application/json")
	watching, err := client.CoreV1().Services("").Watch(t.Context(), metav1.ListOptions{})
	mustBe(t, err)
	defer watching.Stop()
	p.Freeze()
	f.events <- aService("late")
	if err := get(t, p, 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request on a frozen connection: %v", err)
	}
	select {
	case event := <-watching.ResultChan():
		t.Errorf("a frozen connection told of %v", event)
	default:
	}
	p.Thaw()
	if event := <-watching.ResultChan(); event.Type != watch.Added {
		t.Errorf("after the thaw came %v", event)
	}
}

func TestStallAnswersNothing(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	p.Stall()
	if err := get(t, p, 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request through a stalled proxy: %v", err)
	}
	p.Unstall()
	mustBe(t, get(t, p, 10*time.Second))
}

func TestEmptyListIsOneInAnyFormat(t *testing.T) {
	for _, format := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(format, func(t *testing.T) {
			f := newFakeServer(t)
			p := startProxy(t, f)
			client := newClient(t, p, f, format)
			remove := p.Intercept(Only("services", EmptyList()))
			services, err := list(t.Context(), client)
			mustBe(t, err)
			if len(services.Items) != 0 || services.ResourceVersion != "42" {
				t.Errorf("got %d Services of version %q", len(services.Items), services.ResourceVersion)
			}
			remove()
			services, err = list(t.Context(), client)
			mustBe(t, err)
			if len(services.Items) != 1 {
				t.Error("the rule outlives its removal")
			}
		})
	}
}

func TestEmptyWatchListEndsWithItsBookmark(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	client := newClient(t, p, f, "application/json")
	p.Intercept(Only("services", EmptyList()))
	watching, err := client.CoreV1().Services("").Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	mustBe(t, err)
	defer watching.Stop()
	event := <-watching.ResultChan()
	service, ok := event.Object.(*corev1.Service)
	if !ok || event.Type != watch.Bookmark || service.ResourceVersion != "42" || service.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
		t.Fatalf("the first event is %v", event)
	}
	f.events <- aService("new")
	if event := <-watching.ResultChan(); event.Type != watch.Added {
		t.Errorf("the second event is %v", event)
	}
}

func TestRulesAndObservers(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	client := newClient(t, p, f, "application/json")
	var before, after atomic.Int32
	p.Observe(func(Call) { before.Add(1) }, func(Call) { after.Add(1) })
	create := func() error {
		service := aService("cart")
		_, err := client.CoreV1().Services("shop").Create(t.Context(), &service, metav1.CreateOptions{})
		return err
	}

	remove := p.Intercept(Only("services", RefuseHTML(http.StatusNotFound)))
	if _, err := list(t.Context(), client); !apierrors.IsNotFound(err) {
		t.Errorf("a refused list: %v", err)
	}
	remove()
	remove = p.Intercept(Only("", Lose(), "create"))
	if err := create(); err == nil || f.creates.Load() != 1 {
		t.Errorf("a lost answer: %v after %d creates", err, f.creates.Load())
	}
	remove()
	remove = p.Intercept(Only("", Abort(), "create"))
	if err := create(); err == nil || f.creates.Load() != 1 {
		t.Errorf("an aborted request: %v after %d creates", err, f.creates.Load())
	}
	remove()
	remove = p.Intercept(Only("", RefuseStatus(http.StatusForbidden, "Forbidden", "exceeded quota"), "create"))
	if err := create(); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
		t.Errorf("a refused create: %v", err)
	}
	remove()
	release := make(chan struct{})
	p.Intercept(Only("", Delay(release), "create"))
	done := make(chan error)
	go func() { done <- create() }()
	_, err := list(t.Context(), client)
	mustBe(t, err)
	close(release)
	mustBe(t, <-done)

	if before.Load() != 6 || after.Load() != 3 {
		t.Errorf("%d calls were observed before, %d after", before.Load(), after.Load())
	}
	var landed []int
	for _, call := range p.Calls() {
		if call.Landed() {
			landed = append(landed, call.WriteNumber)
		}
	}
	if fmt.Sprint(landed) != "[1 4]" || !p.Calls()[1].Lost {
		t.Errorf("the writes that landed are %v of %+v", landed, p.Calls())
	}
}

func TestRedirectLeadsElsewhereWithAnotherToken(t *testing.T) {
	one, other := newFakeServer(t), newFakeServer(t)
	p := startProxy(t, one)
	client := newClient(t, p, one, "application/json")
	_, err := list(t.Context(), client)
	mustBe(t, err)
	mustBe(t, p.Redirect(other.URL, other.ca(), "of the other"))
	_, err = list(t.Context(), client)
	mustBe(t, err)
	if other.token.Load() != "Bearer of the other" {
		t.Errorf("the other server got the token %v", other.token.Load())
	}
}

func TestClientsAreCutOffWithTheServer(t *testing.T) {
	f := newFakeServer(t)
	p := startProxy(t, f)
	watching, err := newClient(t, p, f, "application/json").CoreV1().Services("").Watch(t.Context(), metav1.ListOptions{})
	mustBe(t, err)
	f.CloseClientConnections()
	for range watching.ResultChan() {
	}
}

func TestTunnelCutsAndFreezes(t *testing.T) {
	f := newFakeServer(t)
	tunnel, err := StartTunnel(f.Listener.Addr().String())
	mustBe(t, err)
	defer tunnel.Close()
	ask := func(timeout time.Duration) error {
		connection, err := net.DialTimeout("tcp", tunnel.Address(), timeout)
		if err != nil {
			return err
		}
		defer connection.Close()
		mustBe(t, connection.SetDeadline(time.Now().Add(timeout)))
		return tls.Client(connection, &tls.Config{InsecureSkipVerify: true}).Handshake()
	}
	mustBe(t, ask(10*time.Second))
	tunnel.Freeze()
	var timeout net.Error
	if err := ask(100 * time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("through a frozen tunnel: %v", err)
	}
	tunnel.Thaw()
	tunnel.Cut()
	if err := ask(10 * time.Second); err == nil {
		t.Error("through a cut tunnel: no error")
	}
}
