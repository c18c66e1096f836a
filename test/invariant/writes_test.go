package invariant

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A checker that can't fail shows nothing: each forged story breaks one promise, and must be told so.
func TestEachBrokenPromiseOfAWriteIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		want  string // the invariant; empty where nothing is broken
		story func(f *forgery)
	}{
		"a pointer is born and withdrawn in the proper way": {"", func(f *forgery) {
			source, pointer := f.born("cart")
			f.leaves("cart", source, pointer)
		}},
		"a foreign Service is updated": {"I1", func(f *forgery) {
			_, pointer := f.born("cart")
			foreign := f.put(west, "bob", "create", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other", UID: "foreign"}})
			other := pointer.Service.DeepCopy()
			other.Name = "other"
			f.put(east, "alice", "create", withUID(exported("other"), "uid-of-cart"))
			f.update(west, foreign, other)
		}},
		"a foreign Service is deleted": {"I1", func(f *forgery) {
			foreign := f.put(west, "bob", "create", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other", UID: "foreign"}})
			f.get(east, "other", 404, "")
			f.withdraw(west, foreign)
		}},
		"a pointer of a third cluster is deleted": {"I1", func(f *forgery) {
			_, pointer := f.born("cart")
			third := pointer.Service.DeepCopy()
			third.Name, third.UID = "other", "third"
			third.Annotations[originCluster] = "south-uid"
			f.withdraw(west, f.store(west, third))
		}},
		"an update creates what was gone": {"I1", func(f *forgery) {
			_, pointer := f.born("cart")
			f.remove(west, "bob", pointer.Endpoints, nil)
			f.update(west, pointer.Endpoints, pointer.Endpoints)
			f.requests[west][len(f.requests[west])-1].Code = 201
		}},
		"a slice that Kubernetes made for a foreign Service is deleted": {"I1", func(f *forgery) {
			f.withdraw(west, f.store(west, strayOf("foreign")))
		}},
		"a slice that Kubernetes made for a pointer is deleted": {"", func(f *forgery) {
			f.born("cart")
			f.withdraw(west, f.store(west, strayOf("pointer-cart")))
		}},
		"a Secret is read and written": {"I1", func(f *forgery) {
			request := f.request(XCC, "create", exported("cart"))
			request.Resource, request.Code = "secrets", 201
			f.requests[west] = append(f.requests[west], request)
		}},
		"a namespace is deleted": {"I1", func(f *forgery) {
			f.remove(west, XCC, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, nil)
		}},
		"an update without a UID": {"I2", func(f *forgery) {
			_, pointer := f.born("cart")
			pointer.Service.UID = ""
			f.update(west, pointer.Service, pointer.Service)
		}},
		"an update without a resourceVersion": {"I2", func(f *forgery) {
			_, pointer := f.born("cart")
			pointer.Slices[0].ResourceVersion = ""
			f.update(west, pointer.Slices[0], pointer.Slices[0])
		}},
		"a delete without a UID": {"I2", func(f *forgery) {
			source, pointer := f.born("cart")
			f.remove(east, "alice", source.Service, nil)
			f.get(east, "cart", 404, "")
			f.remove(west, XCC, pointer.Service, &metav1.Preconditions{ResourceVersion: &pointer.Service.ResourceVersion})
		}},
		"a delete without any condition": {"I2", func(f *forgery) {
			_, pointer := f.born("cart")
			f.remove(west, XCC, pointer.Service, nil)
		}},
		"a patch": {"I2", func(f *forgery) {
			_, pointer := f.born("cart")
			f.put(west, XCC, "patch", pointer.Service)
		}},
		"a deletecollection, though refused": {"I2", func(f *forgery) {
			request := f.request(XCC, "deletecollection", exported("cart"))
			request.Code = 403
			f.requests[west] = append(f.requests[west], request)
		}},
		"a create that was cut off before the API server had read it": {"", func(f *forgery) {
			f.born("cart")
			request := f.request(XCC, "create", exported("cart"))
			request.Name, request.Code, request.Body, request.Answer = "", 500, nil, nil
			f.requests[west] = append(f.requests[west], request)
		}},
		"a pointer into its own cluster": {"I3", func(f *forgery) {
			source, _ := f.born("cart")
			f.put(east, XCC, "create", withName(mirrored(source).Service, "other"))
		}},
		"a pointer of a Service that is not exported": {"I3", func(f *forgery) {
			private := exported("cart")
			private.Labels = nil
			f.put(east, "alice", "create", private)
			f.put(west, XCC, "create", mirrored(State{Service: private}).Service)
		}},
		"a pointer of a pointer": {"I3", func(f *forgery) {
			echo := exported("cart")
			echo.Annotations = map[string]string{originCluster: west}
			f.put(east, "alice", "create", echo)
			f.put(west, XCC, "create", mirrored(State{Service: echo}).Service)
		}},
		"a metadata address":          {"I9", func(f *forgery) { f.writes("168.63.129.16") }},
		"a loopback address":          {"I9", func(f *forgery) { f.writes("127.0.0.1") }},
		"a link-local address":        {"I9", func(f *forgery) { f.writes("169.254.169.254") }},
		"a mapped address":            {"I9", func(f *forgery) { f.writes("::ffff:10.1.0.1") }},
		"an address of the Services":  {"I9", func(f *forgery) { f.writes("10.102.0.1") }},
		"an address that may be told": {"", func(f *forgery) { f.writes("10.1.0.2") }},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			test.story(f)
			wantInvariant(t, f.world().Writes(), test.want)
		})
	}
}

// wantInvariant fails unless the report tells of that invariant; of none where it is empty.
func wantInvariant(t *testing.T, report Report, want string) {
	t.Helper()
	var found []string
	for _, violation := range report.Violations {
		found = append(found, violation.Invariant)
	}
	if want == "" && len(found) > 0 || want != "" && !slices.Contains(found, want) {
		t.Errorf("found %v, want %q:\n%v", found, want, report.Violations)
	}
	if len(report.Unjudged) > 0 {
		t.Errorf("not judged: %v", report.Unjudged)
	}
}

func withUID(service *corev1.Service, uid types.UID) *corev1.Service {
	service.UID = uid
	return service
}

func withName(service *corev1.Service, name string) *corev1.Service {
	service.Name = name
	return service
}

func strayOf(owner types.UID) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "cart-xyz", UID: "stray",
		Labels:          map[string]string{discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io", discoveryv1.LabelServiceName: "cart"},
		OwnerReferences: []metav1.OwnerReference{{Kind: KindService, Name: "cart", UID: owner, Controller: new(true)}},
	}}
}

// writes gives the pointer one more address.
func (f *forgery) writes(address string) {
	_, pointer := f.born("cart")
	more := pointer.Slices[0].DeepCopy()
	more.Endpoints = append(more.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	f.update(west, pointer.Slices[0], more)
}

func TestWithdrawalsInAWindowAreCounted(t *testing.T) {
	for name, test := range map[string]struct {
		pointers, withdrawn int
		pause               time.Duration
		from, to            int // the withdrawals that an operator lets through
		want                string
	}{
		"ten of ten may go":                                   {10, 10, 0, 0, 0, ""},
		"eleven of twelve may not":                            {12, 11, 0, 0, 0, "I6"},
		"fifteen of thirty may":                               {30, 15, 0, 0, 0, ""},
		"sixteen of thirty may not":                           {30, 16, 0, 0, 0, "I6"},
		"over two windows they may":                           {30, 16, time.Minute, 0, 0, ""},
		"all may while an operator lets them through":         {24, 24, 0, 0, 24, ""},
		"the rest may when an operator lets them through":     {24, 24, 0, 12, 24, ""},
		"after the operator has gone, ten more may":           {24, 22, 0, 0, 12, ""},
		"after the operator has gone, more than that may not": {40, 39, 0, 0, 15, "I6"},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			var sources, pointers []State
			for i := range test.pointers {
				source, pointer := f.born(fmt.Sprintf("cart-%d", i))
				sources, pointers = append(sources, source), append(pointers, pointer)
			}
			var release Interval
			for i := range test.withdrawn {
				if i == test.from {
					release.From = f.tick()
				}
				f.leaves(fmt.Sprintf("cart-%d", i), sources[i], pointers[i])
				f.now = f.now.Add(test.pause)
				if i == test.to-1 {
					release.To = f.tick()
				}
			}
			world := f.world()
			if test.to > 0 {
				world.Releases = []Interval{release}
			}
			wantInvariant(t, world.Writes(), test.want)
		})
	}
}

func TestUndoneWithdrawalsStillCount(t *testing.T) {
	for name, test := range map[string]struct {
		comeBack, more int // of those that went, and of those that had not
		want           string
	}{
		"those that came back may go again":          {10, 0, ""},
		"others may not, though all have come back":  {10, 1, "I6"},
		"others may not, though some have come back": {1, 1, "I6"},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			sources, pointers := map[int]State{}, map[int]State{}
			for i := range 12 {
				sources[i], pointers[i] = f.born(fmt.Sprintf("cart-%d", i))
			}
			for i := range 10 {
				f.leaves(fmt.Sprintf("cart-%d", i), sources[i], pointers[i])
			}
			for i := range test.comeBack {
				sources[i], pointers[i] = f.born(fmt.Sprintf("cart-%d", i))
			}
			for i := range test.comeBack {
				f.leaves(fmt.Sprintf("cart-%d", i), sources[i], pointers[i])
			}
			for i := range test.more {
				f.leaves(fmt.Sprintf("cart-%d", 10+i), sources[10+i], pointers[10+i])
			}
			wantInvariant(t, f.world().Writes(), test.want)
		})
	}
}

func TestAViolationShowsItsEvidence(t *testing.T) {
	f := forge(t)
	_, pointer := f.born("cart")
	f.get(east, "cart", 200, "")
	f.withdraw(west, pointer.Service)
	report := f.world().Writes()
	if len(report.Violations) != 1 {
		t.Fatalf("found %v", report.Violations)
	}
	for _, part := range []string{"I4", "shop/cart", "delete services", "get services", "uid-of-cart"} {
		if text := report.Violations[0].String(); !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
