package sync

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestGuard: whatever a planner says, a write without marks, or that is not held to one object and version, is not made.
func TestGuard(t *testing.T) {
	marked := func(edit func(*metav1.ObjectMeta)) Object {
		meta := rules().mark(exported(), "web")
		meta.UID, meta.ResourceVersion = "u1", "7"
		edit(&meta)
		return &corev1.Service{ObjectMeta: meta}
	}
	tests := []struct {
		name   string
		change Change
		want   bool
	}{
		{"a marked create goes", Change{Create, marked(func(m *metav1.ObjectMeta) { m.UID, m.ResourceVersion = "", "" })}, true},
		{"a create without the label does not", Change{Create, marked(func(m *metav1.ObjectMeta) { m.Labels = nil })}, false},
		{"a create without an origin does not", Change{Create, marked(func(m *metav1.ObjectMeta) { m.Annotations = nil })}, false},
		{"the create of a namespace goes, which has no marks", Change{Create, &corev1.Namespace{}}, true},
		{"the update of a namespace does not", Change{Update, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{UID: "u1", ResourceVersion: "7"}}}, false},
		{"an update of a UID and a version goes", Change{Update, marked(func(*metav1.ObjectMeta) {})}, true},
		{"an update of any UID does not", Change{Update, marked(func(m *metav1.ObjectMeta) { m.UID = "" })}, false},
		{"an update of any version does not", Change{Update, marked(func(m *metav1.ObjectMeta) { m.ResourceVersion = "" })}, false},
		{"a delete of any UID does not", Change{Delete, marked(func(m *metav1.ObjectMeta) { m.UID = "" })}, false},
		{"a delete of any version does not", Change{Delete, marked(func(m *metav1.ObjectMeta) { m.ResourceVersion = "" })}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			r := rules()
			if err := guard(test.change); (err == nil) != test.want {
				t.Fatalf("guard: %v", err)
			}
			if test.want {
				return
			}
			if _, err := b.mirror.write(t.Context(), r, web, test.change); err == nil {
				t.Error("it was written")
			}
			if copies, _ := b.target.Copies(web); len(copies) > 0 {
				t.Errorf("it was written: %v", copies)
			}
		})
	}
}
