package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDiffOrder(t *testing.T) {
	r := rules()
	one, two := sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2")), sliceOf("web-2", ready("10.0.0.3"))
	first, second := "EndpointSlice shop/"+r.sliceName("web", one), "EndpointSlice shop/"+r.sliceName("web", two)
	moved := sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1")), sliceOf("web-2", ready("10.0.0.2"), ready("10.0.0.3")))
	strayed := append(standing(r, sourceOf(exported(), one)), r.Observe(stray("svc")))
	unlabelled := append(standing(r, sourceOf(exported(), one)), r.Observe(stray("svc")))
	unlabelled[0].Follower = false
	theirEndpoints := append(standing(rules(func(r *Rules) { r.EndpointsAPI = SlicesOnly }), sourceOf(exported(), one)),
		&Copy{Kind: KindEndpoints, Namespace: web.Namespace, Name: web.Name, UID: "theirs", ResourceVersion: "3"})
	foreignSlice := r.Observe(sliceOf("theirs", ready("10.0.0.9")))
	lingering := standing(r, sourceOf(exported(), one))
	for _, c := range lingering {
		c.Terminating = true
	}
	tests := []struct {
		name   string
		source Source
		copies []*Copy
		want   []string
	}{
		{"birth: Service, slices, Endpoints", sourceOf(exported(), one, two), nil, []string{"create Service shop/web", "create " + first, "create " + second, "create Endpoints shop/web"}},
		{"nothing to do", sourceOf(exported(), one), standing(r, sourceOf(exported(), one)), nil},
		{"a slice that grows goes before one that shrinks", moved, standing(r, sourceOf(exported(), one, two)), []string{"update " + second, "update " + first}},
		{"a new slice goes before an old one is deleted", sourceOf(exported(), two), standing(r, sourceOf(exported(), one)), []string{"create " + second, "update Endpoints shop/web", "delete " + first}},
		{"rebirth: the Service is deleted and created, then the rest", sourceOf(exported(headless), one), standing(r, sourceOf(exported(), one)), []string{"delete Service shop/web", "create Service shop/web", "update " + first, "update Endpoints shop/web"}},
		{"no rebirth where somebody's Endpoints would go with the Service", sourceOf(exported(headless), one), theirEndpoints, []string{"update " + first}},
		{"another primary family is a rebirth", sourceOf(exported(families("IPv6")), sliceOf6("web-1")), standing(r, sourceOf(exported(families("IPv4")), sliceOf6("web-1"))), []string{"delete Service shop/web", "create Service shop/web", "create EndpointSlice shop/" + r.sliceName("web", sliceOf6("web-1"))}},
		{"another second family is not", sourceOf(exported(families("IPv4", "IPv6")), one), standing(r, sourceOf(exported(), one)), []string{"update Service shop/web"}},
		{"death: Service, then the rest", Source{}, standing(r, sourceOf(exported(), one, two)), []string{"delete Service shop/web", "delete " + first, "delete " + second}},
		{"strays of a live pointer are deleted", sourceOf(exported(), one), strayed, []string{"delete EndpointSlice shop/web-stray"}},
		{"strays of another owner are not", sourceOf(exported(), one), append(standing(r, sourceOf(exported(), one)), r.Observe(stray("another"))), nil},
		{"strays of a pointer that was let go are not", sourceOf(exported(), one), unlabelled, nil},
		{"foreign slices are left alone", sourceOf(exported(), one), append(standing(r, sourceOf(exported(), one)), foreignSlice), nil},
		{"foreign slices are left alone at death", Source{}, []*Copy{foreignSlice}, nil},
		{"what is being deleted is not deleted again", Source{}, lingering, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := describe(r.Plan(test.source, targetOf(test.copies...)).Changes)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdateKeepsWhatIsTheirs(t *testing.T) {
	r := rules()
	stored := stands(pointerService(func(service *corev1.Service) {
		service.Spec.Selector = map[string]string{"app": "mine"}
		service.Labels["theirs"], service.Annotations["note"] = "label", "annotation"
	}), "svc", "11")
	want := pointerService(func(service *corev1.Service) {
		service.UID, service.ResourceVersion = "svc", "11"
		service.Labels["theirs"], service.Annotations["note"] = "label", "annotation"
	})
	got := r.Plan(sourceOf(exported()), targetOf(r.Observe(stored))).Changes
	if diff := cmp.Diff([]Change{{Update, want}}, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestForgedOriginIsPutRight: somebody has written another origin on a pointer whose Service is exported.
func TestForgedOriginIsPutRight(t *testing.T) {
	r := rules()
	for _, key := range []string{AnnotationOriginName, AnnotationOriginUID} {
		stored := stands(pointerService(func(service *corev1.Service) { annotate(service, key, "forged") }), "svc", "11")
		want := stands(pointerService(), "svc", "11")
		got := r.Plan(sourceOf(exported()), targetOf(r.Observe(stored))).Changes
		if diff := cmp.Diff([]Change{{Update, want}}, got); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", key, diff)
		}
	}
}

func TestDeletionNamesUIDAndVersion(t *testing.T) {
	r := rules()
	got := r.Plan(Source{}, targetOf(r.Observe(stands(pointerService(), "svc", "11")))).Changes
	want := []Change{{Delete, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "svc", ResourceVersion: "11"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
