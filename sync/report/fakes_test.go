package report

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	stdsync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"xcc/sync"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), run with -update to accept:\n%s", file, diff)
	}
}

// now is when everything is looked at.
var now = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// fakeCluster is a cluster that always answers, in both roles.
type fakeCluster struct {
	name    string
	uid     types.UID
	silence time.Duration
	problem string

	mu         stdsync.Mutex
	services   map[sync.Key]*corev1.Service
	slices     map[sync.Key][]*discoveryv1.EndpointSlice
	objects    map[string]sync.Object
	copies     map[sync.Key]map[string]*sync.Copy
	namespaces map[string]*metav1.ObjectMeta
	versions   int
}

func newFakeCluster(name string) *fakeCluster {
	return &fakeCluster{
		name: name, uid: types.UID("uid-of-" + name), silence: 3 * time.Second,
		services: map[sync.Key]*corev1.Service{}, slices: map[sync.Key][]*discoveryv1.EndpointSlice{},
		objects: map[string]sync.Object{}, copies: map[sync.Key]map[string]*sync.Copy{},
		namespaces: map[string]*metav1.ObjectMeta{"shop": {Name: "shop"}},
	}
}

func (c *fakeCluster) Name() string           { return c.name }
func (c *fakeCluster) UID() types.UID         { return c.uid }
func (c *fakeCluster) Silence() time.Duration { return c.silence }
func (c *fakeCluster) Problem() string        { return c.problem }

// export adds a Service with as many ready pods.
func (c *fakeCluster) export(namespace, name string, pods int) *corev1.Service {
	key := sync.Key{Namespace: namespace, Name: name}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name),
			Labels: map[string]string{sync.LabelExport: sync.Exported}, CreationTimestamp: metav1.NewTime(now.Add(-48 * time.Hour))},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.9", Selector: map[string]string{"app": name},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: name},
			Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: now.Add(-90 * time.Second).Format(time.RFC3339Nano)}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for i := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services[key], c.slices[key] = service, []*discoveryv1.EndpointSlice{slice}
	return service
}

// put stores an object as the API server would.
func (c *fakeCluster) put(object sync.Object) *sync.Copy {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions++
	if object.GetUID() == "" {
		object.SetUID(types.UID("uid-of-" + identify(object)))
		object.SetCreationTimestamp(metav1.NewTime(now.Add(-time.Hour)))
	}
	object.SetResourceVersion(fmt.Sprint(c.versions))
	id := identify(object)
	c.objects[id] = object
	if namespace, ok := object.(*corev1.Namespace); ok {
		c.namespaces[namespace.Name] = &namespace.ObjectMeta
		return nil
	}
	kept := (sync.Rules{}).Observe(object)
	if kept.Follower {
		if c.copies[kept.Service()] == nil {
			c.copies[kept.Service()] = map[string]*sync.Copy{}
		}
		c.copies[kept.Service()][id] = kept
	}
	return kept
}

type asSource struct{ *fakeCluster }

func (s asSource) Verify(context.Context) (types.UID, error) { return s.uid, nil }

func (s asSource) Exported(key sync.Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.services[key], s.slices[key], nil
}

func (s asSource) Live(_ context.Context, key sync.Key) (*corev1.Service, []*discoveryv1.EndpointSlice, error) {
	return s.Exported(key)
}

func (s asSource) Keys() []sync.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []sync.Key
	for key := range s.services {
		keys = append(keys, key)
	}
	return keys
}

type asTarget struct{ *fakeCluster }

func (t asTarget) Copies(key sync.Key) ([]*sync.Copy, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var copies []*sync.Copy
	for _, c := range t.copies[key] {
		copies = append(copies, c)
	}
	return copies, nil
}

func (t asTarget) Namespace(name string) *metav1.ObjectMeta {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.namespaces[name]
}

func (t asTarget) Network() ([]corev1.IPFamily, []netip.Prefix) {
	return []corev1.IPFamily{corev1.IPv4Protocol}, nil
}

func (t asTarget) Keys() []sync.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []sync.Key
	for key, copies := range t.copies {
		if len(copies) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

func (t asTarget) Create(_ context.Context, object sync.Object) (*sync.Copy, error) {
	return t.put(object), nil
}

func (t asTarget) Update(_ context.Context, object sync.Object) (*sync.Copy, error) {
	return t.put(object), nil
}

func (t asTarget) Delete(_ context.Context, object sync.Object) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.objects, identify(object))
	for _, copies := range t.copies {
		delete(copies, identify(object))
	}
	return nil
}

func (t asTarget) Lookup(_ context.Context, object sync.Object) (*sync.Copy, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found := t.objects[identify(object)]; found != nil {
		return (sync.Rules{}).Observe(found), nil
	}
	return nil, nil
}

func (t asTarget) Read(_ context.Context, object sync.Object) (sync.Object, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.objects[identify(object)], nil
}

type noOverlap struct{}

func (noOverlap) Among([]*discoveryv1.EndpointSlice) []netip.Addr { return nil }

// ledger is one that nothing was ever written in.
type ledger struct{}

func (ledger) Load(context.Context) (map[string]string, string, error) { return nil, "", nil }

func (ledger) Store(context.Context, map[string]string, string) (string, error) { return "1", nil }

// newHub connects two clusters in both directions, synced.
func newHub(a, b *fakeCluster) *sync.Hub {
	hub := &sync.Hub{Workers: 4}
	log := logrus.New()
	log.SetOutput(io.Discard)
	for _, way := range [][2]*fakeCluster{{a, b}, {b, a}} {
		from, into := way[0], way[1]
		hub.Mirrors = append(hub.Mirrors, sync.NewMirror(from.name, sync.Direction{
			Rules: sync.Rules{Name: from.name, EndpointsAPI: sync.Both}, To: into.name,
			Source: asSource{from}, Target: asTarget{into}, Writer: asTarget{into}, Objects: asTarget{into}, Exports: asSource{into},
			Overlap: noOverlap{}, Brake: &sync.Brake{Percent: 50, Ledger: ledger{}, Log: log}, Heartbeat: from,
			InScope: func(string) bool { return true }, Log: log,
		}))
	}
	hub.EnqueueAll()
	return hub
}

// synced runs a hub until all is in sync.
func synced(t testing.TB, hub *sync.Hub) {
	t.Helper()
	hub.Once = true
	if err := hub.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
