package sync

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIsMirrored(t *testing.T) {
	tests := []struct {
		name        string
		annotations map[string]string
		want        bool
	}{
		{"an object without annotations is native", nil, false},
		{"other annotations don't matter", map[string]string{"team": "shop"}, false},
		{"a whole origin is mirrored", map[string]string{AnnotationOriginCluster: "c", AnnotationOriginName: "n", AnnotationOriginUID: "u"}, true},
		{"the cluster alone is enough", map[string]string{AnnotationOriginCluster: "c"}, true},
		{"the name alone is enough", map[string]string{AnnotationOriginName: "n"}, true},
		{"the UID alone is enough", map[string]string{AnnotationOriginUID: "u"}, true},
		{"an origin without a value is one too", map[string]string{AnnotationOriginCluster: ""}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: test.annotations}}
			if got := IsMirrored(service); got != test.want {
				t.Errorf("IsMirrored = %t, want %t", got, test.want)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	ours := Copy{Kind: KindService, Follower: true, OriginCluster: blue}
	tests := []struct {
		name  string
		rules Rules
		edit  func(*Copy)
		want  bool
	}{
		{"a follower from this direction's source is ours", rules(), func(*Copy) {}, true},
		{"without the follower label it is not", rules(), func(c *Copy) { c.Follower = false }, false},
		{"from another cluster it is not", rules(), func(c *Copy) { c.OriginCluster = green }, false},
		{"without an origin it is not", rules(), func(c *Copy) { c.OriginCluster = "" }, false},
		{"with only the display name of the source it is not", rules(), func(c *Copy) { c.OriginCluster, c.OriginName = "", "blue" }, false},
		{"while the source is not known, nothing is ours", rules(func(r *Rules) { r.Cluster = "" }), func(c *Copy) { c.OriginCluster = "" }, false},
		{"a slice that xcc manages is ours", rules(), func(c *Copy) { c.Kind, c.ManagedBy = KindEndpointSlice, ManagedBy }, true},
		{"a slice that got our marks from Kubernetes is not", rules(), func(c *Copy) { c.Kind, c.ManagedBy = KindEndpointSlice, "endpointslicemirroring-controller.k8s.io" }, false},
		{"a slice that Kubernetes made for a selector is not", rules(), func(c *Copy) { c.Kind, c.ManagedBy = KindEndpointSlice, endpointSliceController }, false},
		{"Endpoints are ours whoever manages them", rules(), func(c *Copy) { c.Kind = KindEndpoints }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := ours
			test.edit(&c)
			if got := test.rules.owns(&c); got != test.want {
				t.Errorf("owns = %t, want %t", got, test.want)
			}
		})
	}
}

// TestOriginsAreReadOfTheSource: a view that left them out would show what is mirrored as if it were native.
func TestOriginsAreReadOfTheSource(t *testing.T) {
	_, annotations := rules().Reads()
	for _, key := range originAnnotations {
		if !slices.Contains(annotations, key) {
			t.Errorf("%s is not read", key)
		}
	}
}

// TestMirroredSlicesAreNotTheirOwn: somebody has labelled the slices that were added to a native Service, so that they are
// read with its own.
func TestMirroredSlicesAreNotTheirOwn(t *testing.T) {
	added := sliceOf("web-a", ready("10.0.0.1"))
	added.Annotations = marks("web-a").Annotations
	target := sourceOf(native(mode(ModeFailover)), sliceOf("web-n", notReady("10.9.0.1")), added)
	if own, known := ownReady(target); own != 0 || !known {
		t.Errorf("%d ready addresses of its own, known: %t", own, known)
	}
	if both := inBoth([]*discoveryv1.EndpointSlice{sliceOf("web-1", ready("10.0.0.1"))}, target.Slices); len(both) > 0 {
		t.Errorf("an address that was added keeps itself out: %v", both)
	}
}

func TestMirroredServicesAreNotSurveyed(t *testing.T) {
	b := newBench(t, sourceOf(exported()), sourceOf(exported(named("shop", "echo"), func(service *corev1.Service) {
		annotate(service, AnnotationOriginCluster, string(green))
	})))
	survey, err := SurveyOf(b.source)
	if diff := cmp.Diff([]Key{web}, survey.Services); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestSliceBelongsToTheServiceOfItsName(t *testing.T) {
	ours := &discoveryv1.EndpointSlice{ObjectMeta: marks(rules().sliceName(web.Name, sliceOf("web-1")))}
	theirs := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: ours.Name}}
	for _, slice := range []*discoveryv1.EndpointSlice{ours, theirs} {
		metav1.SetMetaDataLabel(&slice.ObjectMeta, discoveryv1.LabelServiceName, "till")
	}
	if name := serviceOfSlice(ours); name != web.Name {
		t.Errorf("somebody's label gave a slice of ours to %s", name)
	}
	if name := serviceOfSlice(theirs); name != "till" {
		t.Errorf("somebody's slice was taken for one of %s, for its name", name)
	}
}
