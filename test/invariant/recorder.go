package invariant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"xcc/test/cluster"
)

// registry is where API servers keep objects, and sentinel a key of ours there that they don't look at.
const (
	registry = "/registry/"
	sentinel = "/registry/xcc-test/sentinel"
)

// kinds are those that are recorded, by the beginning of their keys.
var kinds = []struct{ prefix, kind string }{
	{registry + "services/specs/", KindService},
	{registry + "services/endpoints/", KindEndpoints},
	{registry + "endpointslices/", KindEndpointSlice},
	{registry + "namespaces/", KindNamespace},
}

// Recorder keeps every version of the objects that count. One that began before xcc did has all of them.
type Recorder struct {
	client *clientv3.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	versions []Version
	latest   map[string]map[ID]Object // by namespace
	changes  map[string]int           // by namespace
	revision int64                    // the last one that was seen
	err      error
}

// Record begins to record a cluster. It does not outlive a restore of the cluster's etcd: record that anew.
func Record(ctx context.Context, c *cluster.Cluster) (*Recorder, error) {
	client, err := c.Etcd.Client()
	if err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Recorder{client: client, cancel: cancel, done: make(chan struct{}), latest: map[string]map[ID]Object{}, changes: map[string]int{}}
	before, err := client.Get(ctx, registry, clientv3.WithPrefix())
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("record cluster %s: %w", c.Name, err), client.Close())
	}
	now := time.Now()
	for _, pair := range before.Kvs {
		r.note(string(pair.Key), pair.Value, pair.ModRevision, now)
	}
	changes := client.Watch(watching, registry, clientv3.WithPrefix(), clientv3.WithRev(before.Header.Revision+1))
	go func() {
		defer close(r.done)
		r.follow(changes)
	}()
	return r, nil
}

func (r *Recorder) follow(changes clientv3.WatchChan) {
	for batch := range changes {
		now := time.Now()
		r.mu.Lock()
		if err := batch.Err(); err != nil && r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
		for _, event := range batch.Events {
			value := event.Kv.Value
			if event.Type == clientv3.EventTypeDelete {
				value = nil
			}
			r.note(string(event.Kv.Key), value, event.Kv.ModRevision, now)
		}
	}
}

// note keeps a version. What can't be decoded is a fault of the recorder, and tells in the next History.
func (r *Recorder) note(key string, value []byte, revision int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revision = max(r.revision, revision)
	for _, recorded := range kinds {
		name, found := strings.CutPrefix(key, recorded.prefix)
		if !found {
			continue
		}
		version := Version{Revision: revision, ID: ID{Kind: recorded.kind}, Seen: now}
		if recorded.kind == KindNamespace {
			version.ID.Name = name
		} else {
			version.ID.Namespace, version.ID.Name, _ = strings.Cut(name, "/")
		}
		if value != nil {
			object, err := decode(value)
			if err != nil && r.err == nil {
				r.err = fmt.Errorf("decode %s: %w", key, err)
			}
			version.Object = object
		}
		r.versions = append(r.versions, version)
		r.keepLatest(version)
	}
}

func (r *Recorder) keepLatest(version Version) {
	namespace := version.ID.Namespace
	if version.ID.Kind == KindNamespace {
		namespace = version.ID.Name
	}
	if r.latest[namespace] == nil {
		r.latest[namespace] = map[ID]Object{}
	}
	r.changes[namespace]++
	if version.Object == nil {
		delete(r.latest[namespace], version.ID)
	} else {
		r.latest[namespace][version.ID] = version.Object
	}
}

// Changes counts what has changed in some namespaces so far.
func (r *Recorder) Changes(namespaces ...string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, namespace := range namespaces {
		count += r.changes[namespace]
	}
	return count
}

// Scene is what was last seen of some namespaces. It costs the cluster nothing, which a quorum read that is repeated until
// something is there would; what it says is a moment old.
func (r *Recorder) Scene(namespaces ...string) Scene {
	r.mu.Lock()
	defer r.mu.Unlock()
	scene := Scene{Namespaces: map[string]*corev1.Namespace{}, States: map[Key]State{}}
	for _, name := range namespaces {
		for _, object := range r.latest[name] {
			scene.add(object)
		}
	}
	return scene
}

func decode(value []byte) (Object, error) {
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		return nil, err
	}
	object, ok := decoded.(Object)
	if !ok {
		return nil, fmt.Errorf("a %T has no metadata", decoded)
	}
	return object, nil
}

var _ runtime.Object = Object(nil)

// Sync returns when all that has happened until now is recorded.
func (r *Recorder) Sync(ctx context.Context) error {
	answer, err := r.client.Put(ctx, sentinel, "")
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return cluster.Eventually(ctx, "etcd tells the recorder of its last key", func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.revision < answer.Header.Revision && r.err == nil {
			return fmt.Errorf("it is at revision %d, and etcd at %d", r.revision, answer.Header.Revision)
		}
		return nil
	})
}

// History gives everything that was recorded until now, together with what the audit log says of when it was written.
func (r *Recorder) History(ctx context.Context, requests []Request) (*History, error) {
	if err := r.Sync(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, fmt.Errorf("history: %w", r.err)
	}
	return NewHistory(append([]Version(nil), r.versions...), requests), nil
}

// Stop ends the recording.
func (r *Recorder) Stop() error {
	r.cancel()
	<-r.done
	return r.client.Close()
}
