package clusters

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
)

// identified tells which object something was kept of.
type identified interface {
	GetNamespace() string
	GetName() string
	GetUID() types.UID
	GetResourceVersion() string
}

// store keeps what is needed of the objects of one kind, in the newest version that is known: a Reflector fills it, and
// a writer adds the answers to its own writes, so that nobody plans from a state that he changed himself.
type store[T identified] struct {
	// keep makes of an object, as client-go decodes it, what is kept of it. It must not hold on to the object or its maps.
	keep func(any) T
	// ignored are the fields that it has no use for: the objects of a list come without them.
	ignored fieldSet
	// serviceOf gives the Service that an object belongs to.
	serviceOf func(T) types.NamespacedName
	// changed is told each Service of which an object has changed; not of the first list after each begin.
	changed func(types.NamespacedName)
	// filled is called after the first list after each begin.
	filled func()
	// inserted and removed are told each object as it enters and leaves the store, under its lock; nil for nobody.
	inserted, removed func(T)
	// advanced is told each resourceVersion that the watch has reached; nil for nobody.
	advanced func(version string)

	mu      sync.RWMutex
	synced  bool
	objects map[types.NamespacedName]T
	// byService is nil where each Service has the object of its own name.
	byService map[types.NamespacedName][]T
	// deleted are the objects that were deleted here and of which the watch may still tell what came before.
	deleted sets.Set[types.UID]
	// told is the resourceVersion up to which the watch has told everything.
	told string
	// writing has, of each object that a write of our own is under way of, what the watch has told meanwhile.
	writing map[types.NamespacedName][]storeChange
}

// storeChange is a version of an object that the watch told of, and the Services that the object belonged to before and
// belongs to since.
type storeChange struct {
	version       string
	before, after types.NamespacedName
}

var (
	_ cache.ReflectorStore         = &store[identified]{}
	_ cache.ResourceVersionUpdater = &store[identified]{}
)

// newStore makes an empty store. Without serviceOf, an object belongs to the Service of its own name.
func newStore[T identified](keep func(any) T, serviceOf func(T) types.NamespacedName) *store[T] {
	s := &store[T]{keep: keep, ignored: bookkeeping, serviceOf: serviceOf, objects: map[types.NamespacedName]T{}, deleted: sets.New[types.UID](), writing: map[types.NamespacedName][]storeChange{}}
	if serviceOf == nil {
		s.serviceOf = func(object T) types.NamespacedName { return nameOf(object) }
	} else {
		s.byService = map[types.NamespacedName][]T{}
	}
	return s
}

// begin makes the store wait for a full list. What it holds is kept until then, but not given out.
func (s *store[T]) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = false
}

// empty forgets all objects of a store that nothing fills any more.
func (s *store[T]) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.objects {
		s.remove(name)
	}
}

func (s *store[T]) isSynced() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.synced
}

// of gives all objects that belong to a Service.
func (s *store[T]) of(service types.NamespacedName) []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.byService != nil {
		return slices.Clone(s.byService[service])
	}
	if object, found := s.objects[service]; found {
		return []T{object}
	}
	return nil
}

// services adds all Services that an object belongs to.
func (s *store[T]) services(to sets.Set[types.NamespacedName]) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key := range s.byService {
		to.Insert(key)
	}
	if s.byService == nil {
		for key := range s.objects {
			to.Insert(key)
		}
	}
}

// observe takes the answer to a write of our own, or to a live read. An answer may come after the watch has told what
// became of the object since, its deletion even; then the watch knows better.
func (s *store[T]) observe(object T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == "" || isOlder(s.told, object.GetResourceVersion()) {
		s.put(object)
	}
}

// forget takes the answer to a delete of our own, or a live read that found nothing.
func (s *store[T]) forget(name types.NamespacedName, uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored, found := s.objects[name]; found && stored.GetUID() == uid {
		s.deleted.Insert(uid)
		s.remove(name)
	}
}

// Add implements [cache.ReflectorStore].
func (s *store[T]) Add(object any) error {
	version := object.(metav1.Object)
	if s.knows(version) {
		return nil
	}
	kept := s.keep(object)
	s.mu.Lock()
	s.told = version.GetResourceVersion()
	change := storeChange{version: version.GetResourceVersion()}
	change.before, change.after = s.put(kept)
	name := nameOf(version)
	told, isWritten := s.writing[name]
	if isWritten {
		s.writing[name] = append(told, change)
	}
	s.mu.Unlock()
	if !isWritten {
		s.tell(change)
	}
	return nil
}

// beginWrite keeps what the watch tells of an object from the others until endWrite: as a rule it is our own write, of
// which the watch often tells before its answer has come.
func (s *store[T]) beginWrite(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing[name] = nil
}

// endWrite tells of all that was kept back but the version that the write made; none is known of a write that failed.
func (s *store[T]) endWrite(name types.NamespacedName, version string) {
	s.mu.Lock()
	changes := s.writing[name]
	delete(s.writing, name)
	s.mu.Unlock()
	for _, change := range changes {
		if change.version != version {
			s.tell(change)
		}
	}
}

// knows reports whether the version that the watch tells of is in the store: most are answers to writes of our own.
func (s *store[T]) knows(version identified) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.objects[nameOf(version)]
	known := found && stored.GetUID() == version.GetUID() && stored.GetResourceVersion() == version.GetResourceVersion()
	if known {
		s.told = version.GetResourceVersion()
	}
	return known
}

// Update implements [cache.ReflectorStore].
func (s *store[T]) Update(object any) error {
	return s.Add(object)
}

// Delete implements [cache.ReflectorStore].
func (s *store[T]) Delete(object any) error {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	gone := object.(metav1.Object)
	name := nameOf(gone)
	s.mu.Lock()
	s.told = gone.GetResourceVersion()
	s.deleted.Delete(gone.GetUID())
	stored, found := s.objects[name]
	// An object of the same name and another UID is one that was made since.
	found = found && stored.GetUID() == gone.GetUID()
	if found {
		s.remove(name)
	}
	s.mu.Unlock()
	if found {
		s.changed(s.serviceOf(stored))
	}
	return nil
}

// item makes of an object of a list what Replace takes.
func (s *store[T]) item(object any) listed {
	return listed{s.keep(object)}
}

func (s *store[T]) ignores() fieldSet {
	return s.ignored
}

// Replace implements [cache.ReflectorStore]. It takes the list for what it is, also where its versions are older than
// those that were known.
func (s *store[T]) Replace(list []any, version string) error {
	objects := make([]T, len(list))
	for i, object := range list {
		objects[i] = object.(listed).kept.(T)
	}
	changed := sets.New[types.NamespacedName]()
	s.mu.Lock()
	first := !s.synced
	s.retain(objects, changed)
	if len(s.objects) == 0 {
		s.objects = make(map[types.NamespacedName]T, len(objects))
	}
	for _, object := range objects {
		name := nameOf(object)
		stored, known := s.objects[name]
		if known && stored.GetUID() == object.GetUID() && stored.GetResourceVersion() == object.GetResourceVersion() {
			continue
		}
		if known {
			changed.Insert(s.serviceOf(stored))
			s.remove(name)
		}
		if !first {
			changed.Insert(s.serviceOf(object))
		}
		s.insert(name, object)
	}
	s.deleted.Clear()
	s.told = version
	s.synced = true
	s.mu.Unlock()
	if first {
		s.filled()
		return nil
	}
	for key := range changed {
		s.changed(key)
	}
	return nil
}

// retain removes what is not among the objects. The caller holds the lock.
func (s *store[T]) retain(objects []T, changed sets.Set[types.NamespacedName]) {
	if len(s.objects) == 0 {
		return
	}
	names := make(sets.Set[types.NamespacedName], len(objects))
	for _, object := range objects {
		names.Insert(nameOf(object))
	}
	for name, stored := range s.objects {
		if !names.Has(name) {
			changed.Insert(s.serviceOf(stored))
			s.remove(name)
		}
	}
}

// UpdateResourceVersion implements [cache.ResourceVersionUpdater].
func (s *store[T]) UpdateResourceVersion(version string) {
	if s.advanced != nil {
		s.advanced(version)
	}
}

// Resync implements [cache.ReflectorStore]: there is no periodic resync.
func (s *store[T]) Resync() error {
	return nil
}

// put stores a version of an object unless a newer one is known, and gives the Services that the object belonged to
// before and belongs to now; none where nothing has changed. The caller holds the lock.
func (s *store[T]) put(object T) (before, after types.NamespacedName) {
	name := nameOf(object)
	if s.deleted.Has(object.GetUID()) {
		return before, after
	}
	after = s.serviceOf(object)
	stored, known := s.objects[name]
	if known {
		if stored.GetUID() == object.GetUID() && !isOlder(stored.GetResourceVersion(), object.GetResourceVersion()) {
			return types.NamespacedName{}, types.NamespacedName{}
		}
		before = s.serviceOf(stored)
		s.remove(name)
	}
	s.insert(name, object)
	return before, after
}

func (s *store[T]) insert(name types.NamespacedName, object T) {
	s.objects[name] = object
	if s.byService != nil {
		key := s.serviceOf(object)
		s.byService[key] = append(s.byService[key], object)
	}
	if s.inserted != nil {
		s.inserted(object)
	}
}

func (s *store[T]) remove(name types.NamespacedName) {
	stored := s.objects[name]
	if s.removed != nil {
		s.removed(stored)
	}
	delete(s.objects, name)
	if s.byService == nil {
		return
	}
	key := s.serviceOf(stored)
	rest := slices.DeleteFunc(s.byService[key], func(object T) bool { return object.GetName() == name.Name })
	if len(rest) == 0 {
		delete(s.byService, key)
		return
	}
	s.byService[key] = rest
}

func (s *store[T]) tell(change storeChange) {
	none := types.NamespacedName{}
	if change.before != none && change.before != change.after {
		s.changed(change.before)
	}
	if change.after != none {
		s.changed(change.after)
	}
}

func nameOf(object identified) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
