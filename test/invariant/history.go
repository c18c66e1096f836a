package invariant

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// The kinds of object that count.
const (
	KindNamespace     = "Namespace"
	KindService       = "Service"
	KindEndpointSlice = "EndpointSlice"
	KindEndpoints     = "Endpoints"
)

// Object is an object of one of these kinds.
type Object = interface {
	runtime.Object
	metav1.Object
}

// Key names a Service, and with it all that belongs to it.
type Key = types.NamespacedName

// ID names one object of a cluster.
type ID struct{ Kind, Namespace, Name string }

func (id ID) String() string {
	return fmt.Sprintf("%s %s/%s", id.Kind, id.Namespace, id.Name)
}

// Version is one state of one object.
type Version struct {
	ID ID
	// Revision is etcd's, and so the object's resourceVersion.
	Revision int64
	// Object is nil from when it was deleted.
	Object Object
	// Seen is when it was there at the latest.
	Seen time.Time

	// The version was written at some time from after to before. Since revisions are written one after the other, each
	// knows something about its neighbours.
	after, before time.Time
}

// State is all that stood under the name of a Service at one moment. What is absent is nil.
type State struct {
	Service   *corev1.Service
	Slices    []*discoveryv1.EndpointSlice
	Endpoints *corev1.Endpoints
}

// History is every version of every object of a cluster.
type History struct {
	versions []Version // in the order in which they were written
	byID     map[ID][]int
	byKey    map[Key][]ID
}

// NewHistory puts versions in their order, and narrows down when each was written by the audit log.
func NewHistory(versions []Version, requests []Request) *History {
	slices.SortStableFunc(versions, func(a, b Version) int { return cmp.Compare(a.Revision, b.Revision) })
	written := map[int64]Request{}
	for _, request := range requests {
		// An update that changes nothing answers with the version that it found, and has not written that.
		version := request.answered().ResourceVersion
		if !request.landed() || version == "" || request.kind() == "" || version == request.written().ResourceVersion {
			continue
		}
		revision, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			continue
		}
		if earlier, known := written[revision]; !known || request.Completed.Before(earlier.Completed) {
			written[revision] = request
		}
	}
	h := &History{versions: versions, byID: map[ID][]int{}, byKey: map[Key][]ID{}}
	for i := range versions {
		version := &versions[i]
		version.before = version.Seen
		if request, known := written[version.Revision]; known {
			version.after = request.Received
			if request.Completed.Before(version.before) {
				version.before = request.Completed
			}
		}
		if i > 0 && versions[i-1].after.After(version.after) {
			version.after = versions[i-1].after
		}
		h.index(i)
	}
	for i := len(versions) - 2; i >= 0; i-- {
		if versions[i+1].before.Before(versions[i].before) {
			versions[i].before = versions[i+1].before
		}
	}
	return h
}

func (h *History) index(i int) {
	version := h.versions[i]
	h.byID[version.ID] = append(h.byID[version.ID], i)
	if version.Object == nil || version.ID.Kind == KindNamespace {
		return
	}
	key := keyOf(version.ID, version.Object)
	if !slices.Contains(h.byKey[key], version.ID) {
		h.byKey[key] = append(h.byKey[key], version.ID)
	}
}

// keyOf is the Service that an object belongs to.
func keyOf(id ID, object Object) Key {
	if id.Kind == KindEndpointSlice {
		return Key{Namespace: id.Namespace, Name: serviceOfSlice(object)}
	}
	return Key{Namespace: id.Namespace, Name: id.Name}
}

// serviceOfSlice takes the name from that of a pointer's slice, which nobody can edit, and else from the label.
func serviceOfSlice(slice metav1.Object) string {
	const hash = 17
	if name := slice.GetName(); isMarked(slice) && len(name) > hash && name[len(name)-hash] == '-' {
		return name[:len(name)-hash]
	}
	return slice.GetLabels()[discoveryv1.LabelServiceName]
}

// Version gives the state of an object in the version given; nil where there never was one.
func (h *History) Version(id ID, resourceVersion string) *Version {
	revision, err := strconv.ParseInt(resourceVersion, 10, 64)
	if err != nil {
		return nil
	}
	for _, i := range h.byID[id] {
		if h.versions[i].Revision == revision {
			return &h.versions[i]
		}
	}
	return nil
}

// next gives the version of an object that came after the one given; nil for the last.
func (h *History) next(version *Version) *Version {
	for _, i := range h.byID[version.ID] {
		if h.versions[i].Revision > version.Revision {
			return &h.versions[i]
		}
	}
	return nil
}

// at gives the object as of a revision; nil where there is none.
func (h *History) at(id ID, revision int64) Object {
	var object Object
	for _, i := range h.byID[id] {
		if h.versions[i].Revision > revision {
			break
		}
		object = h.versions[i].Object
	}
	return object
}

// State is what stands under a name as of a revision.
func (h *History) State(key Key, revision int64) State {
	var state State
	for _, id := range h.byKey[key] {
		object := h.at(id, revision)
		if object == nil || keyOf(id, object) != key {
			continue
		}
		switch object := object.(type) {
		case *corev1.Service:
			state.Service = object
		case *discoveryv1.EndpointSlice:
			state.Slices = append(state.Slices, object)
		case *corev1.Endpoints:
			state.Endpoints = object
		}
	}
	return state
}

// During gives all states of a name that a consistent read may have seen that began and ended at those times.
func (h *History) During(key Key, from, to time.Time) []State {
	first, last := h.window(from, to)
	states := []State{h.State(key, first)}
	for _, revision := range h.changes(key, first, last) {
		states = append(states, h.State(key, revision))
	}
	return states
}

// Namespaces gives all states of a namespace that a consistent read may have seen that began and ended at those times;
// nil among them where there was none.
func (h *History) Namespaces(name string, from, to time.Time) []*corev1.Namespace {
	id := ID{Kind: KindNamespace, Name: name}
	first, last := h.window(from, to)
	revisions := []int64{first}
	for _, i := range h.byID[id] {
		if revision := h.versions[i].Revision; revision > first && revision <= last {
			revisions = append(revisions, revision)
		}
	}
	var states []*corev1.Namespace
	for _, revision := range revisions {
		namespace, _ := h.at(id, revision).(*corev1.Namespace)
		states = append(states, namespace)
	}
	return states
}

// window gives the last revision that was there for certain when the read began, and the last that may have been there
// when it ended.
func (h *History) window(from, to time.Time) (first, last int64) {
	began := sort.Search(len(h.versions), func(i int) bool { return !h.versions[i].before.Before(from) })
	if began > 0 {
		first = h.versions[began-1].Revision
	}
	ended := sort.Search(len(h.versions), func(i int) bool { return h.versions[i].after.After(to) })
	if ended > 0 {
		last = h.versions[ended-1].Revision
	}
	return first, last
}

// changes are the revisions after first, and until last, at which something under the name has changed.
func (h *History) changes(key Key, first, last int64) []int64 {
	var revisions []int64
	for _, id := range h.byKey[key] {
		for _, i := range h.byID[id] {
			if revision := h.versions[i].Revision; revision > first && revision <= last {
				revisions = append(revisions, revision)
			}
		}
	}
	slices.Sort(revisions)
	return slices.Compact(revisions)
}
