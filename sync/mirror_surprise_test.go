package sync

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func messages(entries []*logrus.Entry) []string {
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Message)
	}
	return all
}

// wholeWeb is the exported Service with one slice, and the name of the pointer's.
func wholeWeb() (Source, string) {
	slice := sliceOf("web-1", ready("10.0.0.1"))
	return sourceOf(exported(), slice), rules().sliceName(web.Name, slice)
}

func theirs(object Object) Object {
	object.SetNamespace(web.Namespace)
	object.SetName(web.Name)
	return object
}

func TestSomebodysServiceIsAConflict(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.target.model.put(theirs(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}}))
	verdict, err := b.reconcile(t, web)
	if diff := cmp.Diff(Verdict{State: Refused, Reason: Conflict}, verdict, cmpopts.IgnoreFields(Verdict{}, "Message")); diff != "" || err != nil {
		t.Fatalf("verdict (-want +got), %v:\n%s", err, diff)
	}
	want := []string{"look up Endpoints shop/web", "create Service shop/web", "look up Service shop/web"}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}

	// As long as it stands, it is looked at again, and nothing is written.
	if verdict, err := b.reconcile(t, web); err != nil || verdict.Reason != Conflict {
		t.Errorf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"look up Service shop/web"}, b.take()); diff != "" {
		t.Errorf("calls of the second look (-want +got):\n%s", diff)
	}

	// When it goes, the pointer comes.
	delete(b.target.model.objects, KindService.String()+"/shop/web")
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Errorf("%s, %v", verdict, err)
	}
}

func TestSomebodysEndpointsAreAConflict(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.target.model.put(theirs(&corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.9"}}}}}))
	verdict, err := b.reconcile(t, web)
	if err != nil || verdict.Reason != Conflict {
		t.Fatalf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"look up Endpoints shop/web"}, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSomebodysSliceOfTheNameIsAConflict(t *testing.T) {
	source, name := wholeWeb()
	b := newBench(t, source)
	squatter := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, AddressType: discoveryv1.AddressTypeIPv4}
	before := b.target.model.put(squatter)
	verdict, err := b.reconcile(t, web)
	if err != nil || verdict.Reason != Conflict {
		t.Fatalf("%s, %v", verdict, err)
	}
	if diff := cmp.Diff(before, b.target.model.get(squatter)); diff != "" {
		t.Errorf("the slice was changed (-before +after):\n%s", diff)
	}
}

func TestOwnObjectThatTheWatchHasNotToldOf(t *testing.T) {
	source, name := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	for object := range b.target.model.objects {
		b.target.hidden.Insert(object)
	}
	verdict, err := b.reconcile(t, web)
	if err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	want := []string{
		"look up Endpoints shop/web", "create Service shop/web", "look up Service shop/web",
		"create EndpointSlice shop/" + name, "look up EndpointSlice shop/" + name,
	}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestWriteThatLandedWithoutAnAnswer(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.target.lose = func(call string) error {
		b.target.hidden.Insert(strings.Replace(strings.TrimPrefix(call, "create "), " ", "/", 1))
		return errors.New("request timed out")
	}
	for range 2 {
		if verdict, err := b.reconcile(t, web); err == nil || verdict.Reason != WriteFailed {
			t.Fatalf("%s, %v", verdict, err)
		}
	}
	b.target.lose = nil
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	if count := len(b.target.model.objects); count != 3 {
		t.Errorf("there are %d objects, not 3: %v", count, sortedKeys(b.target.model.objects))
	}
}

func TestConflictOnUpdateIsLookedUpAndDoneAgain(t *testing.T) {
	source, name := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	b.source.cached[web] = sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2")))
	once := true
	b.target.refuse = func(call string) error {
		if once && strings.HasPrefix(call, "update EndpointSlice") {
			once = false
			return apierrors.NewConflict(resource(&discoveryv1.EndpointSlice{}), name, errors.New("it was changed"))
		}
		return nil
	}
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	want := []string{
		"update EndpointSlice shop/" + name, "look up EndpointSlice shop/" + name,
		"update EndpointSlice shop/" + name, "update Endpoints shop/web",
	}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestPointerThatBecameSomebodysIsLeftToThem(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	// Somebody deletes our Service and makes one of his own; the watch has told of neither.
	object := b.target.model.objects[KindService.String()+"/shop/web"]
	taken := deepCopy(object).(*corev1.Service)
	taken.UID, taken.Labels, taken.Annotations = "theirs", nil, nil
	delete(b.source.cached, web)
	b.target.refuse = func(call string) error {
		if call == "delete Service shop/web" {
			b.target.model.put(taken)
		}
		return nil
	}
	if _, err := b.reconcile(t, web); err != nil {
		t.Fatal(err)
	}
	after := b.target.model.objects[KindService.String()+"/shop/web"]
	if after == nil || after.GetUID() != "theirs" {
		t.Errorf("somebody's Service is now %v", after)
	}
}

// TestPointerThatSomebodyExportsIsNoNativeService: nor is it exported.
func TestPointerThatSomebodyExportsIsNoNativeService(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	labelled := exported()
	labelled.Annotations = marks(web.Name).Annotations
	b.exports.cached[web] = sourceOf(labelled)
	if verdict, err := b.reconcile(t, web); err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Errorf("%s, %v", verdict, err)
	}
}

func TestNamespaceThatAnotherNameHasJustCreated(t *testing.T) {
	source, name := wholeWeb()
	b := newBench(t, source)
	b.mirror.Rules.CreateNamespaces = true
	delete(b.target.namespaces, "shop")
	b.target.model.put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	verdict, err := b.reconcile(t, web)
	if err != nil || verdict != (Verdict{State: Mirrored}) {
		t.Fatalf("%s, %v", verdict, err)
	}
	if b.target.model.objects[KindEndpointSlice.String()+"/shop/"+name] == nil {
		t.Errorf("there is no pointer: %v", sortedKeys(b.target.model.objects))
	}
}

func TestForeignObjectsDoNotPileUp(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.target.model.put(theirs(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}}))
	for range 10 {
		if _, err := b.reconcile(t, web); err != nil {
			t.Fatal(err)
		}
	}
	if count := len(b.mirror.foreign[web]); count != 1 {
		t.Errorf("one foreign Service is remembered %d times", count)
	}
}
