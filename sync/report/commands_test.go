package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/sync"
)

// town is a pair of clusters in which there is one of everything: cart is mirrored and has changed since, new has no
// pointer yet, gone is a pointer whose Service is gone, taken is a name that the target has already, spare fails over, and
// so on.
func town(t *testing.T) *sync.Hub {
	t.Helper()
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	east.export("shop", "cart", 2)
	east.export("shop", "gone", 1)
	east.export("shop", "still", 1)
	west.export("shop", "search", 3)
	for _, service := range []*corev1.Service{east.export("shop", "spare", 2), west.export("shop", "spare", 0)} {
		service.Annotations = map[string]string{sync.AnnotationMode: string(sync.ModeFailover)}
	}
	synced(t, newHub(east, west))
	delete(east.services, sync.Key{Namespace: "shop", Name: "gone"})
	east.export("shop", "cart", 3)
	east.export("shop", "new", 1)
	east.export("lonely", "report", 1)
	east.export("shop", "taken", 1)
	east.export("shop", "both", 1)
	west.export("shop", "both", 1)
	west.put(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "taken"}})
	east.put(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shy"}})
	return newHub(east, west)
}

// looks are those at all names of a hub.
func rowsOf(t *testing.T, hub *sync.Hub) []Row {
	t.Helper()
	var rows []Row
	for _, mirror := range hub.Mirrors {
		looks, errs := mirror.Inspect(t.Context(), mirror.Names(), 4)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, look := range looks {
			if row, any := rowOf(mirror, look, now); any {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

func TestStatus(t *testing.T) {
	status := statusOf(rowsOf(t, town(t)))
	for format, file := range map[Format]string{Table: "status.txt", JSON: "status.json", YAML: "status.yaml"} {
		t.Run("as "+string(format), func(t *testing.T) {
			var text strings.Builder
			if err := status.Write(&text, format, now); err != nil {
				t.Fatal(err)
			}
			golden(t, file, text.String())
		})
	}
}

func TestStatusOfNothingSaysSo(t *testing.T) {
	status, err := Inspect(t.Context(), newHub(newFakeCluster("a"), newFakeCluster("b")))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := status.Write(&text, Table, now); err != nil {
		t.Fatal(err)
	}
	if want := "No Service is exported by either cluster.\n"; text.String() != want {
		t.Errorf("%q, not %q", text.String(), want)
	}
}

func TestFailOn(t *testing.T) {
	status := statusOf(rowsOf(t, town(t)))
	tests := []struct {
		name   string
		status Status
		on     []string
		fails  bool
	}{
		{"nothing to fail on", status, nil, false},
		{"a refusal", status, []string{"refused"}, true},
		{"something that is pending", status, []string{"pending"}, true},
		{"one of two", status, []string{"pending", "refused"}, true},
		{"no refusal", statusOf(nil), []string{"refused"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.status.FailOn(test.on); (err != nil) != test.fails {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for _, name := range []string{"shop/cart", "shop/still", "shop/gone", "shop/taken", "shop/both", "shop/spare", "shop/shy", "lonely/report"} {
		t.Run(name, func(t *testing.T) {
			hub := town(t)
			namespace, service, _ := strings.Cut(name, "/")
			key := sync.Key{Namespace: namespace, Name: service}
			explanation := Explanation{Namespace: namespace, Name: service}
			for _, mirror := range hub.Mirrors {
				looks, errs := mirror.Inspect(t.Context(), []sync.Key{key}, 1)
				if len(errs) > 0 {
					t.Fatal(errs)
				}
				unlabelled, err := unlabelled(t.Context(), hub, mirror, looks[0])
				if err != nil {
					t.Fatal(err)
				}
				explanation.Directions = append(explanation.Directions, reasoningOf(mirror, looks[0], unlabelled, now))
			}
			var text strings.Builder
			if err := explanation.Write(&text, Table); err != nil {
				t.Fatal(err)
			}
			golden(t, "explain-"+namespace+"-"+service+".txt", text.String())
		})
	}
}

func TestExplainNamesAddressesThatAreDenied(t *testing.T) {
	for want, denied := range map[string]int{
		"may not be mirrored: 127.0.0.10, 127.0.0.11": 2,
		"may not be mirrored: 127.0.0.10, 127.0.0.11, 127.0.0.12, 127.0.0.13, 127.0.0.14, 127.0.0.15, 127.0.0.16, 127.0.0.17, 127.0.0.18, 127.0.0.19 and 3 more": 13,
	} {
		t.Run(fmt.Sprintf("of %d", denied), func(t *testing.T) {
			east := newFakeCluster("prod-east")
			east.export("shop", "cart", 1)
			key := sync.Key{Namespace: "shop", Name: "cart"}
			slice := east.slices[key][0]
			for i := range denied {
				address := fmt.Sprintf("127.0.0.%d", 10+denied-1-i)
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
			}
			looks, errs := newHub(east, newFakeCluster("prod-west")).Mirrors[0].Inspect(t.Context(), []sync.Key{key}, 1)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if facts := sourceFacts(looks[0], nil, now); !slices.Contains(facts, want) {
				t.Errorf("%q has not %q", facts, want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	unremarked := func(text string) { t.Errorf("a remark: %s", text) }
	t.Run("it shows every change, and says that there is one", func(t *testing.T) {
		var text strings.Builder
		differs, err := Diff(t.Context(), town(t), &text, unremarked)
		if err != nil || !differs {
			t.Fatal(differs, err)
		}
		golden(t, "diff.txt", text.String())
	})

	t.Run("it is empty where all is in sync", func(t *testing.T) {
		east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
		east.export("shop", "cart", 2)
		synced(t, newHub(east, west))
		var text strings.Builder
		if differs, err := Diff(t.Context(), newHub(east, west), &text, unremarked); err != nil || differs || text.Len() > 0 {
			t.Fatal(differs, err, text.String())
		}
	})
}

func TestTheBrakeIsForeseen(t *testing.T) {
	// emptied has so many pointers more than exported Services, of 30.
	emptied := func(t *testing.T, gone int) *sync.Hub {
		t.Helper()
		east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
		for i := range 30 {
			east.export("shop", fmt.Sprintf("cart-%d", i), 1)
		}
		synced(t, newHub(east, west))
		for i := range gone {
			delete(east.services, sync.Key{Namespace: "shop", Name: fmt.Sprintf("cart-%d", i)})
		}
		return newHub(east, west)
	}
	said := []string{"from prod-east to prod-west: the delete brake would trip: of 30 pointers, 16 are to be withdrawn, and no more than 15 may be within 10m0s"}
	for _, test := range []struct {
		name string
		gone int
		want []string
	}{
		{"not where it lets all go", 15, nil},
		{"where it would hold one", 16, said},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, err := Inspect(t.Context(), emptied(t, test.gone))
			if diff := cmp.Diff(test.want, status.Remarks); err != nil || diff != "" {
				t.Errorf("status: %v, (-want +got):\n%s", err, diff)
			}
			var remarks []string
			_, err = Diff(t.Context(), emptied(t, test.gone), io.Discard, func(text string) { remarks = append(remarks, text) })
			if diff := cmp.Diff(test.want, remarks); err != nil || diff != "" {
				t.Errorf("diff: %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}
